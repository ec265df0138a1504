//! Events: what is told, to whom, signed with which secret, and how it is listed.

use payfleet_core::provider::{Progress, Provider};
use payfleet_providers::sandbox;
use payfleet_providers::stripe::{EventFilter, NewPayout, NewTransfer, NewWebhookEndpoint};
use payfleet_providers::webhook::{Rejected, parse};
use secrecy::ExposeSecret;
use serde_json::json;

use super::sandbox::{bench, carrier, fund};
use super::{client, key, money};
use crate::bench::{Bench, SETTLE_MS};
use crate::webhooks::Receiver;

#[tokio::test]
async fn our_own_events_and_those_of_carriers_have_each_their_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(Provider::Stripe).await;
    let mut options = bench.options.clone();
    options.dir = dir.path().to_owned();
    options.connect_secret = Some("connect-secret".into());
    bench.sandbox = sandbox::start_stripe(options).await.unwrap();
    let client = client(&bench.sandbox.url(), "sandbox-api-key");
    carrier(&client).await;
    fund(&client, "10").await;
    let receiver = Receiver::start(&bench).await;
    let (mut ours, mut theirs) = (0, 0);
    while ours < 3 || theirs < 3 {
        let received = receiver.take("200 OK").await;
        let event = parse(Provider::Stripe, &received.body).unwrap();
        let (right, wrong) = match event.account {
            Some(_) => ("connect-secret", "sandbox-secret"),
            None => ("sandbox-secret", "connect-secret"),
        };
        received.verify(Provider::Stripe, right).unwrap();
        assert_eq!(received.verify(Provider::Stripe, wrong), Err(Rejected::BadSignature));
        match event.account {
            Some(_) => theirs += 1,
            None => ours += 1,
        }
    }
}

#[tokio::test]
async fn a_payout_is_told_step_by_step_with_our_key_until_it_fails_after_all() {
    let (bench, client) = bench().await;
    let us = client.platform();
    fund(&client, "100").await;
    bench.plan("/v1/payouts", json!({ "ends": "paid_then_failed" })).await;
    let payout = us.create_payout(&NewPayout::of(money("10", "USD")), &key("our-key")).await.unwrap().value;
    bench.clock.advance_ms(2 * SETTLE_MS);
    let of_payouts = EventFilter { types: vec!["payout.*".to_owned()], ..EventFilter::default() };
    us.payout(&payout.id).await.unwrap();
    let mut events = us.all_events(&of_payouts).await.unwrap();
    events.reverse();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["payout.created", "payout.updated", "payout.paid", "payout.failed"]);

    let receiver = Receiver::start(&bench).await;
    let mut progress = Vec::new();
    while progress.len() < 4 {
        let received = receiver.take("200 OK").await;
        let event = parse(Provider::Stripe, &received.body).unwrap();
        if event.provider_ref.as_deref() == Some(payout.id.as_str()) {
            let is_first = event.event_type == "payout.created";
            assert_eq!(event.our_reference.as_deref() == Some("our-key"), is_first);
            progress.push(event.report.unwrap().progress);
        }
    }
    // They may come in any order.
    let failed = Progress::Failed { reason: "account_closed".to_owned() };
    assert!(progress.contains(&failed) && progress.contains(&Progress::Succeeded));
}

#[tokio::test]
async fn an_endpoint_made_by_the_api_gets_what_it_asked_for_under_its_own_secret() {
    let (bench, client) = bench().await;
    let us = client.platform();
    let receiver = Receiver::bind().await;
    let params = NewWebhookEndpoint {
        url: receiver.url(),
        enabled_events: vec!["transfer.created".to_owned()],
        connect: None,
    };
    let endpoint = us.create_webhook_endpoint(&params, &key("we")).await.unwrap().value;
    fund(&client, "100").await;
    let to = carrier(&client).await;
    us.create_transfer(&NewTransfer::of(money("10", "USD"), to), &key("tr")).await.unwrap();
    let received = receiver.take("200 OK").await;
    let secret = endpoint.secret.unwrap();
    let verified = received.verify(Provider::Stripe, secret.expose_secret()).unwrap();
    assert_eq!(verified.event_type, "transfer.created");
    drop(bench);
}
