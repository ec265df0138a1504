//! The live table: one row per queue. On a terminal it redraws in place; elsewhere it is printed
//! every few seconds.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use payfleet_core::kinds::JobKind;
use payfleet_queue::QueueStats;

use super::fleet::Fleet;
use crate::commands::show;

const REDRAW: Duration = Duration::from_secs(1);
const REPRINT: Duration = Duration::from_secs(5);

/// Draws until the task is dropped. A store that does not answer is said, and asked again.
pub(super) async fn show(fleet: &Fleet) -> anyhow::Result<()> {
    let is_terminal = std::io::stdout().is_terminal();
    let pause = if is_terminal { REDRAW } else { REPRINT };
    let mut drawn = 0;
    loop {
        let text = draw(fleet).await.unwrap_or_else(|error| format!("(no figures: {error:#})"));
        let mut out = std::io::stdout().lock();
        if is_terminal && drawn > 0 {
            // Up to the first line of the last drawing, and clear from there.
            write!(out, "\x1b[{drawn}A\x1b[J")?;
        }
        writeln!(out, "{text}")?;
        out.flush()?;
        drop(out);
        drawn = text.lines().count();
        tokio::time::sleep(pause).await;
    }
}

async fn draw(fleet: &Fleet) -> anyhow::Result<String> {
    let queues = JobKind::ALL.into_iter().map(JobKind::queue).collect::<Result<Vec<_>, _>>()?;
    let stats = fleet.queue().stats(&queues).await?;
    let rows: Vec<Vec<String>> = stats.iter().map(row).collect();
    let table = show::table(&["QUEUE", "READY", "RUNNING", "DELAYED", "DEAD", "DONE", "OLDEST"], &rows);
    let counts = fleet.store().operation_counts().await?;
    let operations: Vec<String> =
        counts.iter().map(|one| format!("{} {} {}", one.count, one.kind, one.state)).collect();
    let dead = fleet.store().dead_letters(1000, false).await?.len();
    Ok(format!("\n{table}\noperations: {}\ndead letters: {dead}", operations.join(", ")))
}

fn row(stats: &QueueStats) -> Vec<String> {
    let oldest = stats.oldest_age_ms.map_or_else(|| "-".to_owned(), age);
    let paused = if stats.paused { " (paused)" } else { "" };
    let counts = [stats.ready, stats.running, stats.delayed, stats.dead, stats.done].map(|n| n.to_string());
    [format!("{}{paused}", stats.queue)].into_iter().chain(counts).chain([oldest]).collect()
}

fn age(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..=119 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        assert_eq!(age(40), "40 ms");
        assert_eq!(age(61_999), "61 s");
        assert_eq!(age(7_200_000), "120 min");
    }
}
