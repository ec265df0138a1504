//! Heleket: payouts, which are found by our key and asked for by it.

use std::time::Duration;

use payfleet_core::provider::{Action, Effect, Provider};
use payfleet_tests::store::payout;
use payfleet_tests::world::{Setup, World};
use serde_json::json;

use super::{call, found, reconcile, stranger, until};

const PAYOUT: &str = "/v1/payout";

/// A fleet that hears of nothing by webhooks, and waits for calls that are held.
async fn deaf() -> World {
    let call_timeout = Duration::from_mins(1);
    World::with(Setup { webhooks: false, call_timeout, ..Setup::default() }).await
}

#[tokio::test]
async fn a_payout_that_only_the_provider_knows_is_found() {
    let mut world = World::start().await;
    world.strangers = 1;
    let effect = Effect { asked: payout("not ours").request, on: None };
    call(&world, Provider::Heleket, &effect, stranger(Action::Payout)).await;
    world.abandon_webhooks();
    let report = reconcile(&world, Provider::Heleket).await;
    assert_eq!(found(&report), [("missing_here", None)]);
    let found = &report["discrepancies"][0];
    assert_eq!((&found["theirs"]["amount"], &found["ours"]), (&json!("15.5"), &json!(null)), "{report}");
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_the_provider_knows_no_more_is_missing_there() {
    let world = World::start().await;
    world.api.payout("p-1", "5").await.accepted();
    world.run_until_idle().await;
    let effect = world.providers.effects(&world.providers.heleket).await.remove(0);
    world.providers.forget(&world.providers.heleket, &effect.id).await;
    let report = reconcile(&world, Provider::Heleket).await;
    assert_eq!(found(&report), [("missing_there", None)]);
    let found = &report["discrepancies"][0];
    assert_eq!((&found["ours"]["state"], &found["theirs"]), (&json!("settled"), &json!(null)), "{report}");
    world.finish().await;
}

#[tokio::test]
async fn a_payout_of_another_amount_is_shown_with_both() {
    let world = World::start().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("wrong_amount")).await;
    let id = world.api.payout("p-1", "5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "quarantined").await;
    let report = reconcile(&world, Provider::Heleket).await;
    assert_eq!(found(&report), [("amount", None)]);
    let found = &report["discrepancies"][0];
    assert_eq!(
        (&found["theirs"]["amount"], &found["ours"]["amount"]),
        (&json!("6"), &json!("5")),
        "{report}"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_failed_here_and_was_paid_there_is_for_a_person() {
    let world = deaf().await;
    let refused = json!({
        "status": 400, "headers": {"content-type": "application/json"},
        "body": r#"{"state":1,"message":"Minimum amount 50 USDT"}"#,
    });
    let plan = json!({ "effect_then_answer": refused });
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, plan).await;
    let id = world.api.payout("p-1", "5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    let report = reconcile(&world, Provider::Heleket).await;
    assert_eq!(found(&report), [("status", None)]);
    world.assert_state(id, "failed").await;
    world.finish().await;
}

#[tokio::test]
async fn what_is_paid_there_and_accepted_here_is_asked_for() {
    let (call_timeout, hour) = (Duration::from_mins(1), Duration::from_hours(1));
    let setup = Setup { webhooks: false, call_timeout, heleket_settles_after: hour, ..Setup::default() };
    let world = World::with(setup).await;
    world.providers.plan(&world.providers.heleket, "/v1/payout/info", 1, json!("hold")).await;
    let id = world.api.payout("p-1", "5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    world.assert_state(id, "accepted").await;
    world.providers.stripe_clock.pass(hour);
    assert_eq!(found(&reconcile(&world, Provider::Heleket).await), [("status", Some("asked"))]);
    until(&world, id, "settled").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.providers.release(&world.providers.heleket).await;
    world.finish().await;
}

#[tokio::test]
async fn what_is_in_doubt_here_and_bears_our_key_there_is_adopted() {
    let world = deaf().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("reset_after_effect")).await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("hold")).await;
    let id = world.api.payout("p-1", "5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    world.assert_state(id, "in_doubt").await;
    assert_eq!(found(&reconcile(&world, Provider::Heleket).await), [("status", Some("adopted"))]);
    until(&world, id, "settled").await;
    // The probe that was under way tells the same, late.
    world.providers.release(&world.providers.heleket).await;
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_is_there_twice_is_for_a_person() {
    let mut world = World::start().await;
    world.strangers = 1;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("forget_key")).await;
    let id = world.api.payout("p-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let effect = Effect { asked: payout("p-1").request, on: None };
    call(&world, Provider::Heleket, &effect, id).await;
    let report = reconcile(&world, Provider::Heleket).await;
    assert_eq!(found(&report), [("duplicate_there", None)]);
    assert_eq!((&report["listed"], &report["held"]), (&json!(2), &json!(1)));
    world.finish().await;
}

#[tokio::test]
async fn what_does_not_move_is_woken_once_and_then_shown_to_a_person_once() {
    let world = deaf().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!({ "status": 500 })).await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 3, json!("hold")).await;
    let id = world.api.payout("p-1", "5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    world.age_transitions(id, 25).await;
    assert_eq!(found(&reconcile(&world, Provider::Heleket).await), [("stuck", Some("woken"))]);
    world.providers.held(&world.providers.heleket, 2).await;
    assert_eq!(found(&reconcile(&world, Provider::Heleket).await), [("stuck", None)]);
    assert_eq!(found(&reconcile(&world, Provider::Heleket).await), []);
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.providers.release(&world.providers.heleket).await;
    until(&world, id, "settled").await;
    world.finish().await;
}
