//! Answers that are lost, workers that die: every kind settles, once.

use payfleet_core::OperationId;
use payfleet_tests::world::{Setup, World};
use serde_json::{Value, json};

use super::{
    account, ask, authorization, effects, fund, funded_account, payment, payout, refund, shown, transfer,
    until,
};

const FAULTS: [&str; 4] = ["reset_before", "reset_after_effect", "effect_then_timeout", "effect_then_500"];

/// As many of a kind as there are faults: each is met at least once, and some operations meet several.
async fn lose_answers(
    world: &World,
    at_stripe: &str,
    path: &str,
    body: impl Fn(usize) -> Value,
) -> Vec<OperationId> {
    let stripe = &world.providers.stripe;
    let before = world.providers.fired(stripe).await;
    for fault in FAULTS {
        world.providers.plan(stripe, at_stripe, 1, json!(fault)).await;
    }
    let mut ids = Vec::new();
    for number in 0..FAULTS.len() {
        ids.push(ask(world, path, &format!("{path} {number}"), body(number)).await);
    }
    for id in &ids {
        until(world, *id, "settled").await;
    }
    assert_eq!(world.providers.fired(stripe).await - before, FAULTS.len() as u64, "{path}");
    ids
}

#[tokio::test]
async fn payments_refunds_and_customers_whose_answers_were_lost_happen_once() {
    let world = World::start().await;
    let payments =
        lose_answers(&world, "/v1/payment_intents", "/v1/payments", |_| payment("20", "pm_card_visa")).await;
    lose_answers(&world, "/v1/refunds", "/v1/refunds", |number| refund(payments[number], "20")).await;
    assert_eq!((effects(&world, "payment").await, effects(&world, "refund").await), (4, 4));
    lose_answers(&world, "/v1/customers", "/v1/customers", |_| json!({"email": "payer@example.com"})).await;
    world.finish().await;
}

#[tokio::test]
async fn changes_of_a_payment_whose_answers_were_lost_happen_once() {
    let world = World::start().await;
    for (number, fault) in FAULTS.into_iter().enumerate() {
        let id =
            ask(&world, "/v1/payments", &format!("p-{number}"), authorization("20", "pm_card_visa")).await;
        until(&world, id, "accepted").await;
        let intent = shown(&world, id).await["provider_ref"].as_str().unwrap().to_owned();
        let path = format!("/v1/payment_intents/{intent}/capture");
        world.providers.plan(&world.providers.stripe, &path, 1, json!(fault)).await;
        let body = json!({"payment": id, "change": "capture", "amount": "12", "asset": "USD"});
        let change = ask(&world, "/v1/payment_changes", &format!("c-{number}"), body).await;
        until(&world, change, "settled").await;
        until(&world, id, "settled").await;
    }
    assert_eq!(world.providers.fired(&world.providers.stripe).await, 4);
    assert_eq!(effects(&world, "payment").await, 4);
    world.finish().await;
}

#[tokio::test]
async fn accounts_transfers_and_payouts_whose_answers_were_lost_happen_once() {
    let world = World::start().await;
    let funded = funded_account(&world, "carrier", "100").await;
    let body = json!({"country": "US", "email": "carrier@example.com"});
    lose_answers(&world, "/v1/accounts", "/v1/accounts", |_| body.clone()).await;
    lose_answers(&world, "/v1/transfers", "/v1/transfers", |_| transfer(funded, "10")).await;
    lose_answers(&world, "/v1/payouts", "/v1/payouts", |_| payout(funded, "10")).await;
    let happened = (
        effects(&world, "account").await,
        effects(&world, "transfer").await,
        effects(&world, "payout").await,
    );
    assert_eq!(happened, (5, 5, 4));
    world.finish().await;
}

/// The key's answer is the refusal, so it did not happen: doubt ends.
#[tokio::test]
async fn a_refusal_whose_answer_was_lost_is_heard_when_it_is_asked_for_again() {
    let world = World::start().await;
    let stripe = &world.providers.stripe;
    world.providers.plan(stripe, "/v1/payment_intents", 1, json!("reset_after_effect")).await;
    let id = ask(&world, "/v1/payments", "p", payment("20", "pm_card_chargeDeclined")).await;
    until(&world, id, "failed").await;
    assert_eq!(world.providers.fired(stripe).await, 1);
    assert_eq!(effects(&world, "payment").await, 0);
    world.finish().await;
}

/// The key will never be answered otherwise, so the list is read.
#[tokio::test]
async fn a_payment_whose_key_only_repeats_a_500_is_found_in_the_list() {
    let world = World::start().await;
    let stripe = &world.providers.stripe;
    let fault = json!({"ends": "stored_500_after_effect"});
    world.providers.plan(stripe, "/v1/payment_intents", 1, fault).await;
    let id = ask(&world, "/v1/payments", "p", payment("20", "pm_card_visa")).await;
    until(&world, id, "settled").await;
    assert_eq!(effects(&world, "payment").await, 1);
    world.finish().await;
}

/// What each kind that moves money is called by, there and here.
async fn kinds(world: &World) -> Vec<(&'static str, &'static str, Value)> {
    let funded = funded_account(world, "carrier", "100").await;
    let paid = ask(world, "/v1/payments", "to refund", payment("90", "pm_card_visa")).await;
    until(world, paid, "settled").await;
    vec![
        ("/v1/payment_intents", "/v1/payments", payment("20", "pm_card_visa")),
        ("/v1/refunds", "/v1/refunds", refund(paid, "10")),
        ("/v1/transfers", "/v1/transfers", transfer(funded, "10")),
        ("/v1/payouts", "/v1/payouts", payout(funded, "10")),
    ]
}

/// K5 to K7: an intent is saved, and nobody here knows what became of it.
#[tokio::test]
async fn a_worker_killed_before_or_after_the_effect_leaves_one_effect_of_every_kind() {
    let mut world = World::start().await;
    let kinds = kinds(&world).await;
    for (at_stripe, path, body) in kinds {
        for fault in ["hold", "hold_after_effect"] {
            world.run_until_idle().await;
            world.stop_workers().await;
            world.providers.plan(&world.providers.stripe, at_stripe, 1, json!(fault)).await;
            let victim = world.worker_process("victim").await;
            let id = ask(&world, path, &format!("{path} {fault}"), body.clone()).await;
            world.providers.held(&world.providers.stripe, 1).await;
            victim.kill().await;
            world.providers.release(&world.providers.stripe).await;
            world.add_worker();
            until(&world, id, "settled").await;
        }
    }
    world.finish().await;
}

/// After a day Stripe has forgotten the key: what bears our reference is looked for instead.
#[tokio::test]
async fn an_effect_whose_key_is_too_old_is_found_by_our_reference() {
    let mut world = World::start().await;
    let kinds = kinds(&world).await;
    for (at_stripe, path, body) in kinds {
        world.run_until_idle().await;
        world.stop_workers().await;
        let stripe = &world.providers.stripe;
        world.providers.plan(stripe, at_stripe, 1, json!("hold_after_effect")).await;
        let victim = world.worker_process("victim").await;
        let id = ask(&world, path, &format!("{path} old"), body).await;
        world.providers.held(&world.providers.stripe, 1).await;
        victim.kill().await;
        world.providers.release(&world.providers.stripe).await;
        world.age_intents(25).await;
        world.add_worker();
        until(&world, id, "settled").await;
    }
    world.finish().await;
}

/// The last hour of the day is a margin: what is sent in it could arrive after it.
#[tokio::test]
async fn a_key_that_is_nearly_too_old_is_not_sent_again() {
    let mut world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    world.providers.plan(&world.providers.stripe, "/v1/payment_intents", 1, json!("hold_after_effect")).await;
    let victim = world.worker_process("victim").await;
    let id = ask(&world, "/v1/payments", "p", payment("5", "pm_card_visa")).await;
    world.providers.held(&world.providers.stripe, 1).await;
    victim.kill().await;
    world.providers.release(&world.providers.stripe).await;
    world.age_intents(23).await;
    world.add_worker();
    until(&world, id, "settled").await;
    let probes = world.exchanges().await;
    assert!(probes.iter().all(|(_, _, answered)| answered.is_none()), "only looked up: {probes:?}");
    world.finish().await;
}

/// Whether it never arrived or is only not shown yet, no look-up can tell: it is not sent again, and when
/// looking has gone on for long a person is asked.
#[tokio::test]
async fn what_is_found_nowhere_once_its_key_is_too_old_stays_in_doubt_until_a_person_says_so() {
    let mut world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    world.providers.plan(&world.providers.stripe, "/v1/payment_intents", 1, json!("hold")).await;
    let victim = world.worker_process("victim").await;
    let id = ask(&world, "/v1/payments", "p", payment("5", "pm_card_visa")).await;
    world.providers.held(&world.providers.stripe, 1).await;
    victim.kill().await;
    world.age_intents(25).await;
    world.probed(119).await;
    world.add_worker();
    let is_parked = async |world: &World| {
        let view = world.store.operation(id).await.unwrap();
        view.is_some_and(|view| view.parked.as_deref() == Some("in_doubt"))
    };
    world.until("it is parked", is_parked).await;
    world.run_until_idle().await;
    world.assert_state(id, "in_doubt").await;
    let probes = world.exchanges().await;
    assert!(probes.iter().all(|(_, _, answered)| answered.is_none()), "only looked up: {probes:?}");
    assert_eq!((probes.len(), effects(&world, "payment").await), (1, 0), "{probes:?}");
    assert!(world.store.has_dead_letter(id).await.unwrap());
    let id_text = id.to_string();
    let said =
        ["operations", "deny", &id_text, "--author", "on-call", "--reason", "Stripe has no such payment"];
    world.payfleet(&said).await;
    until(&world, id, "failed").await;
    world.finish().await;
}

/// What moves no money is looked for as well: by our reference, or by where it was to go.
#[tokio::test]
async fn an_account_a_customer_and_a_payment_method_whose_key_is_too_old_are_found_and_not_made_again() {
    let mut world = World::start().await;
    let customer = ask(&world, "/v1/customers", "payer", json!({"email": "payer@example.com"})).await;
    let attach = |method: &str, change: &str| json!({"customer": customer, "payment_method": method, "change": change});
    let first = ask(&world, "/v1/payment_methods", "first", attach("pm_card_visa", "attach")).await;
    until(&world, first, "settled").await;
    let method = shown(&world, first).await["result"]["payment_method"].as_str().unwrap().to_owned();
    let detaches = format!("/v1/payment_methods/{method}/detach");
    let kinds = [
        ("/v1/accounts", "/v1/accounts", json!({"country": "US", "email": "carrier@example.com"})),
        ("/v1/customers", "/v1/customers", json!({"email": "other@example.com"})),
        (detaches.as_str(), "/v1/payment_methods", attach(&method, "detach")),
    ];
    for (at_stripe, path, body) in kinds {
        world.run_until_idle().await;
        world.stop_workers().await;
        world.providers.plan(&world.providers.stripe, at_stripe, 1, json!("hold_after_effect")).await;
        let victim = world.worker_process("victim").await;
        let id = ask(&world, path, &format!("{path} old"), body).await;
        world.providers.held(&world.providers.stripe, 1).await;
        victim.kill().await;
        world.providers.release(&world.providers.stripe).await;
        world.age_intents(25).await;
        world.add_worker();
        until(&world, id, "settled").await;
    }
    assert_eq!(effects(&world, "account").await, 1);
    world.finish().await;
}

#[tokio::test]
async fn of_two_workers_on_one_transfer_one_has_its_say_and_the_other_is_evidence() {
    let mut world = World::start().await;
    fund(&world, "funds").await;
    let account = account(&world, "carrier").await;
    world.run_until_idle().await;
    world.stop_workers().await;
    world.providers.plan(&world.providers.stripe, "/v1/transfers", 1, json!("hold_after_effect")).await;
    let zombie = world.worker_process("zombie").await;
    let id = ask(&world, "/v1/transfers", "t", transfer(account, "10")).await;
    world.providers.held(&world.providers.stripe, 1).await;
    zombie.signal(payfleet::servers::Signal::STOP);
    world.providers.release(&world.providers.stripe).await;
    world.add_worker();
    until(&world, id, "settled").await;
    zombie.signal(payfleet::servers::Signal::CONT);
    world.until("its answer is kept as evidence", async |world| world.evidence_count().await == 1).await;
    world.run_until_idle().await;
    assert_eq!(effects(&world, "transfer").await, 1);
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    assert!(zombie.stop().await.success(), "{}", zombie.last_words());
    world.finish().await;
}

#[tokio::test]
async fn payments_of_several_workers_are_done_once_each() {
    let world = World::with(Setup { workers: 3, ..Setup::default() }).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(ask(&world, "/v1/payments", &format!("p-{number}"), payment("1", "pm_card_visa")).await);
    }
    world.run_until_idle().await;
    for id in ids {
        world.assert_state(id, "settled").await;
    }
    assert_eq!(effects(&world, "payment").await, 20);
    world.finish().await;
}
