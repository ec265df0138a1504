//! `make bench-money`: how much of what this Postgres can do the fleet makes use of. Each row is
//! measured turn by turn with pgbench on the same server, and the run ends with the checks of every
//! scenario: one effect a payout, the ledger at zero, nothing that the audit names.

mod engine;
mod fleet;
#[path = "../bench/measured.rs"]
#[expect(dead_code, reason = "shared with the benchmark of the queue, which has other kinds of targets too")]
mod measured;
mod pgbench;
#[path = "../bench/process.rs"]
#[expect(dead_code, reason = "shared with the benchmark of the queue, which asks more of the kernel")]
mod process;
mod why;

use std::path::Path;

use clap::Parser;
use engine::Engine;
use measured::{HEAD, Measured, Series, Target};
use payfleet_tests::servers::database_on;
use payfleet_tests::world::{Setup, World};
use pgbench::Script;

/// Measures the handling of money.
#[derive(clap::Parser)]
struct Args {
    /// One JSON object a row instead of a table.
    #[arg(long)]
    json: bool,
    /// Fewer of everything, once: for development.
    #[arg(long)]
    quick: bool,
    /// Puts the table into docs/benchmarks-money.md.
    #[arg(long)]
    write: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (times, seconds) = if args.quick { (1, 3) } else { (3, 10) };
    let (payouts, events) = if args.quick { (500, 2_000) } else { (2_000, 10_000) };
    anyhow::ensure!(!(args.write && args.quick), "only a full run is written");
    let head = format!(
        "# Benchmarks of money\n\n`make bench-money` on a machine with {}, which Redis, Postgres (without fsync, for \
         both sides),\nthe sandbox and one worker share. Medians of {times}, measured turn by turn with pgbench on \
         the same server.\n\n{HEAD}",
        process::machine()
    );
    let rows = measure(times, seconds, payouts, events).await?;
    let table: Vec<String> = rows.iter().map(Measured::line).collect();
    if args.json {
        rows.iter().for_each(|row| println!("{}", row.json()));
    } else {
        println!("{head}\n{}", table.join("\n"));
    }
    if args.write {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks-money.md");
        std::fs::write(file, format!("{head}\n{}\n", table.join("\n")))?;
    }
    Ok(())
}

async fn measure(times: usize, seconds: u32, payouts: usize, events: usize) -> anyhow::Result<Vec<Measured>> {
    let setup = Setup { workers: 0, webhooks: false, own_postgres: true, ..Setup::default() };
    let mut world = World::with(setup).await;
    let alone = match &world.postgres {
        Some(server) => database_on(server).await,
        None => anyhow::bail!("the World has a Postgres of its own"),
    };
    let bin = pgbench::program()?;
    let mut paid = [(Engine::Ours, Series::default()), (Engine::Pgbench, Series::default())];
    let mut taken = paid.clone();
    for round in 0..times {
        paid[0].1.push(fleet::payouts(&world, round, payouts).await?);
        paid[1]
            .1
            .push(pgbench::run(&bin, &alone, &Script { sql: pgbench::PAYOUT, clients: 32, seconds }).await?);
        taken[0].1.push(fleet::webhooks(&world, round, events).await?);
        taken[1]
            .1
            .push(pgbench::run(&bin, &alone, &Script { sql: pgbench::WEBHOOK, clients: 64, seconds }).await?);
    }
    world.add_worker();
    world.finish().await;
    Ok(vec![
        Measured::of(
            "payouts",
            format!(
                "{payouts} payouts from Redis to their outcome in Postgres; pgbench: the two transactions"
            ),
            "payouts/s",
            &paid,
            Target::Ratio(0.5),
        ),
        Measured::of(
            "webhooks",
            format!("{events} events from Redis to committed rows and inboxes; pgbench: one INSERT an event"),
            "events/s",
            &taken,
            Target::Ratio(1.5),
        ),
    ])
}
