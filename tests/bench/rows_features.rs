//! What the queue's further promises cost: lanes and keys to jobs beside them that use none, a permit
//! and a breaker's leave to a call that asks for them.

use std::time::Instant;

use payfleet::servers::AppendFsync::EverySec;
use payfleet_queue::limits::{Admission, BreakerPolicy, Limit, Verdict};
use payfleet_queue::{Config, Queue};
use payfleet_tests::measure::{Measured, Series, Target};

use crate::bench::{Bench, rate};
use crate::engine::{Engine, connect};
use crate::load::Kind;
use crate::rows_drain::against_ourselves;

/// At most 15 % slower.
const ALMOST: f64 = 0.85;

/// `lanes`: one job in ten has a lane.
pub(crate) async fn lanes(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let kinds = [Kind { lane_each: 10, ..Kind::default() }, Kind::default()];
    against_ourselves(
        bench,
        "lanes",
        ALMOST,
        "no lanes",
        "drains jobs of which one in ten has a lane",
        async |which| {
            Ok(bench.drain("lanes", Engine::Ours, EverySec, kinds[which], bench.jobs, |_| {}).await?.per_s)
        },
    )
    .await
}

/// `keys`: all jobs have a dedupe key.
pub(crate) async fn keys(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let kinds = [Kind { keyed: true, ..Kind::default() }, Kind::default()];
    against_ourselves(
        bench,
        "keys",
        ALMOST,
        "no keys",
        "drains jobs that all have a dedupe key",
        async |which| {
            Ok(bench.drain("keys", Engine::Ours, EverySec, kinds[which], bench.jobs, |_| {}).await?.per_s)
        },
    )
    .await
}

#[derive(Clone, Copy)]
enum Call {
    Permit,
    Leave,
    Ping,
}

/// `limiter-permit`, `breaker-leave`: beside a PING, the least that a call of Redis can cost.
pub(crate) async fn calls(bench: &Bench) -> anyhow::Result<Vec<Measured>> {
    let mut found = [Series::default(), Series::default(), Series::default()];
    for _ in 0..bench.times {
        for (series, call) in found.iter_mut().zip([Call::Permit, Call::Leave, Call::Ping]) {
            series.push(by_sixteen(bench, call).await?);
        }
    }
    let [permits, leaves, pings] = found;
    let row = |row, about: &str, series| Measured {
        row,
        about: about.to_owned(),
        unit: "calls/s",
        series,
        references: vec![("PING".to_owned(), pings.clone())],
        target: Target::Shown,
    };
    Ok(vec![
        row("limiter-permit", "permits of one limiter, 16 callers", permits),
        row("breaker-leave", "leaves of one breaker, each with its report, 16 callers", leaves),
    ])
}

async fn by_sixteen(bench: &Bench, call: Call) -> anyhow::Result<f64> {
    const CALLERS: u64 = 16;
    let server = bench.redis(EverySec).await?;
    let queue = Queue::open(Config::new(server.url()))?;
    queue.ping().await?;
    let redis = connect(&server.url()).await?;
    let calls = bench.jobs / CALLERS;
    let began = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (queue, mut redis) = (queue.clone(), redis.clone());
        payfleet_process::spawn("a caller", async move {
            let limiter = queue.limiter("bench", Limit::per_second(1_000_000))?;
            let breaker = queue.breaker("bench", BreakerPolicy::default())?;
            for _ in 0..calls {
                match call {
                    Call::Permit => {
                        limiter.acquire().await?;
                    }
                    Call::Leave => match breaker.admit().await? {
                        Admission::Admitted(pass) => {
                            breaker.report(pass, Verdict::Success, "").await?;
                        }
                        Admission::Open { .. } => anyhow::bail!("nothing failed"),
                    },
                    Call::Ping => redis::cmd("PING").query_async::<()>(&mut redis).await?,
                }
            }
            anyhow::Ok(())
        })
    });
    for ended in futures::future::join_all(callers).await {
        ended??;
    }
    Ok(rate(calls * CALLERS, began.elapsed()))
}
