//! Draining: how fast, and what a job costs of the worker's CPU and of Redis'.

use payfleet::servers::AppendFsync::{Always, EverySec};
use payfleet_tests::measure::{Measured, Target};

use crate::bench::{Bench, series};
use crate::engine::Engine;
use crate::load::Kind;
use crate::seen::Act;

const ALL: [Engine; 4] = [Engine::Ours, Engine::Lease, Engine::Stream, Engine::Stock];

/// `drain`, `cpu-worker`, `cpu-redis`.
pub(crate) async fn drain(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let drain =
        async |engine| bench.drain("drain", engine, EverySec, Kind::default(), bench.jobs, |_| {}).await;
    let found = bench.in_turns(&ALL, drain).await?;
    let about =
        format!("drains {} waiting jobs (apalis-redis: {} at most)", bench.jobs, crate::stock::MOST_WAITING);
    Ok(vec![
        Measured::of("drain", about, "jobs/s", &series(&found, |one| one.per_s), Target::Ratio(0.6)),
        Measured::of(
            "cpu-worker",
            "CPU of the worker per drained job",
            "us",
            &series(&found, |one| one.worker_us),
            Target::AtMost(8.0),
        ),
        Measured::of(
            "cpu-redis",
            "CPU of Redis per drained job",
            "us",
            &series(&found, |one| one.redis_us),
            Target::AtMost(10.0),
        ),
    ])
}

/// `drain-1m`: against our own figure with few jobs waiting.
pub(crate) async fn million(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let many = if bench.quick { 200_000 } else { 1_000_000 };
    let counts = [many, bench.jobs];
    against_ourselves(
        bench,
        "drain-1m",
        0.9,
        "few waiting",
        &format!("drains {many} waiting jobs"),
        async |which| {
            let kind = Kind::default();
            Ok(bench.drain("drain-1m", Engine::Ours, EverySec, kind, counts[which], |_| {}).await?.per_s)
        },
    )
    .await
}

/// `drain-always`: with every write on the disk before its answer.
pub(crate) async fn always(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let policies = [Always, EverySec];
    against_ourselves(bench, "drain-always", 0.6, "everysec", "drains with AOF always", async |which| {
        let kind = Kind::default();
        Ok(bench.drain("drain-always", Engine::Ours, policies[which], kind, bench.jobs, |_| {}).await?.per_s)
    })
    .await
}

/// Measures two settings of ours in turns; the second is the reference.
pub(crate) async fn against_ourselves(
    bench: &Bench,
    row: &'static str,
    least: f64,
    reference: &str,
    about: &str,
    once: impl AsyncFn(usize) -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<Measured>> {
    let mut found = [payfleet_tests::measure::Series::default(), payfleet_tests::measure::Series::default()];
    for _ in 0..bench.times {
        for (which, series) in found.iter_mut().enumerate() {
            series.push(once(which).await?);
        }
    }
    let [series, before] = found;
    let references = vec![(format!("ours, {reference}"), before)];
    let target = Target::Ratio(least);
    Ok(vec![Measured { row, about: about.to_owned(), unit: "jobs/s", series, references, target }])
}

/// `ten-ms`: jobs of 10 ms, 500 at a time.
pub(crate) async fn ten_ms(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    const ENGINES: [Engine; 3] = [Engine::Ours, Engine::Stream, Engine::Stock];
    let drain = async |engine| {
        let act = |orders: &mut crate::worker::Orders| orders.act = Act::TakeTenMs;
        bench.drain("ten-ms", engine, EverySec, Kind::default(), bench.jobs, act).await
    };
    let found = bench.in_turns(&ENGINES, drain).await?;
    let rates = series(&found, |one| one.per_s);
    Ok(vec![Measured::of("ten-ms", "jobs of 10 ms, 500 at a time", "jobs/s", &rates, Target::Ratio(0.9))])
}
