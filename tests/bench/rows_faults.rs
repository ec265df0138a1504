//! A worker killed, Redis killed: how long until the work goes on, and whether each job ran once.

use std::time::{Duration, Instant};

use payfleet::servers::AppendFsync::EverySec;
use payfleet_tests::measure::{Measured, Series, Target};

use crate::bench::Bench;
use crate::engine::{Engine, Jobs, Producer};
use crate::load::Kind;
use crate::seen::Act;
use crate::worker::{Orders, Worker};

/// After this a measurement is over, whatever is missing.
const PATIENCE: Duration = Duration::from_secs(120);

fn row(row: &'static str, about: &str, unit: &'static str, series: Series, target: Target) -> Measured {
    Measured { row, about: about.to_owned(), unit, series, references: Vec::new(), target }
}

/// `worker-killed`, `worker-killed-lost`.
pub(crate) async fn worker(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let (mut again, mut lost) = (Series::default(), Series::default());
    for _ in 0..bench.times {
        let (seconds, missing) = kill_worker(bench).await?;
        again.push(seconds);
        lost.push(missing);
    }
    let about = "a worker with 500 running jobs is killed with -9: until another has run them all \
                 (apalis-redis: 300 s by its defaults, not waited for)";
    Ok(vec![
        row("worker-killed", about, "s", again, Target::AtMost(15.0)),
        row(
            "worker-killed-lost",
            "jobs of that worker that never ran again",
            "jobs",
            lost,
            Target::Exactly(0.0),
        ),
    ])
}

async fn kill_worker(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    const JOBS: u64 = 500;
    let server = bench.redis(EverySec).await?;
    let mut producer = Producer::connect(Engine::Ours, &server.url()).await?;
    producer.put_all(&Engine::Ours.make(0..JOBS, 0, Kind::default()), 500).await?;
    let mut orders = Orders::new(Engine::Ours, &server.url(), JOBS);
    let mut victim = Worker::launch(&Orders { act: Act::Hang, ..orders.clone() }).await?;
    victim.start().await?;
    victim.all().await?;
    orders.track = true;
    let mut other = Worker::launch(&orders).await?;
    other.start().await?;
    victim.kill().await?;
    let killed = Instant::now();
    let ran = tokio::time::timeout(PATIENCE, other.all()).await;
    let seconds = killed.elapsed().as_secs_f64();
    if let Ok(ran) = ran {
        ran?;
    }
    bench.note_rss("worker-killed", Engine::Ours, &other);
    let report = other.report().await?;
    Ok((seconds, JOBS.saturating_sub(report.distinct) as f64))
}

/// `redis-killed`, `redis-killed-lost`, `redis-killed-twice`.
pub(crate) async fn redis(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let (mut flows, mut lost, mut twice) = (Series::default(), Series::default(), Series::default());
    for _ in 0..bench.times {
        let outage = kill_redis(bench).await?;
        flows.push(outage.seconds);
        lost.push(outage.lost);
        twice.push(outage.twice);
    }
    let about = "Redis is killed with -9 under load and restarted a second later: from its first PONG until \
                 a job starts (apalis-redis: its worker ends)";
    Ok(vec![
        row("redis-killed", about, "s", flows, Target::AtMost(2.0)),
        row("redis-killed-lost", "accepted jobs that never ran", "jobs", lost, Target::Exactly(0.0)),
        row("redis-killed-twice", "jobs that ran twice", "jobs", twice, Target::Exactly(0.0)),
    ])
}

struct Outage {
    seconds: f64,
    lost: f64,
    twice: f64,
}

async fn kill_redis(bench: &Bench) -> anyhow::Result<Outage> {
    const WAITING: u64 = 20_000;
    const COMING: u64 = 4_000;
    const PRODUCERS: u64 = 4;
    let total = WAITING + COMING;
    let mut server = bench.redis(EverySec).await?;
    let mut producer = Producer::connect(Engine::Ours, &server.url()).await?;
    producer.put_all(&Engine::Ours.make(0..WAITING, 0, Kind::default()), 500).await?;
    let mut orders = Orders::new(Engine::Ours, &server.url(), total);
    (orders.act, orders.track, orders.concurrency) = (Act::TakeTenMs, true, 50);
    let mut worker = Worker::launch(&orders).await?;
    worker.start().await?;
    let producers = (0..PRODUCERS).map(|which| {
        let from = WAITING + which * (COMING / PRODUCERS);
        let jobs = Engine::Ours.make(from..from + COMING / PRODUCERS, 0, Kind::default());
        payfleet_process::spawn("a producer", accepted(producer.clone(), jobs))
    });
    let producers: Vec<_> = producers.collect();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    second.tick().await;
    server.kill().await;
    second.tick().await;
    second.tick().await;
    server.restart().await?;
    let up = Instant::now();
    let before = worker.report().await?.ended;
    while worker.report().await?.ended == before && up.elapsed() < PATIENCE {}
    let seconds = up.elapsed().as_secs_f64();
    for producer in producers {
        producer.await?;
    }
    let _ =
        tokio::time::timeout(PATIENCE, async { while !producer.left(total).await.is_ok_and(|n| n == 0) {} })
            .await;
    bench.note_rss("redis-killed", Engine::Ours, &worker);
    let report = worker.report().await?;
    Ok(Outage { seconds, lost: total.saturating_sub(report.distinct) as f64, twice: report.repeated as f64 })
}

/// Enqueues each job until it is accepted, about one a millisecond, as a client that repeats
/// its requests does.
async fn accepted(mut producer: Producer, jobs: Jobs) {
    let mut beat = tokio::time::interval(Duration::from_millis(1));
    for at in 0..jobs.len() {
        beat.tick().await;
        while producer.put(&jobs, at..at + 1).await.is_err() {
            beat.tick().await;
        }
    }
}

/// `rss`: the most that any worker of ours had in this run.
pub(crate) fn rss(bench: &Bench) -> Vec<Measured> {
    let seen = bench.rss.lock().expect("nobody panics here");
    let Some((most_in, _)) = seen.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { return Vec::new() };
    let mut series = Series::default();
    seen.iter().filter(|(name, _)| name == most_in).for_each(|(_, mib)| series.push(*mib));
    let about = format!("the most memory a worker had resident in any row above: in {most_in}");
    vec![row("worker-rss", &about, "MiB", series, Target::AtMost(32.0))]
}
