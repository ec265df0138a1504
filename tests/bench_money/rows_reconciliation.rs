//! `reconcile`: long records, compared in little memory and in time that grows as they do.

use std::time::{Duration, Instant};

use anyhow::Context;
use payfleet_core::AccountId;
use payfleet_core::job::Origin;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::Provider;
use payfleet_tests::measure::{Measured, Series, Target};
use payfleet_tests::records;
use payfleet_tests::world::{Setup, World};

use crate::bench::{Bench, Who};

/// The shorter record is this part of the longer one.
const PART: u32 = 10;

/// Between two looks at a run: what they cost is nothing beside it.
const BEAT: Duration = Duration::from_millis(50);

/// What one comparison took.
struct Took {
    seconds: f64,
    peak_mib: f64,
}

/// A row for each provider and one for the memory of the worst of them. `show` is given each when it is
/// there.
pub(crate) async fn reconciliation(bench: &Bench, show: impl Fn(&Measured)) -> anyhow::Result<()> {
    let count = if bench.quick { 10_000 } else { 100_000 };
    let mut worst_mib = 0.0_f64;
    for provider in Provider::ALL.into_iter().filter(|one| bench.wants("reconcile") || bench.wants(row(*one)))
    {
        let mut rates = [(Who::Ours, Series::default()), (Who::Part, Series::default())];
        for (place, records) in [count, count / PART].into_iter().enumerate() {
            let took = compare(provider, records).await?;
            rates[place].1.push(f64::from(records) / took.seconds);
            worst_mib = worst_mib.max(took.peak_mib);
        }
        let about = format!("records of {count} at {provider} compared with as many of ours");
        show(&Measured::of(row(provider), about, "records/s", &rates, Target::Ratio(0.8)));
    }
    let about = format!(
        "the most memory that a worker held while it compared {count} records, of the four providers"
    );
    let mut peak = Series::default();
    peak.push(worst_mib);
    let peaks = [(Who::Ours, peak)];
    show(&Measured::of("reconcile-memory", about, "MiB", &peaks, Target::AtMost(100.0)));
    Ok(())
}

const fn row(provider: Provider) -> &'static str {
    match provider {
        Provider::Stripe => "reconcile-stripe",
        Provider::Tatum => "reconcile-tatum",
        Provider::Heleket => "reconcile-heleket",
        Provider::TrovoTech => "reconcile-trovotech",
    }
}

/// Has a worker, a process of its own, compare `count` records.
async fn compare(provider: Provider, count: u32) -> anyhow::Result<Took> {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let (from, to) = records::agree(&world, provider, count).await;
    let worker = world.worker_process("comparing").await;
    let reconcile = Reconcile { provider, account: AccountId::default(), from, to };
    let job = payfleet_worker::jobs::reconcile(&reconcile, Origin::Admin)?;
    let of_job = format!("/v1/reconciliations?job_id={}", job.id);
    let began = Instant::now();
    world.queue.enqueue(&[job]).await?;
    let mut beat = tokio::time::interval(BEAT);
    let run = loop {
        beat.tick().await;
        let run = world.api.get(&of_job).await.body["reconciliations"][0].clone();
        if run["state"].as_str().is_some_and(|state| state != "running") {
            break run;
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    for field in ["listed", "held"] {
        let seen = run[field].as_u64().context("a count")?;
        anyhow::ensure!(seen == u64::from(count), "{provider}: {seen} of {count} {field}");
    }
    anyhow::ensure!(run["differences"] == 0, "{provider}: {run}");
    let peak_mib = worker.peak_mib() as f64;
    anyhow::ensure!(worker.stop().await.success(), "{}", worker.last_words());
    world.leave().await;
    Ok(Took { seconds, peak_mib })
}
