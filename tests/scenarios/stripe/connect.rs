//! Connected accounts: what they may receive, transfers to them, and payouts to their banks.

use std::time::Duration;

use payfleet_core::job::Origin;
use payfleet_core::kinds::{JobKind, OperationKind};
use payfleet_core::{Money, OperationId, TenantId};
use payfleet_providers::stripe::{Client, IdempotencyKey, NewReversal};
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs::{self, Subject};
use serde_json::json;

use super::{
    account, ask, balance, effects, fund, funded_account, onboard, payment, payout, shown, transfer, until,
};

const HOUR: Duration = Duration::from_secs(3_660);

#[tokio::test]
async fn money_goes_from_our_balance_to_an_account_and_from_there_to_its_bank() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    let slow = ask(&world, "/v1/payouts", "slow", payout(account, "25")).await;
    let mut fast = payout(account, "5");
    fast["speed"] = json!("instant");
    let fast = ask(&world, "/v1/payouts", "fast", fast).await;
    world.run_until_idle().await;
    world.assert_state(slow, "settled").await;
    world.assert_state(fast, "settled").await;
    let view = shown(&world, slow).await;
    assert_eq!((&view["account"], &view["speed"]), (&json!(account), &json!("standard")));
    let at_stripe = shown(&world, account).await["provider_ref"].as_str().unwrap().to_owned();
    assert_eq!(balance(&world, "provider:stripe:default").await, "960");
    assert_eq!(balance(&world, &format!("provider:stripe:{at_stripe}")).await, "10");
    assert_eq!(balance(&world, "payouts:default").await, "30");
    assert_eq!((effects(&world, "transfer").await, effects(&world, "payout").await), (1, 2));
    world.finish().await;
}

#[tokio::test]
async fn an_account_that_may_not_receive_is_sent_nothing_and_the_reason_names_what_is_missing() {
    let world = World::start().await;
    fund(&world, "funds").await;
    let body = json!({"country": "US", "email": "carrier@example.com"});
    let account = ask(&world, "/v1/accounts", "carrier", body).await;
    let sent = ask(&world, "/v1/transfers", "t", transfer(account, "40")).await;
    let paid = ask(&world, "/v1/payouts", "p", payout(account, "25")).await;
    world.run_until_idle().await;
    for id in [sent, paid] {
        let view = shown(&world, id).await;
        assert_eq!(view["state"], "failed", "{view}");
        let reason = view["reason"].as_str().unwrap();
        assert!(reason.contains("external_account") && reason.contains("tos_acceptance.date"), "{reason}");
    }
    assert_eq!((effects(&world, "transfer").await, effects(&world, "payout").await), (0, 0));
    let told = &shown(&world, account).await["result"];
    assert_eq!((&told["payouts_enabled"], &told["transfers"]), (&json!(false), &json!("inactive")), "{told}");
    world.finish().await;
}

#[tokio::test]
async fn what_an_account_may_do_is_shown_as_it_changes() {
    let world = World::start().await;
    let body = json!({"country": "US", "email": "carrier@example.com"});
    let account = ask(&world, "/v1/accounts", "carrier", body).await;
    until(&world, account, "settled").await;
    world
        .providers
        .plan(&world.providers.stripe, "/v1/account_links", 1, json!({"ends": "restricted"}))
        .await;
    let result = async |world: &World| shown(world, account).await["result"].clone();
    onboard(&world, account, "first").await;
    world
        .until("a document is asked for", async |world| {
            result(world).await["currently_due"] == json!(["individual.verification.document"])
        })
        .await;
    onboard(&world, account, "second").await;
    world
        .until("nothing is missing", async |world| {
            let told = result(world).await;
            told["payouts_enabled"] == true
                && told["transfers"] == "active"
                && told["currently_due"].is_null()
        })
        .await;
    world.run_until_idle().await;
    world.assert_state(account, "settled").await;
    assert!(!world.history_text().await.contains("/setup/"), "a link is in the history");
    world.finish().await;
}

/// The refusal is what the key will always be told, so a new intent is opened when it is time.
#[tokio::test]
async fn a_transfer_waits_until_our_balance_covers_it() {
    let world = World::with(Setup { stripe_settles_after: HOUR, ..Setup::default() }).await;
    let paid = ask(&world, "/v1/payments", "p", payment("100", "pm_card_visa")).await;
    until(&world, paid, "settled").await;
    let account = account(&world, "carrier").await;
    let id = ask(&world, "/v1/transfers", "t", transfer(account, "50")).await;
    world
        .until("it was refused twice", async |world| {
            let view = world.store.operation(id).await.unwrap();
            view.is_some_and(|view| {
                matches!(view.state, payfleet_core::kinds::lifecycle::State::Retrying { intent } if intent >= 3)
            })
        })
        .await;
    assert_eq!(effects(&world, "transfer").await, 0);
    world.providers.stripe_clock.pass(HOUR);
    until(&world, id, "settled").await;
    assert_eq!(effects(&world, "transfer").await, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_the_bank_sends_back_days_later_is_returned_and_posted_back() {
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
    assert_eq!(balance(&world, "payouts:default").await, "25");
    world.providers.stripe_clock.pass(HOUR);
    until(&world, id, "returned").await;
    world.run_until_idle().await;
    assert_eq!(shown(&world, id).await["reason"], "account_closed");
    assert_eq!(balance(&world, "payouts:default").await, "0");
    world.finish().await;
}

/// Somebody does it on Stripe's own page: the ledger follows, or a person is told.
#[tokio::test]
async fn a_transfer_that_is_reversed_is_returned_and_a_part_of_it_is_shown_to_a_person() {
    let world = World::start().await;
    fund(&world, "funds").await;
    let account = account(&world, "carrier").await;
    let stripe = Client::new(&world.providers.stripe_config()).unwrap();
    for (key, part, state, left) in [("all", None, "returned", "0"), ("part", Some("4"), "settled", "40")] {
        let id = ask(&world, "/v1/transfers", key, transfer(account, "40")).await;
        until(&world, id, "settled").await;
        let sent = shown(&world, id).await["provider_ref"].as_str().unwrap().to_owned();
        let amount = part.map(|part| Money::parse_positive(part, "USD".parse().unwrap()).unwrap());
        let reversal = NewReversal { amount, ..NewReversal::default() };
        let ours = IdempotencyKey::new(&format!("{key}-reversed")).unwrap();
        stripe.platform().reverse_transfer(&sent, &reversal, &ours).await.unwrap();
        until(&world, id, state).await;
        if part.is_some() {
            world
                .until("a person is told", async |world| world.store.open_discrepancies().await.unwrap() > 0)
                .await;
        }
        world.run_until_idle().await;
        let theirs =
            format!("provider:stripe:{}", shown(&world, account).await["provider_ref"].as_str().unwrap());
        assert_eq!(balance(&world, &theirs).await, left, "{key}");
    }
    world.finish().await;
}

/// Nothing asks again about what has settled, so a look at it that comes to nothing is for a person.
#[tokio::test]
async fn a_look_at_a_reversed_transfer_that_stripe_refuses_is_a_dead_letter_until_it_is_redriven() {
    let world = World::start().await;
    fund(&world, "funds").await;
    let account = account(&world, "carrier").await;
    let stripe = Client::new(&world.providers.stripe_config()).unwrap();
    let id = ask(&world, "/v1/transfers", "all", transfer(account, "40")).await;
    until(&world, id, "settled").await;
    world.run_until_idle().await;
    let sent = shown(&world, id).await["provider_ref"].as_str().unwrap().to_owned();
    let body = json!({"error": {"type": "invalid_request_error", "code": "resource_missing"}}).to_string();
    let headers = json!({"content-type": "application/json"});
    let missing = json!({"answer": {"status": 404, "headers": headers, "body": body}});
    world.providers.plan(&world.providers.stripe, &format!("/v1/transfers/{sent}"), 1, missing).await;
    // The call that reverses it has another path.
    let key = IdempotencyKey::new("reversed").unwrap();
    stripe.platform().reverse_transfer(&sent, &NewReversal::default(), &key).await.unwrap();
    let is_told = async |world: &World| !world.store.dead_letters(10, false).await.unwrap().is_empty();
    world.until("a person is told", is_told).await;
    world.assert_state(id, "settled").await;
    let letter = world.store.dead_letters(10, false).await.unwrap().remove(0);
    assert_eq!(
        (letter.code.as_str(), letter.operation_id),
        ("resource_missing", Some(id.as_uuid())),
        "{letter:?}"
    );
    world.payfleet(&["dlq", "retry", &letter.job_id.to_string()]).await;
    world.run_until_idle().await;
    world.assert_state(id, "returned").await;
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_the_bank_refuses_fails_and_nothing_is_posted() {
    let world = World::start().await;
    let account = funded_account(&world, "carrier", "40").await;
    world.providers.plan(&world.providers.stripe, "/v1/payouts", 1, json!({"ends": "failed"})).await;
    let id = ask(&world, "/v1/payouts", "p", payout(account, "25")).await;
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    assert_eq!(balance(&world, "payouts:default").await, "");
    world.finish().await;
}

/// Nobody has heard of the account, because nobody has looked at its job yet.
#[tokio::test]
async fn a_transfer_to_an_account_whose_queue_is_paused_waits_for_it() {
    let world = World::start().await;
    fund(&world, "funds").await;
    let accounts = JobKind::Account.queue().unwrap();
    world.queue.pause(&accounts).await.unwrap();
    let body = json!({"country": "US", "email": "carrier@example.com"});
    let account = ask(&world, "/v1/accounts", "carrier", body).await;
    let transfer = ask(&world, "/v1/transfers", "t", transfer(account, "10")).await;
    until(&world, transfer, "requested").await;
    let subject = Subject { id: transfer, kind: OperationKind::Transfer, tenant: TenantId::default() };
    for look in 0..13 {
        let job = jobs::wake_up(&subject, 1_000 + look, Duration::ZERO, Origin::Admin).unwrap();
        world.queue.enqueue(std::slice::from_ref(&job)).await.unwrap();
        let is_over = async |world: &World| world.queue.find(&job.queue, job.id).await.unwrap().is_none();
        world.until("it has been looked at", is_over).await;
    }
    world.assert_state(transfer, "requested").await;
    world.queue.resume(&accounts).await.unwrap();
    until(&world, account, "settled").await;
    until(&world, transfer, "failed").await;
    let reason = shown(&world, transfer).await["reason"].clone();
    assert!(reason.as_str().unwrap().contains("external_account"), "it is known now: {reason}");
    world.finish().await;
}

#[tokio::test]
async fn a_transfer_to_an_account_that_nobody_has_heard_of_for_a_day_is_shown_to_a_person() {
    let world = World::start().await;
    let nobody = OperationId::derive(&TenantId::default(), "/v1/accounts", "never asked for");
    let id = ask(&world, "/v1/transfers", "t", transfer(nobody, "10")).await;
    until(&world, id, "requested").await;
    world.age(id, 25 * 3_600).await;
    let is_parked = async |world: &World| {
        let view = world.store.operation(id).await.unwrap();
        view.is_some_and(|view| view.parked.as_deref() == Some("subject_unknown"))
    };
    world.until("it is parked", is_parked).await;
    world.assert_state(id, "requested").await;
    let is_told = async |world: &World| world.store.has_dead_letter(id).await.unwrap();
    world.until("a person is told", is_told).await;
    world.api.post(&format!("/v1/transfers/{id}/cancel"), "unused", &json!({})).await.accepted();
    until(&world, id, "failed").await;
    world.finish().await;
}
