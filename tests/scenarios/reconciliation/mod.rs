//! Reconciliation: both records, side by side. Each class of difference where it can occur, by provider.

mod heleket;
mod runs;
mod stripe;
mod tatum;
mod trovotech;

use payfleet_core::job::Origin;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::{Action, Effect, Provider};
use payfleet_core::{AccountId, Clock, OperationId, ProviderKey, Timestamp};
use payfleet_process::SystemClock;
use payfleet_tests::stripe::until;
use payfleet_tests::world::World;
use serde_json::Value;

/// The last hour, and the minute to come.
fn window() -> (Timestamp, Timestamp) {
    let now = SystemClock.now();
    (now.plus_ms(-3_600_000), now.plus_ms(60_000))
}

/// Compares the last hour; the run's report once it has ended.
async fn reconcile(world: &World, provider: Provider) -> Value {
    compare(world, provider, window()).await
}

async fn compare(world: &World, provider: Provider, (from, to): (Timestamp, Timestamp)) -> Value {
    let reconcile = Reconcile { provider, account: AccountId::default(), from, to };
    let job = payfleet_worker::jobs::reconcile(&reconcile, Origin::Admin).unwrap();
    let id = job.id.to_string();
    world.queue.enqueue(&[job]).await.unwrap();
    report(world, &id).await
}

/// The report of the run of a job, once it has ended.
async fn report(world: &World, job: &str) -> Value {
    let of_job = format!("/v1/reconciliations?job_id={job}");
    let listed = async |world: &World| world.api.get(&of_job).await.body["reconciliations"][0].clone();
    let has_ended = |run: &Value| run["state"].is_string() && run["state"] != "running";
    // However long it takes, it goes on.
    let mut run = Value::Null;
    while !has_ended(&run) {
        let so_far = (run["listed"].clone(), run["held"].clone());
        world
            .until("the run goes on, or has ended", async |world| {
                let run = listed(world).await;
                has_ended(&run) || so_far != (run["listed"].clone(), run["held"].clone())
            })
            .await;
        run = listed(world).await;
    }
    let number = &run["id"];
    world.api.get(&format!("/v1/reconciliations/{number}")).await.body
}

/// What a run has found, each with what it did about it.
fn found(report: &Value) -> Vec<(&str, Option<&str>)> {
    let found = report["discrepancies"].as_array().unwrap_or_else(|| panic!("no report: {report}"));
    assert_eq!(report["differences"], found.len(), "{report}");
    found.iter().map(|one| (one["difference"].as_str().unwrap(), one["remedy"].as_str())).collect()
}

/// Does behind the fleet's back what an operation's first intent does, under its key.
async fn call(world: &World, provider: Provider, effect: &Effect, operation: OperationId) {
    let key = ProviderKey::derive(provider, &AccountId::default(), operation, effect.action(), 1);
    let clients = payfleet_providers::Clients::new(world.providers.configs()).unwrap();
    let reply = clients.of(provider).unwrap().call(effect, &key).await;
    assert!(matches!(reply.outcome, payfleet_core::provider::CallOutcome::Accepted { .. }), "{reply:?}");
}

/// An operation that nobody here has.
fn stranger(action: Action) -> OperationId {
    OperationId::derive(&payfleet_core::TenantId::default(), "elsewhere", action.as_str())
}
