//! `make bench-queue`: what payfleet-queue costs and how fast it is, beside two loops written by hand
//! and apalis-redis, on private Redis servers of this run. Nothing here passes or fails: it measures,
//! says which targets are met, and why not where one is not.

mod bench;
mod document;
mod engine;
mod lease;
mod load;
mod ours;
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

use std::sync::Mutex;

use bench::Bench;
use clap::Parser;
use payfleet_tests::measure::{Measured, Table, Wishes};

/// Measures payfleet-queue.
#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    wishes: Wishes,
    /// Jobs of one measurement.
    #[arg(long)]
    jobs: Option<u64>,
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
    let wishes = args.wishes;
    wishes.check()?;
    let bench = Bench {
        times: wishes.times(),
        jobs: args.jobs.unwrap_or(if wishes.quick { 10_000 } else { 50_000 }),
        quick: wishes.quick,
        wanted: wishes.wanted(),
        rss: Mutex::default(),
    };
    let table = Table::begin(&wishes, &document::head(&bench), why::WHYS);
    run(&bench, |row| table.show(row)).await?;
    if wishes.write {
        table.write()?;
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
