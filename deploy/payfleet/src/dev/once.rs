//! The finite demo: a few of everything, followed to its end, and an account of it that fails unless
//! all of it settled.

use std::time::{Duration, Instant};

use anyhow::Context;
use payfleet_core::job::Origin;
use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, Clock, OperationId, Timestamp};
use payfleet_process::SystemClock;
use payfleet_worker::jobs;

use super::demo::{run_name, webhooks};
use super::fleet::Fleet;
use super::report::{self, Asked, Report};

const PAYOUTS: u64 = 5;
const MINTS: u64 = 3;
/// Whose record is compared with ours.
const RECONCILED: [Provider; 2] = [Provider::Heleket, Provider::TrovoTech];
/// How far before the demo's start the compared window begins.
const BEFORE_MS: i64 = 60_000;
const POLL: Duration = Duration::from_millis(100);

/// Runs it, prints its account, and fails if anything is not as it should be.
pub(super) async fn run(fleet: &Fleet, patience: Duration, as_json: bool) -> anyhow::Result<()> {
    let began = Instant::now();
    let from = SystemClock.now().plus_ms(-BEFORE_MS);
    let asked = ask(fleet).await?;
    let finished = async {
        until_settled(fleet, &asked.operations).await?;
        reconcile(fleet, from).await
    };
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(patience, finished) => outcome,
        error = fleet.until_something_ends() => return Err(error),
    };
    let report = Report::make(fleet, &asked, began.elapsed()).await?;
    report.print(as_json)?;
    match outcome {
        Err(_) => anyhow::bail!(
            "the demo was not over after {} s: {}",
            patience.as_secs(),
            report.problems().join("; ")
        ),
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) if report.problems().is_empty() => Ok(()),
        Ok(Ok(())) => anyhow::bail!("the demo went wrong: {}", report.problems().join("; ")),
    }
}

async fn ask(fleet: &Fleet) -> anyhow::Result<Asked> {
    let (run, intake) = (run_name(), fleet.intake());
    let mut operations = Vec::new();
    for number in 0..PAYOUTS {
        let key = format!("once-{run}-payout-{number}");
        let id = intake.payout(&key, number).await?;
        // A client that did not hear the answer asks again: it must be the same payout.
        let again = intake.payout(&key, number).await?;
        anyhow::ensure!(id == again, "the same request under the same key made two payouts: {id}, {again}");
        operations.push(id);
    }
    for number in 0..MINTS {
        operations.push(intake.mint(&format!("once-{run}-mint-{number}"), &run, number).await?);
    }
    webhooks(fleet.sandboxes(), &run).await?;
    Ok(Asked { operations, reconciled: RECONCILED.len() })
}

/// Until every operation is final, every webhook delivered and every queue empty.
async fn until_settled(fleet: &Fleet, operations: &[OperationId]) -> anyhow::Result<()> {
    for id in operations {
        while !fleet.store().operation(*id).await?.is_some_and(|operation| operation.state.is_final()) {
            tokio::time::sleep(POLL).await;
        }
    }
    let queues = JobKind::ALL.into_iter().map(JobKind::queue).collect::<Result<Vec<_>, _>>()?;
    loop {
        let undelivered = fleet.sandboxes().undelivered().await?;
        let stats = fleet.queue().stats(&queues).await?;
        if undelivered == 0 && stats.iter().all(|queue| queue.ready + queue.running + queue.delayed == 0) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Has each record compared, and waits for the results.
async fn reconcile(fleet: &Fleet, from: Timestamp) -> anyhow::Result<()> {
    let to = SystemClock.now().plus_ms(1_000);
    for provider in RECONCILED {
        let window = Reconcile { provider, account: AccountId::default(), from, to };
        let job =
            jobs::reconcile(&window, Origin::Admin).context("the reconciliation cannot be asked for")?;
        fleet.queue().enqueue(&[job]).await?;
    }
    while report::finished_runs(fleet).await? < RECONCILED.len() {
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
