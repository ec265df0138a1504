//! `payfleet rebuild`: after Redis has lost its data.

use std::time::{Duration, Instant};

use payfleet_worker::rebuild::{Made, Rebuilt, rebuild};
use serde_json::json;

use super::show;
use super::stores::{Database, Redis};

/// How often a long rebuild says how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// What nothing here can tell, with who can.
const UNKNOWN: [&str; 4] = [
    "requests that were accepted (202) and that no worker had taken: their clients find no operation (404) \
     and repeat them with the same Idempotency-Key; once done they are answered with the same operation",
    "webhooks that were accepted and not stored: what they would have told is asked for by polling, and \
     reconciliation finds what nobody asks for",
    "dead jobs that were not archived yet: those of operations die again, of others only the log tells",
    "which Idempotency-Keys were used for another request in the last 24 hours: Postgres refuses such a \
     request when it is carried out, instead of the producer when it is made",
];

/// Options of `payfleet rebuild`.
#[derive(clap::Args)]
#[command(after_help = "\
Workers do the same by themselves, slowly: an operation that should have moved is found within seconds of
its next wake-up, which can be minutes away. Run this to have all of them back at once. It may run twice,
and beside workers: a job that is there is left alone, and an operation is only ever moved under its claim.

Example:
  payfleet rebuild --json")]
pub(crate) struct Options {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    redis: Redis,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let (store, queue) = (options.database.open()?, options.redis.open()?);
    let mut said = Instant::now();
    let mut tell = |so_far: &Rebuilt| {
        if said.elapsed() >= EVERY {
            said = Instant::now();
            let Rebuilt { operations, parked, webhooks, .. } = so_far;
            eprintln!(
                "{} operations, {} of them parked, {} webhooks",
                total(*operations) + total(*parked),
                total(*parked),
                total(*webhooks)
            );
        }
    };
    let rebuilt = rebuild(&store, &queue, &mut tell).await?;
    if options.json {
        return show::json(&json!({ "rebuilt": rebuilt, "unknown": UNKNOWN }));
    }
    let row = |what: &str, made: Made| vec![what.to_owned(), made.made.to_string(), made.there.to_string()];
    let rows = [
        row("unfinished operations", rebuilt.operations),
        row("parked operations without a dead letter", rebuilt.parked),
        row("parked notifications without a dead letter", rebuilt.parked_notifications),
        row("webhooks not handled", rebuilt.webhooks),
        row("reconciliations under way", rebuilt.reconciliations),
        row("redrive plans under way", rebuilt.redrives),
    ];
    println!("{}", show::table(&["JOBS OF", "MADE", "THERE"], &rows));
    if rebuilt.left_to_their_callers > 0 {
        println!(
            "{} operations are being submitted: their workers go on by themselves, and where one is dead the \
             rescuer resolves the call when its time is up.",
            rebuilt.left_to_their_callers
        );
    }
    println!("\nWhat Postgres cannot know:");
    for line in UNKNOWN {
        println!("- {line}");
    }
    Ok(())
}

const fn total(made: Made) -> u64 {
    made.made.saturating_add(made.there)
}
