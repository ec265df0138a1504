//! How the sandboxes' webhooks travel: twice, out of order, and on the provider's own schedule until it
//! gives up. And how many calls a second they take.

use std::num::NonZeroU32;
use std::time::Duration;

use payfleet_core::provider::Provider;
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::tatum::{Chain, Template, Watch};
use serde_json::{Value, json};

use crate::bench::{Bench, accepted, failed, key, payout};
use crate::webhooks::Receiver;

const EVENTS: [&str; 3] = [
    r#"{"type":"payout","uuid":"a","status":"process"}"#,
    r#"{"type":"payout","uuid":"a","status":"check"}"#,
    r#"{"type":"payout","uuid":"a","status":"paid"}"#,
];

async fn keys(receiver: &Receiver, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..count {
        let received = receiver.take("200 OK").await;
        keys.push(received.verify(Provider::Heleket, "sandbox-secret").unwrap().event_key);
    }
    keys
}

#[tokio::test]
async fn webhooks_come_twice_and_the_last_first_when_a_test_has_it_so() {
    let bench = Bench::start(Provider::Heleket).await;
    let receiver = Receiver::start(&bench).await;
    bench.tell_json("_webhooks", json!({ "copies": 2, "hold": true })).await;
    for event in EVENTS {
        bench.tell("_emit", event).await;
    }
    let counts = bench.read("_deliveries").await;
    assert_eq!(counts, json!({ "pending": 6, "delivered": 0, "given_up": 0 }));
    bench.tell_json("_webhooks", json!({ "hold": false, "reversed": true })).await;
    let want = ["a|paid", "a|paid", "a|check", "a|check", "a|process", "a|process"];
    assert_eq!(keys(&receiver, 6).await, want);
    bench.tell("_emit", EVENTS[0]).await;
    assert_eq!(keys(&receiver, 1).await, ["a|process"], "and once again from then on");
}

#[tokio::test]
async fn a_provider_gives_a_webhook_up_after_the_tries_that_it_documents() {
    for (provider, tries, event) in [
        (Provider::TrovoTech, 3, r#"{"event_type":"wallet.created","data":{"wallet_address":"G1"}}"#),
        (Provider::Tatum, 11, r#"{"subscriptionType":"S","txId":"t","address":"a"}"#),
        (Provider::Stripe, 3, r#"{"type":"payout.paid","object":{"id":"po_1","object":"payout"}}"#),
    ] {
        let bench =
            Bench::start_with(provider, |options| options.schedule_second = Some(Duration::ZERO)).await;
        let receiver = Receiver::start(&bench).await;
        bench.tell("_emit", event).await;
        for _ in 0..tries {
            receiver.take("503 Service Unavailable").await;
        }
        let counts = bench.until("_deliveries", |counts| counts["pending"] == 0).await;
        assert_eq!(counts, json!({ "pending": 0, "delivered": 0, "given_up": 1 }), "{provider}");
    }
}

/// Heleket names no end of its tries.
#[tokio::test]
async fn a_provider_that_documents_no_end_goes_on_until_it_is_taken() {
    let bench =
        Bench::start_with(Provider::Heleket, |options| options.schedule_second = Some(Duration::ZERO)).await;
    let receiver = Receiver::start(&bench).await;
    bench.tell("_emit", EVENTS[0]).await;
    for _ in 0..15 {
        receiver.take("500 Internal Server Error").await;
    }
    assert_eq!(keys(&receiver, 1).await, ["a|process"]);
    let counts = bench.until("_deliveries", |counts| counts["pending"] == 0).await;
    assert_eq!(counts, json!({ "pending": 0, "delivered": 1, "given_up": 0 }));
}

#[tokio::test]
async fn a_webhook_that_was_given_up_is_in_tatums_list_with_its_tries() {
    let bench =
        Bench::start_with(Provider::Tatum, |options| options.schedule_second = Some(Duration::ZERO)).await;
    let receiver = Receiver::start(&bench).await;
    let address = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94";
    let url = "https://pay.example/webhooks/tatum";
    let (chain, template) = (Chain::Polygon, Template::Legacy);
    let tatum = bench.clients.tatum().unwrap();
    tatum.subscribe(&Watch { chain, address, url, template, mempool: false }).await.unwrap();
    bench.ask("_chain/polygon/pay", json!({ "to": address, "amount": "1" })).await;
    bench.ask("_chain/polygon/mine", json!({ "blocks": 1 })).await;
    for _ in 0..11 {
        receiver.take("500 Internal Server Error").await;
    }
    bench.until("_deliveries", |counts| counts["given_up"] == 1).await;
    let (listed, is_last) = tatum.executed_page(0).await.unwrap();
    assert_eq!((listed.len(), listed[0].retries, listed[0].failed, is_last), (1, 10, true, true));
}

#[tokio::test]
async fn more_calls_than_the_limit_of_a_second_do_not_happen() {
    let bench = Bench::start_with(Provider::Heleket, |options| options.per_second = NonZeroU32::new(2)).await;
    let call = async |name: &str| bench.client().call(&payout("1"), &key(Provider::Heleket, name)).await;
    accepted(call("a").await);
    accepted(call("b").await);
    let (class, code) = failed(call("c").await);
    assert_eq!(class, OutcomeClass::RateLimited { retry_after_ms: Some(1_000) });
    assert_eq!((code.as_str(), bench.effects().await.len()), ("rate_limited", 2));
    bench.clock.advance_ms(1_000);
    accepted(call("c").await);
    assert_eq!(bench.effects().await.len(), 3);
}

#[tokio::test]
async fn every_sandbox_of_ours_has_limits() {
    for provider in [Provider::Tatum, Provider::TrovoTech] {
        let bench = Bench::start_with(provider, |options| options.per_second = NonZeroU32::new(1)).await;
        let ask = async || match provider {
            Provider::Tatum => bench.clients.tatum().unwrap().height(Chain::Tron).await.map(|_| ()),
            _ => bench.clients.trovotech().unwrap().own_tokens().await.map(|_| ()),
        };
        ask().await.unwrap();
        let error = ask().await.unwrap_err();
        assert_eq!(error.class(), OutcomeClass::RateLimited { retry_after_ms: Some(1_000) }, "{provider}");
        let _: Value = bench.read("_effects").await;
    }
}
