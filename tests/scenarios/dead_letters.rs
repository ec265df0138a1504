//! Dead letters: from the last attempt to Postgres, and out of it again.

use std::time::Duration;

use payfleet_core::OperationId;
use payfleet_tests::stripe;
use payfleet_tests::world::{Setup, World};
use serde_json::json;

use crate::orders::{mine, pay, placed};

#[tokio::test]
async fn a_job_that_cannot_be_read_is_dead_with_its_history_and_archived() {
    let world = World::start().await;
    let mut job = {
        let subject = payfleet_worker::jobs::Subject {
            id: payfleet_tests::store::payout("k").id(),
            kind: payfleet_core::kinds::OperationKind::Payout,
            tenant: payfleet_core::TenantId::default(),
        };
        payfleet_worker::jobs::wake_up(
            &subject,
            1,
            std::time::Duration::ZERO,
            payfleet_core::job::Origin::Admin,
        )
        .unwrap()
    };
    job.payload = serde_json::value::to_raw_value(&json!({"nothing": "useful"})).unwrap();
    world.queue.enqueue(&[job.clone()]).await.unwrap();
    world.run_until_idle().await;
    let dead = world.store.dead_letters(10, false).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].job_id, dead[0].code.as_str()), (job.id, "undecodable"));
    assert!(!dead[0].message.contains("useful"), "a payload must not be in an error");
    world.finish().await;
}

/// A payout that stands still: the provider has refused our credentials once.
async fn parked_payout(world: &World) -> OperationId {
    let refusal = json!({"body": {"state": 1, "message": "Invalid Sign."}});
    world.providers.plan(&world.providers.heleket, "/v1/payout", 1, refusal).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "retrying").await;
    id
}

#[tokio::test]
async fn a_parked_payout_that_an_operator_releases_goes_on_under_the_same_key() {
    let world = World::start().await;
    let id = parked_payout(&world).await;
    let letter = world.store.dead_letters(10, false).await.unwrap().remove(0);

    let listed = world.payfleet(&["dlq", "list", "--json"]).await;
    assert!(listed.contains(&letter.job_id.to_string()), "{listed}");
    let shown = world.payfleet(&["dlq", "show", &letter.job_id.to_string()]).await;
    assert!(shown.contains("unauthorized") || shown.contains("provider_refuses_us"), "{shown}");
    world.payfleet(&["dlq", "retry", &letter.job_id.to_string()]).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert!(world.store.dead_letters(10, false).await.unwrap().is_empty());
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn polls_that_are_refused_our_credentials_go_on_and_leave_no_dead_letters() {
    let hour = Duration::from_secs(3_600);
    let world = World::with(Setup { heleket_settles_after: hour, ..Setup::default() }).await;
    let heleket = &world.providers.heleket;
    let refusal = json!({"body": {"state": 1, "message": "Invalid Sign."}});
    world.providers.plan(heleket, "/v1/payout/info", 3, refusal).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    let refused = async |world: &World| world.providers.fired(&world.providers.heleket).await == 3;
    world.until("it was refused, and asked again", refused).await;
    world.providers.stripe_clock.pass(hour);
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert!(world.store.dead_letters(10, true).await.unwrap().is_empty());
    world.finish().await;
}

/// What Heleket has taken and then will not be asked about is a riddle for a person, told once; the polls
/// go on.
#[tokio::test]
async fn polls_that_are_refused_for_good_go_on_and_are_one_discrepancy() {
    let hour = Duration::from_secs(3_600);
    let world = World::with(Setup { heleket_settles_after: hour, ..Setup::default() }).await;
    let heleket = &world.providers.heleket;
    let body =
        json!({"state": 1, "message": "Validation error", "errors": {"uuid": ["Unknown."]}}).to_string();
    let headers = json!({"content-type": "application/json"});
    let gone = json!({"answer": {"status": 422, "headers": headers, "body": body}});
    world.providers.plan(heleket, "/v1/payout/info", 3, gone).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    let refused = async |world: &World| world.providers.fired(&world.providers.heleket).await == 3;
    world.until("it was refused, and asked about again", refused).await;
    world.assert_state(id, "accepted").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.providers.stripe_clock.pass(hour);
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert!(world.store.dead_letters(10, true).await.unwrap().is_empty());
    world.finish().await;
}

/// Days later a person is asked to ask; it is never called failed, and news moves it still.
#[tokio::test]
async fn payouts_that_no_provider_ends_are_shown_to_a_person_and_settle_when_it_does() {
    let hour = Duration::from_secs(3_600);
    let setup = Setup { heleket_settles_after: hour, stripe_settles_after: hour, ..Setup::default() };
    let world = World::with(setup).await;
    let carrier = stripe::funded_account(&world, "carrier", "40").await;
    let to_a_bank = stripe::ask(&world, "/v1/payouts", "bank", stripe::payout(carrier, "25")).await;
    let to_an_address = world.api.payout("order-1", "15.5").await.accepted();
    for (id, days) in [(to_a_bank, 11), (to_an_address, 4)] {
        stripe::until(&world, id, "accepted").await;
        world.accepted_earlier(id, days).await;
        let is_parked = async |world: &World| {
            // A look that came in between has put the next one off by a minute.
            world.give_up_claims().await;
            let view = world.store.operation(id).await.unwrap();
            view.is_some_and(|view| view.parked.as_deref() == Some("not_final"))
        };
        world.until("it is parked", is_parked).await;
        world.assert_state(id, "accepted").await;
    }
    let told = world.store.open_discrepancies().await.unwrap();
    assert_eq!(told, 2);
    world.providers.stripe_clock.pass(hour);
    for id in [to_a_bank, to_an_address] {
        stripe::until(&world, id, "settled").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn looks_at_a_chain_that_are_refused_our_credentials_leave_no_dead_letters() {
    let world = World::start().await;
    let refusal =
        json!({"answer": {"status": 401, "headers": {"content-type": "application/json"}, "body": "{}"}});
    world.providers.plan(&world.providers.tatum, "/v4/data/blockchains/block/current", 3, refusal).await;
    let (id, address) = placed(&world, "o-1", "10").await;
    pay(&world, &address, "10").await;
    mine(&world, 5).await;
    world.run_until_idle().await;
    assert_eq!(world.providers.fired(&world.providers.tatum).await, 3);
    world.assert_state(id, "settled").await;
    assert!(world.store.dead_letters(10, true).await.unwrap().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn a_parked_payout_that_its_client_cancels_is_over_and_was_never_made() {
    let world = World::start().await;
    let id = parked_payout(&world).await;
    world.api.post(&format!("/v1/payouts/{id}/cancel"), "unused", &json!({})).await.accepted();
    world.run_until_idle().await;
    let shown = world.api.get(&format!("/v1/payouts/{id}")).await.body;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("failed"), &json!("cancelled")), "{shown}");
    assert!(shown["parked"].is_null(), "{shown}");
    let letter = world.store.dead_letters(10, false).await.unwrap().remove(0);
    world.payfleet(&["dlq", "retry", &letter.job_id.to_string()]).await;
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    assert!(world.providers.effects(&world.providers.heleket).await.is_empty());
    world.finish().await;
}
