//! `make bench-queue`: what payfleet-queue costs and how fast it is, beside two loops written by hand
//! and apalis-redis, on private Redis servers of this run. Nothing here passes or fails: it measures,
//! says which targets are met, and why not where one is not.

mod bench;
mod document;
mod engine;
mod lease;
mod load;
mod measured;
mod ours;
mod process;
mod rows_drain;
mod rows_enqueue;
mod rows_faults;
mod rows_features;
mod rows_latency;
mod rows_memory;
mod seen;
mod stock;
mod stream;
mod why;
mod worker;

use std::collections::BTreeSet;
use std::sync::Mutex;

use bench::Bench;
use clap::Parser;
use measured::Measured;

/// Measures payfleet-queue.
#[derive(clap::Parser)]
struct Args {
    /// One JSON object a row instead of a table.
    #[arg(long)]
    json: bool,
    /// Fewer jobs, once each: for development.
    #[arg(long)]
    quick: bool,
    /// Puts the table into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
    /// How often each row is measured.
    #[arg(long)]
    times: Option<usize>,
    /// Jobs of one measurement.
    #[arg(long)]
    jobs: Option<u64>,
    /// Only these rows or families.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// What a worker process is started with.
    #[command(hide = true)]
    Work(worker::Orders),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(Command::Work(orders)) = args.command {
        return worker::obey(orders).await;
    }
    let bench = Bench {
        times: args.times.unwrap_or(if args.quick { 1 } else { 3 }),
        jobs: args.jobs.unwrap_or(if args.quick { 10_000 } else { 50_000 }),
        quick: args.quick,
        wanted: args.rows.iter().cloned().collect::<BTreeSet<_>>(),
        rss: Mutex::default(),
    };
    anyhow::ensure!(!args.write || (args.rows.is_empty() && !args.quick), "only a full run is written");
    let document = Mutex::new(format!("{}\n", document::head(&bench)));
    if !args.json {
        println!("{}", document::head(&bench));
    }
    run(&bench, |row| {
        println!("{}", if args.json { row.json() } else { row.line() });
        let mut document = document.lock().expect("nobody panics here");
        document.push_str(&format!("{}\n", row.line()));
    })
    .await?;
    if args.write {
        document::write(&document.into_inner().expect("nobody panics here"))?;
    }
    Ok(())
}

/// Runs the families that are wanted, and shows their rows.
async fn run(bench: &Bench, show: impl Fn(&Measured)) -> anyhow::Result<()> {
    let show_all = |rows: Vec<Measured>, family: &str| {
        let is_wanted = |row: &&Measured| bench.wants(&[row.row, family]);
        rows.iter().filter(is_wanted).for_each(&show);
    };
    macro_rules! family {
        ($name:literal, [$($row:literal),*], $measure:expr) => {
            if bench.wants(&[$name, $($row),*]) {
                show_all($measure.await?, $name);
            }
        };
    }
    family!("drain", ["cpu-worker", "cpu-redis"], rows_drain::drain(bench));
    family!("drain-1m", [], rows_drain::million(bench));
    family!("enqueue", [], rows_enqueue::single(bench));
    family!("bulk", ["bulk-plain"], rows_enqueue::bulk(bench));
    family!("drain-always", [], rows_drain::always(bench));
    family!("ten-ms", [], rows_drain::ten_ms(bench));
    family!(
        "memory",
        ["memory-waiting", "memory-waiting-key", "memory-finished", "memory-finished-key"],
        rows_memory::memory(bench)
    );
    family!("lanes", [], rows_features::lanes(bench));
    family!("keys", [], rows_features::keys(bench));
    family!("limits", ["limiter-permit", "breaker-leave"], rows_features::calls(bench));
    family!("pickup", ["pickup-500-p50", "pickup-500-p99"], rows_latency::busy(bench));
    family!("pickup", ["pickup-2-max"], rows_latency::seldom(bench));
    family!("idle-commands", [], rows_latency::idle(bench));
    family!("due-20000", [], rows_latency::due(bench));
    family!("worker-killed", ["worker-killed-lost"], rows_faults::worker(bench));
    family!("redis-killed", ["redis-killed-lost", "redis-killed-twice"], rows_faults::redis(bench));
    rows_faults::rss(bench).iter().for_each(&show);
    Ok(())
}
