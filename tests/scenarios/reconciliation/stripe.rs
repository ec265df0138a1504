//! Stripe: what our own account has made, and what connected accounts have paid out.

use std::time::Duration;

use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::{Capture, Payment};
use payfleet_core::kinds::payout::Origin;
use payfleet_core::kinds::transfer::Transfer;
use payfleet_core::provider::{Action, Effect, Provider};
use payfleet_core::{Clock, Money, OperationId};
use payfleet_process::SystemClock;
use payfleet_tests::stripe::{self, ask, balance, fund, funded_account, payout, shown, transfer};
use payfleet_tests::world::{Setup, World};
use serde_json::json;

use super::{call, compare, found, reconcile, stranger, until};

const HOUR: Duration = Duration::from_secs(3_660);

/// A transfer to the account, as the fleet's client is asked for it.
async fn effect(world: &World, account: OperationId, amount: &str) -> Effect {
    let money = Money::parse_positive(amount, "USD".parse().unwrap()).unwrap();
    let on = shown(world, account).await["provider_ref"].as_str().map(str::to_owned);
    Effect { asked: Request::Transfer(Transfer { money, account, group: None, origin: Origin::Manual }), on }
}

/// The id at Stripe of the last effect of a kind.
async fn last(world: &World, kind: &str) -> String {
    let effects = world.providers.effects(&world.providers.stripe).await;
    effects.into_iter().rfind(|effect| effect.kind == kind).unwrap().id
}

#[tokio::test]
async fn a_run_over_all_that_stripe_lists_agrees() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    ask(&world, "/v1/payouts", "p", payout(account, "25")).await;
    world.run_until_idle().await;
    let report = reconcile(&world, Provider::Stripe).await;
    assert_eq!(found(&report), []);
    // A payment, a transfer, and the account's payout.
    assert_eq!((&report["listed"], &report["held"]), (&json!(3), &json!(3)), "{report}");
    let totals = |side: &str| json!({"side": side, "asset": "USD", "count": 3, "amount": "1065"});
    assert_eq!(report["totals"], json!([totals("ours"), totals("theirs")]));
    world.finish().await;
}

/// No webhook of it reaches us; the run finds it, days after the payout was made.
#[tokio::test]
async fn a_bank_payout_that_came_back_unheard_is_returned_and_posted_back() {
    let world = World::with(Setup { stripe_settles_after: HOUR, ..Setup::default() }).await;
    let account = funded_account(&world, "carrier", "40").await;
    world
        .providers
        .plan(&world.providers.stripe, "/v1/payouts", 1, json!({"ends": "paid_then_failed"}))
        .await;
    let id = ask(&world, "/v1/payouts", "p", payout(account, "25")).await;
    until(&world, id, "accepted").await;
    world.providers.stripe_clock.pass(HOUR);
    until(&world, id, "settled").await;
    world.run_until_idle().await;
    world.providers.deliver_so(&world.providers.stripe, json!({ "hold": true })).await;
    world.providers.stripe_clock.pass(HOUR);
    // A window that does not hold the payout.
    let now = SystemClock.now();
    let report = compare(&world, Provider::Stripe, (now, now.plus_ms(60_000))).await;
    assert_eq!(found(&report), [("status", Some("asked"))]);
    until(&world, id, "returned").await;
    assert_eq!(balance(&world, "payouts:default").await, "0");
    let report = compare(&world, Provider::Stripe, (now, now.plus_ms(61_000))).await;
    assert_eq!(found(&report), []);
    // What comes late says nothing new.
    world.providers.deliver_so(&world.providers.stripe, json!({ "hold": false })).await;
    world.run_until_idle().await;
    world.assert_state(id, "returned").await;
    world.finish().await;
}

#[tokio::test]
async fn a_transfer_that_only_stripe_knows_is_found() {
    let mut world = World::start().await;
    world.strangers = 1;
    let account = funded_account(&world, "carrier", "40").await;
    world.run_until_idle().await;
    let effect = effect(&world, account, "3").await;
    world.abandon_webhooks();
    call(&world, Provider::Stripe, &effect, stranger(Action::Transfer)).await;
    assert_eq!(found(&reconcile(&world, Provider::Stripe).await), [("missing_here", None)]);
    world.finish().await;
}

#[tokio::test]
async fn a_payment_that_only_stripe_knows_is_missing_here() {
    let mut world = World::start().await;
    world.strangers = 1;
    let payment = Payment {
        money: Money::parse_positive("7", "USD".parse().unwrap()).unwrap(),
        customer: None,
        payment_method: Some("pm_card_visa".to_owned()),
        capture: Capture::Automatic,
        description: None,
    };
    world.abandon_webhooks();
    let effect = Effect { asked: Request::Payment(payment), on: None };
    call(&world, Provider::Stripe, &effect, stranger(Action::Payment)).await;
    let report = reconcile(&world, Provider::Stripe).await;
    assert_eq!(found(&report), [("missing_here", None)]);
    let found = &report["discrepancies"][0];
    assert_eq!((&found["theirs"]["amount"], &found["ours"]), (&json!("7"), &json!(null)), "{report}");
    world.finish().await;
}

/// It had settled, and its webhook is lost.
#[tokio::test]
async fn a_refund_that_came_back_unheard_is_returned_and_posted_back() {
    let world = World::start().await;
    let paid = ask(&world, "/v1/payments", "p", stripe::payment("20", "pm_card_refundFail")).await;
    until(&world, paid, "settled").await;
    world.run_until_idle().await;
    world.providers.deliver_so(&world.providers.stripe, json!({ "hold": true })).await;
    let id = ask(&world, "/v1/refunds", "r", stripe::refund(paid, "20")).await;
    until(&world, id, "settled").await;
    let comes_back = format!("{}/v1/refunds/{}", world.providers.stripe.url(), last(&world, "refund").await);
    let http = reqwest::Client::builder().build().unwrap();
    world
        .until("Stripe has it back", async |_| {
            let answer = http.get(&comes_back).bearer_auth("sandbox-api-key").send().await.unwrap();
            answer.json::<serde_json::Value>().await.unwrap()["status"] == "failed"
        })
        .await;
    world.assert_state(id, "settled").await;
    assert_eq!(balance(&world, "provider:stripe:default").await, "0");
    assert_eq!(found(&reconcile(&world, Provider::Stripe).await), [("status", Some("asked"))]);
    until(&world, id, "returned").await;
    assert_eq!(balance(&world, "provider:stripe:default").await, "20", "posted, and posted back");
    // What comes late says nothing new.
    world.providers.deliver_so(&world.providers.stripe, json!({ "hold": false })).await;
    world.run_until_idle().await;
    world.assert_state(id, "returned").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_payout_of_an_account_that_stripe_knows_no_more_is_missing_there() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    ask(&world, "/v1/payouts", "p", payout(account, "25")).await;
    world.run_until_idle().await;
    world.providers.forget(&world.providers.stripe, &last(&world, "payout").await).await;
    let report = reconcile(&world, Provider::Stripe).await;
    assert_eq!(found(&report), [("missing_there", None)]);
    world.finish().await;
}

#[tokio::test]
async fn a_transfer_of_another_amount_is_shown_with_both() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    world.providers.plan(&world.providers.stripe, "/v1/transfers", 1, json!("wrong_amount")).await;
    ask(&world, "/v1/transfers", "t", transfer(account, "5")).await;
    world.run_until_idle().await;
    let report = reconcile(&world, Provider::Stripe).await;
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
async fn a_transfer_that_failed_here_and_exists_there_is_for_a_person() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    let refused = json!({
        "status": 400, "headers": {"content-type": "application/json"},
        "body": r#"{"error":{"type":"invalid_request_error","code":"parameter_invalid","message":"no"}}"#,
    });
    let plan = json!({ "effect_then_answer": refused });
    world.providers.plan(&world.providers.stripe, "/v1/transfers", 1, plan).await;
    let id = ask(&world, "/v1/transfers", "t", transfer(account, "5")).await;
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    assert_eq!(found(&reconcile(&world, Provider::Stripe).await), [("status", None)]);
    world.finish().await;
}

#[tokio::test]
async fn a_transfer_that_is_there_twice_is_for_a_person() {
    let mut world = World::start().await;
    world.strangers = 1;
    let account = funded_account(&world, "carrier", "40").await;
    world.providers.plan(&world.providers.stripe, "/v1/transfers", 1, json!("forget_key")).await;
    let id = ask(&world, "/v1/transfers", "t", transfer(account, "5")).await;
    until(&world, id, "settled").await;
    world.run_until_idle().await;
    world.abandon_webhooks();
    call(&world, Provider::Stripe, &effect(&world, account, "5").await, id).await;
    assert_eq!(found(&reconcile(&world, Provider::Stripe).await), [("duplicate_there", None)]);
    world.finish().await;
}

#[tokio::test]
async fn a_transfer_in_doubt_that_bears_our_key_there_is_adopted() {
    let call_timeout = Duration::from_mins(1);
    let world = World::with(Setup { webhooks: false, call_timeout, ..Setup::default() }).await;
    fund(&world, "funds").await;
    let account = stripe::account(&world, "carrier").await;
    world.providers.plan(&world.providers.stripe, "/v1/transfers", 1, json!("reset_after_effect")).await;
    world.providers.plan(&world.providers.stripe, "/v1/transfers", 1, json!("hold")).await;
    let id = ask(&world, "/v1/transfers", "t", transfer(account, "5")).await;
    world.providers.held(&world.providers.stripe, 1).await;
    world.assert_state(id, "in_doubt").await;
    assert_eq!(found(&reconcile(&world, Provider::Stripe).await), [("status", Some("adopted"))]);
    until(&world, id, "settled").await;
    world.providers.release(&world.providers.stripe).await;
    world.finish().await;
}

#[tokio::test]
async fn a_bank_payout_that_does_not_arrive_for_weeks_is_woken() {
    let world = World::with(Setup { stripe_settles_after: HOUR, ..Setup::default() }).await;
    let account = funded_account(&world, "carrier", "40").await;
    let id = ask(&world, "/v1/payouts", "p", payout(account, "25")).await;
    until(&world, id, "accepted").await;
    world.age_transitions(id, 10 * 24).await;
    assert_eq!(found(&reconcile(&world, Provider::Stripe).await), [], "banks may take that long");
    world.age_transitions(id, 6 * 24).await;
    assert_eq!(found(&reconcile(&world, Provider::Stripe).await), [("stuck", Some("woken"))]);
    world.providers.stripe_clock.pass(HOUR);
    until(&world, id, "settled").await;
    world.finish().await;
}
