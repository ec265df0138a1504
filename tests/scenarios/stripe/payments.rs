//! Incoming card payments: customers, what they pay with, payments and what is done with them.

use std::time::Duration;

use payfleet_core::JobId;
use payfleet_core::kinds::JobKind;
use payfleet_providers::stripe::{Client, CustomerFields, IdempotencyKey};
use payfleet_tests::world::{Setup, World};
use serde_json::json;

use super::{ask, authorization, balance, effects, payment, refund, shown, until};

const OURS: &str = "provider:stripe:default";

#[tokio::test]
async fn a_card_payment_goes_from_http_to_stripe_and_settles_in_the_ledger() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "p", payment("19.99", "pm_card_visa")).await;
    world.run_until_idle().await;
    let view = world.api.get(&format!("/v1/payments/{id}")).await.body;
    assert_eq!((&view["state"], &view["amount"]), (&json!("settled"), &json!("19.99")), "{view}");
    assert_eq!(effects(&world, "payment").await, 1);
    assert_eq!(balance(&world, OURS).await, "19.99");
    assert_eq!(balance(&world, "collected:default").await, "-19.99");
    world.finish().await;
}

#[tokio::test]
async fn a_customer_keeps_a_payment_method_pays_with_it_and_lets_it_go() {
    let world = World::start().await;
    let customer = json!({"email": "payer@example.com", "name": "A Payer"});
    let customer = ask(&world, "/v1/customers", "c", customer).await;
    // Asked for at once: it waits for the customer.
    let body = json!({"customer": customer, "payment_method": "pm_card_visa", "change": "attach"});
    let attached = ask(&world, "/v1/payment_methods", "attach", body).await;
    world.run_until_idle().await;
    let method = shown(&world, attached).await["result"]["payment_method"].as_str().unwrap().to_owned();
    let mut body = payment("5", &method);
    body["customer"] = json!(customer);
    let paid = ask(&world, "/v1/payments", "p", body).await;
    world.run_until_idle().await;
    world.assert_state(paid, "settled").await;
    let happened = world.providers.effects(&world.providers.stripe).await;
    let effect = happened.into_iter().find(|effect| effect.kind == "payment").unwrap();
    let customers_ref = shown(&world, customer).await["provider_ref"].clone();
    assert_eq!(json!(effect.destination), customers_ref, "who paid");
    for (change, state) in [("detach", "settled"), ("attach", "failed")] {
        let body = json!({"customer": customer, "payment_method": method, "change": change});
        let id = ask(&world, "/v1/payment_methods", &format!("{change} again"), body).await;
        world.run_until_idle().await;
        world.assert_state(id, state).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_customer_shows_what_they_pay_with_whoever_changed_it() {
    let world = World::start().await;
    let customer = ask(&world, "/v1/customers", "c", json!({"email": "payer@example.com"})).await;
    until(&world, customer, "settled").await;
    let told = shown(&world, customer).await;
    assert_eq!(told["result"], json!({"payment_methods": []}), "{told}");
    let at_stripe = told["provider_ref"].as_str().unwrap().to_owned();
    let are = async |world: &World, want: &[&str]| {
        world
            .until("what they pay with is shown", async |world| {
                let told = world.api.get(&format!("/v1/customers/{customer}")).await.body;
                let brands = told["result"]["payment_methods"].as_array().unwrap();
                brands.iter().map(|one| one["card"]["brand"].as_str().unwrap()).eq(want.iter().copied())
            })
            .await;
    };

    // By us.
    let attach = json!({"customer": customer, "payment_method": "pm_card_visa", "change": "attach"});
    let attached = ask(&world, "/v1/payment_methods", "attach", attach).await;
    are(&world, &["visa"]).await;
    let told = shown(&world, customer).await["result"]["payment_methods"][0].clone();
    let id = shown(&world, attached).await["result"]["payment_method"].clone();
    let card = json!({"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034});
    assert_eq!(told, json!({"id": id, "type": "card", "card": card}));

    // In Stripe's dashboard.
    let them = Client::new(&world.providers.stripe_config()).unwrap();
    let key = |text: &str| IdempotencyKey::new(text).unwrap();
    them.platform().attach_payment_method("pm_card_mastercard", &at_stripe, &key("theirs")).await.unwrap();
    are(&world, &["mastercard", "visa"]).await;
    them.platform().detach_payment_method(id.as_str().unwrap(), &key("gone")).await.unwrap();
    are(&world, &["mastercard"]).await;

    // A customer whom we did not make is none of our business, and no riddle for a person.
    let stranger = them.platform().create_customer(&CustomerFields::default(), &key("stranger")).await;
    let stranger = stranger.unwrap().value.id;
    them.platform().attach_payment_method("pm_card_visa", &stranger, &key("of-stranger")).await.unwrap();
    world.run_until_idle().await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.assert_state(customer, "settled").await;
    world.finish().await;
}

#[tokio::test]
async fn a_payment_shows_what_is_to_be_done_next() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "p", json!({"amount": "7", "asset": "USD"})).await;
    until(&world, id, "accepted").await;
    assert_eq!(shown(&world, id).await["result"]["status"], "requires_payment_method");
    let held = ask(&world, "/v1/payments", "held", authorization("9", "pm_card_visa")).await;
    until(&world, held, "accepted").await;
    assert_eq!(shown(&world, held).await["result"]["status"], "requires_capture");
    let confirm = json!({"payment": id, "change": "confirm", "payment_method": "pm_card_chargeDeclined"});
    ask(&world, "/v1/payment_changes", "confirm", confirm).await;
    let capture = json!({"payment": held, "change": "capture"});
    ask(&world, "/v1/payment_changes", "capture", capture).await;
    until(&world, held, "settled").await;
    assert_eq!(shown(&world, held).await["result"]["status"], "succeeded");
    let cancel = json!({"payment": id, "change": "cancel"});
    ask(&world, "/v1/payment_changes", "cancel", cancel).await;
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    world.finish().await;
}

/// Neither webhooks nor polls tell of the payment here: only what changed it.
#[tokio::test]
async fn a_payment_is_looked_at_as_soon_as_its_change_is_done() {
    let setup = Setup { webhooks: false, confirm_interval: Duration::from_secs(3_600), ..Setup::default() };
    let world = World::with(setup).await;
    let id = ask(&world, "/v1/payments", "p", json!({"amount": "7", "asset": "USD"})).await;
    let body = json!({"payment": id, "change": "confirm", "payment_method": "pm_card_visa"});
    let change = ask(&world, "/v1/payment_changes", "confirm", body).await;
    until(&world, id, "settled").await;
    let view = shown(&world, change).await;
    assert_eq!(
        (&view["change"], &view["result"]["payment_status"]),
        (&json!("confirm"), &json!("succeeded"))
    );
    // The poll in an hour, which nothing needs any more.
    let queue = JobKind::Confirm.queue().unwrap();
    for version in 0..32_i64 {
        let poll = JobId::named("confirm", &[id.as_uuid().as_bytes(), &version.to_be_bytes()]);
        world.queue.cancel(&queue, poll).await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn the_secret_of_a_payment_reaches_the_client_and_no_record_or_log() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let worker = world.worker_process("careful").await;
    let id = ask(&world, "/v1/payments", "p", json!({"amount": "7", "asset": "USD"})).await;
    until(&world, id, "accepted").await;
    let secret = shown(&world, id).await["result"]["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.contains("_secret_"), "{secret}");
    let cancel =
        ask(&world, "/v1/payment_changes", "cancel", json!({"payment": id, "change": "cancel"})).await;
    world.run_until_idle().await;
    for (id, state) in [(id, "failed"), (cancel, "settled")] {
        world.assert_state(id, state).await;
    }
    // A worker gives events their place in the feed.
    let is_told =
        async |world: &World| world.api.get("/v1/events").await.body.to_string().contains(&id.to_string());
    world.until("it is told", is_told).await;
    assert!(worker.stop().await.success());
    for path in ["/v1/events", "/v1/payments"] {
        let told = world.api.get(path).await.body.to_string();
        assert!(told.contains(&id.to_string()) && !told.contains(&secret), "{path}: {told}");
    }
    let stored = "SELECT count(*) FROM webhook_bodies WHERE position(convert_to($1, 'UTF8') IN body) > 0";
    assert!(world.count(stored, r#""client_secret":"(hidden)""#).await > 0, "an event told of the payment");
    assert_eq!(world.count(stored, &secret).await, 0, "no webhook is kept with it");
    let history = world.history_text().await;
    assert!(history.contains("requires_payment_method") && !history.contains(&secret), "{history}");
    assert!(
        !worker.log("careful").contains(&secret) && worker.log("careful").contains("The provider was called")
    );
    world.finish().await;
}

#[tokio::test]
async fn a_capture_in_part_settles_what_was_received() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "p", authorization("20", "pm_card_visa")).await;
    until(&world, id, "accepted").await;
    assert_eq!(effects(&world, "payment").await, 0, "only set aside");
    let body = json!({"payment": id, "change": "capture", "amount": "12", "asset": "USD"});
    ask(&world, "/v1/payment_changes", "capture", body).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(balance(&world, OURS).await, "12");
    let too_much = ask(&world, "/v1/refunds", "too much", refund(id, "12.01")).await;
    let all = ask(&world, "/v1/refunds", "all", refund(id, "12")).await;
    world.run_until_idle().await;
    world.assert_state(too_much, "failed").await;
    world.assert_state(all, "settled").await;
    assert_eq!(balance(&world, OURS).await, "0");
    world.finish().await;
}

#[tokio::test]
async fn of_two_captures_of_one_payment_one_is_done() {
    let world = World::with(Setup { workers: 2, ..Setup::default() }).await;
    let id = ask(&world, "/v1/payments", "p", authorization("20", "pm_card_visa")).await;
    let mut changes = Vec::new();
    for key in ["one", "two"] {
        let body = json!({"payment": id, "change": "capture"});
        changes.push(ask(&world, "/v1/payment_changes", key, body).await);
    }
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    let mut states = Vec::new();
    for id in changes {
        states.push(shown(&world, id).await["state"].as_str().unwrap().to_owned());
    }
    states.sort();
    assert_eq!(states, ["failed", "settled"]);
    assert_eq!(effects(&world, "payment").await, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_payment_that_is_given_up_fails_and_can_be_neither_captured_nor_refunded() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "p", authorization("20", "pm_card_visa")).await;
    let cancel =
        ask(&world, "/v1/payment_changes", "cancel", json!({"payment": id, "change": "cancel"})).await;
    world.run_until_idle().await;
    world.assert_state(cancel, "settled").await;
    world.assert_state(id, "failed").await;
    let capture =
        ask(&world, "/v1/payment_changes", "capture", json!({"payment": id, "change": "capture"})).await;
    let back = ask(&world, "/v1/refunds", "refund", refund(id, "20")).await;
    world.run_until_idle().await;
    for id in [capture, back] {
        let view = shown(&world, id).await;
        assert_eq!(view["state"], "failed", "{view}");
        assert!(view["reason"].as_str().unwrap().contains("payment it is about has failed"), "{view}");
    }
    assert_eq!(effects(&world, "payment").await, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_declined_card_fails_the_payment_and_says_why() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "p", payment("20", "pm_card_chargeDeclinedInsufficientFunds")).await;
    world.run_until_idle().await;
    let view = shown(&world, id).await;
    assert_eq!(view["state"], "failed", "{view}");
    assert!(view["reason"].as_str().unwrap().contains("declined"), "{view}");
    assert_eq!(effects(&world, "payment").await, 0);
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_payer_whose_bank_asks_is_waited_for() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "p", payment("20", "pm_card_authenticationRequired")).await;
    until(&world, id, "accepted").await;
    let intent = shown(&world, id).await["provider_ref"].as_str().unwrap().to_owned();
    let page = format!("{}/authenticate/{intent}/succeed", world.providers.stripe.url());
    world.providers.visit(&page).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(effects(&world, "payment").await, 1);
    world.finish().await;
}

/// Stripe never says by itself that a payer has left.
#[tokio::test]
async fn a_payment_that_nobody_pays_is_shown_to_a_person_after_a_week_and_asked_about_no_more() {
    let world = World::start().await;
    let id = ask(&world, "/v1/payments", "left", json!({"amount": "20", "asset": "USD"})).await;
    until(&world, id, "accepted").await;
    world.accepted_earlier(id, 8).await;
    world
        .until("it is parked", async |world| {
            // A look that came in between has put the next one off by a minute.
            world.give_up_claims().await;
            let view = world.store.operation(id).await.unwrap().unwrap();
            view.parked.as_deref() == Some("not_final")
        })
        .await;
    world.assert_state(id, "accepted").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world
        .until("its dead letter is there", async |world| {
            let letters = world.store.dead_letters(10, false).await.unwrap();
            letters
                .iter()
                .any(|letter| letter.code == "not_final" && letter.operation_id == Some(id.as_uuid()))
        })
        .await;
    let calls = world.providers.calls(&world.providers.stripe).await;

    // News moves it: the client gives the payment up.
    let cancel = json!({"payment": id, "change": "cancel"});
    let change = ask(&world, "/v1/payment_changes", "give up", cancel).await;
    until(&world, change, "settled").await;
    until(&world, id, "failed").await;
    assert!(world.providers.calls(&world.providers.stripe).await > calls);
    world.finish().await;
}
