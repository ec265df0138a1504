//! Enqueueing: one call a job from 16 producers of one process, and many jobs in a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use payfleet::servers::AppendFsync::EverySec;
use payfleet_tests::measure::{Measured, Target};

use crate::bench::{Bench, rate, series};
use crate::engine::{Engine, Producer};
use crate::load::Kind;

const ALL: [Engine; 4] = [Engine::Ours, Engine::Lease, Engine::Stream, Engine::Stock];
const PRODUCERS: usize = 16;
/// Jobs of one call in bulk.
const BULK: usize = 1_000;

/// `enqueue`.
pub(crate) async fn single(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let found = bench.in_turns(&ALL, async |engine| by_many(bench, engine).await).await?;
    let about = format!("enqueues with a dedupe key, one call a job, {PRODUCERS} producers (stream: no key)");
    let rates = series(&found, |rate| *rate);
    Ok(vec![Measured::of("enqueue", about, "jobs/s", &rates, Target::Ratio(1.0))])
}

async fn by_many(bench: &Bench, engine: Engine) -> anyhow::Result<f64> {
    let server = bench.redis(EverySec).await?;
    let producer = Producer::connect(engine, &server.url()).await?;
    warm_up(engine, &mut producer.clone()).await?;
    let jobs = Arc::new(engine.make(0..bench.jobs, 0, Kind { keyed: true, ..Kind::default() }));
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let producers = (0..PRODUCERS).map(|_| {
        let (mut producer, jobs, next) = (producer.clone(), Arc::clone(&jobs), Arc::clone(&next));
        payfleet_process::spawn("a producer", async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= jobs.len() {
                    return anyhow::Ok(());
                }
                producer.put(&jobs, at..at + 1).await?;
            }
        })
    });
    for ended in futures::future::join_all(producers).await {
        ended??;
    }
    Ok(rate(bench.jobs, began.elapsed()))
}

/// `bulk`, `bulk-plain`.
pub(crate) async fn bulk(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let mut rows = Vec::new();
    // The reference is a queue with keys, so that is what is judged.
    for (row, keyed, target) in [("bulk", true, Target::Ratio(0.7)), ("bulk-plain", false, Target::Shown)] {
        let kind = Kind { keyed, ..Kind::default() };
        let found = bench.in_turns(&ALL, async |engine| in_bulk(bench, engine, kind).await).await?;
        let with = if keyed { "each with a dedupe key (stream: none)" } else { "without keys" };
        let about = format!("enqueues {BULK} jobs a call, {with}");
        rows.push(Measured::of(row, about, "jobs/s", &series(&found, |rate| *rate), target));
    }
    Ok(rows)
}

async fn in_bulk(bench: &Bench, engine: Engine, kind: Kind) -> anyhow::Result<f64> {
    let server = bench.redis(EverySec).await?;
    let mut producer = Producer::connect(engine, &server.url()).await?;
    warm_up(engine, &mut producer).await?;
    let jobs = engine.make(0..bench.jobs, 0, kind);
    let began = Instant::now();
    producer.put_all(&jobs, BULK).await?;
    Ok(rate(bench.jobs, began.elapsed()))
}

/// Connects and loads the scripts.
pub(crate) async fn warm_up(engine: Engine, producer: &mut Producer) -> anyhow::Result<()> {
    let one = engine.make(u64::MAX / 2..u64::MAX / 2 + 1, 0, Kind { keyed: true, ..Kind::default() });
    producer.put_all(&one, 1).await
}
