//! Idle workers: how soon they start a job that comes, what they cost meanwhile, and how soon they
//! start many jobs that become due together.

use std::time::Duration;

use payfleet::servers::AppendFsync::EverySec;
use payfleet_tests::measure::{Measured, Target};

use crate::bench::{Bench, series};
use crate::engine::{Engine, Producer, connect};
use crate::load::{Kind, monotonic_ns};
use crate::rows_enqueue::warm_up;
use crate::seen::Report;
use crate::worker::{Orders, Worker};

const ALL: [Engine; 4] = [Engine::Ours, Engine::Lease, Engine::Stream, Engine::Stock];

/// `pickup-500-p50`, `pickup-500-p99`.
pub(crate) async fn busy(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let jobs = if bench.quick { 500 } else { 3_000 };
    let every = Duration::from_millis(2);
    let found = bench.in_turns(&ALL, async |engine| pickup(bench, engine, jobs, every).await).await?;
    let row = |row, about, value: fn(&Report) -> f64, most| {
        Measured::of(row, about, "ms", &series(&found, value), Target::AtMost(most))
    };
    Ok(vec![
        row("pickup-500-p50", "from before the enqueue to the start, 500 jobs/s", |r| r.p50_us / 1e3, 0.25),
        row("pickup-500-p99", "the same, 99 of 100", |r| r.p99_us / 1e3, 0.45),
    ])
}

/// `pickup-2-max`.
pub(crate) async fn seldom(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let jobs = if bench.quick { 6 } else { 12 };
    let every = Duration::from_millis(500);
    let found = bench.in_turns(&ALL, async |engine| pickup(bench, engine, jobs, every).await).await?;
    let longest = series(&found, |report| report.max_us / 1e3);
    let about = "the longest of all, 2 jobs/s";
    Ok(vec![Measured::of("pickup-2-max", about, "ms", &longest, Target::AtMost(50.0))])
}

/// Sends a job every now and then to an idle worker.
async fn pickup(bench: &Bench, engine: Engine, jobs: u64, every: Duration) -> anyhow::Result<Report> {
    let server = bench.redis(EverySec).await?;
    let mut producer = Producer::connect(engine, &server.url()).await?;
    let mut orders = Orders::new(engine, &server.url(), jobs + 1);
    orders.track = true;
    let mut worker = Worker::launch(&orders).await?;
    worker.start().await?;
    warm_up(engine, &mut producer).await?;
    let mut beat = tokio::time::interval(every);
    for n in 0..jobs {
        beat.tick().await;
        let job = engine.make(n..n + 1, monotonic_ns(), Kind::default());
        producer.put(&job, 0..1).await?;
    }
    worker.all().await?;
    bench.note_rss("pickup", engine, &worker);
    worker.report().await
}

/// `idle-commands`.
pub(crate) async fn idle(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    const SECONDS: u64 = 5;
    let found = bench.in_turns(&ALL, async |engine| idle_commands(bench, engine, SECONDS).await).await?;
    let rates = series(&found, |commands| *commands / SECONDS as f64);
    let about = "commands that an idle worker sends";
    Ok(vec![Measured::of("idle-commands", about, "commands/s", &rates, Target::AtMost(5.0))])
}

async fn idle_commands(bench: &Bench, engine: Engine, seconds: u64) -> anyhow::Result<f64> {
    let server = bench.redis(EverySec).await?;
    let mut producer = Producer::connect(engine, &server.url()).await?;
    let mut worker = Worker::launch(&Orders::new(engine, &server.url(), 1)).await?;
    worker.start().await?;
    warm_up(engine, &mut producer).await?;
    worker.all().await?;
    let mut redis = connect(&server.url()).await?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    // What the one job caused is over after a second.
    second.tick().await;
    let before = commands(&mut redis).await?;
    for _ in 0..seconds {
        second.tick().await;
    }
    // This question is a command too.
    Ok(commands(&mut redis).await? - before - 1.0)
}

/// Commands that clients sent: scripts count once, with all that they call.
async fn commands(redis: &mut redis::aio::MultiplexedConnection) -> anyhow::Result<f64> {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await?;
    let calls = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let sent =
        ["evalsha", "eval", "fcall", "blpop", "bzpopmin", "xreadgroup", "info", "ping", "get", "rpush"];
    Ok(sent.iter().map(|name| calls(name)).sum())
}

/// `due-20000`.
pub(crate) async fn due(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    const ENGINES: [Engine; 2] = [Engine::Ours, Engine::Stock];
    let found = bench.in_turns(&ENGINES, async |engine| due_together(bench, engine).await).await?;
    let about = "20,000 jobs due in the same second: from then to the last start (apalis-redis: 7,500, \
                 more would never run)";
    let late = series(&found, |seconds| *seconds);
    Ok(vec![Measured::of("due-20000", about, "s", &late, Target::AtMost(0.5))])
}

async fn due_together(bench: &Bench, engine: Engine) -> anyhow::Result<f64> {
    let server = bench.redis(EverySec).await?;
    let jobs = bench.possible(engine, 20_000);
    let mut producer = Producer::connect(engine, &server.url()).await?;
    let mut orders = Orders::new(engine, &server.url(), jobs);
    orders.track = true;
    let mut worker = Worker::launch(&orders).await?;
    worker.start().await?;
    let due_ns = monotonic_ns() + 5_000_000_000;
    for from in (0..jobs).step_by(500) {
        let delay = Duration::from_nanos(due_ns.saturating_sub(monotonic_ns()));
        let batch = engine.make(from..jobs.min(from + 500), due_ns, Kind { delay, ..Kind::default() });
        producer.put_all(&batch, 500).await?;
    }
    worker.all().await?;
    bench.note_rss("due-20000", engine, &worker);
    let report = worker.report().await?;
    Ok(report.last_ns.saturating_sub(due_ns) as f64 / 1e9)
}
