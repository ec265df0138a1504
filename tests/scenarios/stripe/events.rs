//! Stripe's webhooks: twice, late, in any order, contradictory, of others: every time the same end.

use payfleet_core::OperationId;
use payfleet_tests::world::World;
use serde_json::{Value, json};

use super::{ask, funded_account, payment, payout, refund, shown, until};

async fn count(world: &World, status: &str) -> i64 {
    let counts = world.store.webhook_counts().await.unwrap();
    counts.iter().filter(|one| one.provider == "stripe" && one.status == status).map(|one| one.count).sum()
}

/// What an operation made at Stripe, as an event shows it.
async fn object(world: &World, id: OperationId, kind: &str, status: &str) -> Value {
    let made = shown(world, id).await["provider_ref"].clone();
    json!({"id": made, "object": kind, "status": status, "amount": 2000, "amount_received": 2000, "currency": "usd"})
}

#[tokio::test]
async fn events_that_come_three_times_and_backwards_end_the_same() {
    let world = World::start().await;
    let stripe = &world.providers.stripe;
    world.providers.deliver_so(stripe, json!({"copies": 3, "hold": true})).await;
    let paid = ask(&world, "/v1/payments", "p", payment("20", "pm_card_visa")).await;
    let back = ask(&world, "/v1/refunds", "r", refund(paid, "5")).await;
    let declined = ask(&world, "/v1/payments", "d", payment("20", "pm_card_chargeDeclined")).await;
    for (id, state) in [(back, "settled"), (declined, "failed")] {
        until(&world, id, state).await;
    }
    world.providers.deliver_so(stripe, json!({"reversed": true})).await;
    world.run_until_idle().await;
    for (id, state) in [(paid, "settled"), (back, "settled"), (declined, "failed")] {
        world.assert_state(id, state).await;
    }
    assert!(count(&world, "processed").await >= 3);
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_is_faster_than_the_answer_of_our_call_finds_its_operation() {
    let world = World::start().await;
    let stripe = &world.providers.stripe;
    world.providers.plan(stripe, "/v1/payment_intents", 1, json!("hold_after_effect")).await;
    let id = ask(&world, "/v1/payments", "p", payment("20", "pm_card_visa")).await;
    world.providers.held(stripe, 1).await;
    world.until("the event is in its inbox", async |world| count(world, "processed").await >= 1).await;
    world.assert_state(id, "submitting").await;
    world.providers.release(stripe).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_contradicts_what_has_settled_is_shown_to_a_person_and_changes_nothing() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "p", payment("20", "pm_card_visa")).await;
    world.run_until_idle().await;
    let object = object(&world, id, "payment_intent", "canceled").await;
    let event = json!({"type": "payment_intent.canceled", "object": object});
    world.providers.emit(&world.providers.stripe, event).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_says_a_payout_came_back_is_looked_into_before_it_is_believed() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    let id = ask(&world, "/v1/payouts", "p", payout(account, "20")).await;
    world.run_until_idle().await;
    let from = shown(&world, account).await["provider_ref"].clone();
    let object = object(&world, id, "payout", "failed").await;
    let before = count(&world, "processed").await;
    let event = json!({"type": "payout.failed", "object": object, "account": from});
    world.providers.emit(&world.providers.stripe, event).await;
    world.run_until_idle().await;
    assert_eq!(count(&world, "processed").await, before + 1);
    world.assert_state(id, "settled").await;
    world.finish().await;
}

#[tokio::test]
async fn events_of_another_account_or_mode_are_stored_and_marked_and_change_nothing() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    let id = ask(&world, "/v1/payouts", "p", payout(account, "20")).await;
    world.run_until_idle().await;
    let from = shown(&world, account).await["provider_ref"].clone();
    let object = object(&world, id, "payout", "failed").await;
    let stranger =
        json!({"id": "po_stranger", "object": "payout", "status": "paid", "amount": 1, "currency": "usd"});
    let (ignored, processed) = (count(&world, "ignored").await, count(&world, "processed").await);
    for event in [
        json!({"type": "payout.failed", "object": object, "account": "acct_stranger"}),
        json!({"type": "payout.failed", "object": object, "account": from, "livemode": true}),
        json!({"type": "payout.paid", "object": stranger, "account": "acct_stranger"}),
    ] {
        world.providers.emit(&world.providers.stripe, event).await;
    }
    world.run_until_idle().await;
    assert_eq!((count(&world, "ignored").await, count(&world, "processed").await), (ignored + 3, processed));
    world.assert_state(id, "settled").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}
