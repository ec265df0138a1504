//! Redis' memory: of a waiting job, and of what is left of a finished one.

use payfleet::servers::AppendFsync::EverySec;
use payfleet_tests::measure::{Measured, Target};

use crate::bench::{Bench, FILL, series};
use crate::engine::{Engine, Producer};
use crate::load::Kind;
use crate::rows_enqueue::warm_up;
use crate::worker::{Orders, Worker};

const ALL: [Engine; 4] = [Engine::Ours, Engine::Lease, Engine::Stream, Engine::Stock];

struct Kept {
    waiting: f64,
    finished: f64,
}

/// `memory-waiting`, `memory-finished` and the same with keys.
pub(crate) async fn memory(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let plain = bench.in_turns(&ALL, async |engine| kept(bench, engine, false).await).await?;
    let keyed = bench.in_turns(&ALL, async |engine| kept(bench, engine, true).await).await?;
    let row = |row, about: &str, found, value: fn(&Kept) -> f64, target| {
        Measured::of(row, about, "bytes", &series(found, value), target)
    };
    let (waiting, finished) = ("Redis memory per waiting job of 300 bytes", "Redis memory per finished job");
    let with_key = |what: &str| format!("{what}, with a dedupe key (stream: none)");
    Ok(vec![
        row("memory-waiting", waiting, &plain, |kept| kept.waiting, Target::AtMost(450.0)),
        row("memory-waiting-key", &with_key(waiting), &keyed, |kept| kept.waiting, Target::AtMost(590.0)),
        // A few kilobytes of counters and of a worker's connection, divided by all jobs.
        row("memory-finished", finished, &plain, |kept| kept.finished, Target::AtMost(1.0)),
        // A key with expiry in Redis, which ends after 24 h.
        row("memory-finished-key", &with_key(finished), &keyed, |kept| kept.finished, Target::AtMost(181.0)),
    ])
}

async fn kept(bench: &Bench, engine: Engine, keyed: bool) -> anyhow::Result<Kept> {
    let server = bench.redis(EverySec).await?;
    let jobs = bench.possible(engine, bench.jobs);
    let mut producer = Producer::connect(engine, &server.url()).await?;
    warm_up(engine, &mut producer).await?;
    let before = bench.memory(&server.url()).await?;
    let kind = Kind { keyed, ..Kind::default() };
    producer.put_all(&engine.make(0..jobs, 0, kind), FILL).await?;
    let waiting = bench.memory(&server.url()).await? - before;
    // Scripts, tables and counters are there once; only what a second round adds is kept per job.
    // One job more than was put: the one that warmed up.
    run_all(engine, &server.url(), jobs + 1, jobs + 1, &mut producer).await?;
    let after_first = bench.memory(&server.url()).await?;
    producer.put_all(&engine.make(jobs..2 * jobs, 0, kind), FILL).await?;
    run_all(engine, &server.url(), jobs, 2 * jobs + 1, &mut producer).await?;
    let finished = bench.memory(&server.url()).await? - after_first;
    let each = |bytes: f64| bytes / jobs as f64;
    Ok(Kept { waiting: each(waiting), finished: each(finished) })
}

/// Lets a worker run the `waiting` jobs, of `total` that there ever were.
async fn run_all(
    engine: Engine,
    url: &str,
    waiting: u64,
    total: u64,
    producer: &mut Producer,
) -> anyhow::Result<()> {
    let mut worker = Worker::launch(&Orders::new(engine, url, waiting)).await?;
    worker.start().await?;
    worker.all().await?;
    while producer.left(total).await? > 0 {}
    worker.kill().await
}
