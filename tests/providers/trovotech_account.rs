//! TrovoTech beyond mints: wallets, distributions, telemetry, our tokens; and one row for each way in
//! which its documents let a call be refused.

use payfleet_core::kinds::telemetry::Reading;
use payfleet_core::provider::{Provider, UNAUTHORIZED};
use payfleet_core::{Classify, Money, OutcomeClass};
use payfleet_providers::trovotech::{Client, Event, Investor, Revenue, read_event};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::bench::{Bench, SETTLE_MS, accepted, failed, key, mint};

fn trovotech(bench: &Bench) -> &Client {
    bench.clients.trovotech().unwrap()
}

fn investor() -> Investor<'static> {
    Investor { email: "investor@example.com", name: "Investor", kyc_verified: true }
}

fn revenue<'a>(token_ids: &'a [String], total: &str) -> Revenue<'a> {
    let total = Money::parse_positive(total, "NGN".parse().unwrap()).unwrap();
    Revenue { token_ids, total, period: "2026-05", description: "swaps" }
}

async fn minted(bench: &Bench, shares: &[&str]) -> Vec<String> {
    let mut tokens = Vec::new();
    for (number, percent) in shares.iter().enumerate() {
        let key = key(Provider::TrovoTech, &format!("mint {number}"));
        tokens.push(accepted(bench.client().call(&mint(percent), &key).await).provider_ref);
    }
    tokens
}

#[tokio::test]
async fn an_investors_wallet_is_made_once_and_found_by_its_address() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let key = key(Provider::TrovoTech, "a");
    let first = trovotech(&bench).create_wallet(investor(), &key).await.unwrap();
    assert_eq!(trovotech(&bench).create_wallet(investor(), &key).await.unwrap(), first);
    let found = trovotech(&bench).wallet(&first.address).await.unwrap().unwrap();
    assert_eq!(found, first);
    assert_eq!(trovotech(&bench).wallet("GNOBODY").await.unwrap(), None);
    assert_eq!(trovotech(&bench).wallet("").await.unwrap_err().code(), "no_id");
}

#[tokio::test]
async fn a_wallet_with_an_impossible_address_is_not_believed() {
    let bench = Bench::start(Provider::TrovoTech).await;
    bench.plan("/wallet/create", json!({ "body": { "wallet_address": "G123" } })).await;
    let made = trovotech(&bench).create_wallet(investor(), &key(Provider::TrovoTech, "a")).await;
    assert_eq!(made.unwrap_err().code(), "unexpected_answer");
}

#[tokio::test]
async fn a_revenue_is_split_by_ownership_to_the_last_unit() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let tokens = minted(&bench, &["33.3333", "33.3333", "33.3334"]).await;
    let key = key(Provider::TrovoTech, "split");
    let done = trovotech(&bench).distribute(&revenue(&tokens, "100"), &key).await.unwrap();
    let sum: Decimal = done.parts.iter().map(|part| part.amount).sum();
    assert_eq!((done.parts.len(), sum), (3, Decimal::ONE_HUNDRED));
    assert_eq!(trovotech(&bench).transaction(done.tx_hash.as_ref().unwrap()).await.unwrap(), None);
    bench.clock.advance_ms(SETTLE_MS);
    let entry = trovotech(&bench).transaction(done.tx_hash.as_ref().unwrap()).await.unwrap();
    assert!(entry.unwrap().successful);
    let effects = bench.effects().await;
    let parts: Vec<&Value> = effects.iter().filter(|effect| effect["kind"] == "distribution").collect();
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part["status"] == "completed"));
}

#[tokio::test]
async fn a_distribution_of_another_sum_or_to_others_is_in_doubt() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let tokens = minted(&bench, &["50", "50"]).await;
    let path = "/payout/distribute";
    let others = json!({ "body": { "payout_id": "P", "distributions": [
        { "token_id": tokens[0], "amount": 50 }, { "token_id": "TKN_999999", "amount": 50 },
    ] } });
    let twice = json!({ "body": { "payout_id": "P", "distributions": [
        { "token_id": tokens[0], "amount": 50 }, { "token_id": tokens[0], "amount": 50 },
    ] } });
    for (fault, code) in [
        (json!("wrong_amount"), "other_amount"),
        (others, "other_tokens"),
        (twice, "other_tokens"),
        (json!({ "body": { "payout_id": "P" } }), "unexpected_answer"),
        (json!("reset_after_effect"), "connection_lost"),
    ] {
        bench.plan(path, fault).await;
        let key = key(Provider::TrovoTech, code);
        let error = trovotech(&bench).distribute(&revenue(&tokens, "100"), &key).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (OutcomeClass::Ambiguous, code));
    }
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn a_batch_of_readings_stops_where_one_fails_and_says_so() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let reading = |number: u32| Reading {
        asset_id: format!("ev-{number}"),
        battery_level: Decimal::new(815, 1),
        kilometers: Decimal::new(1_234_567, 2),
        status: "active".to_owned(),
        location: Some((Decimal::new(65_244, 4), Decimal::new(33_792, 4))),
        timestamp: "2026-05-01T12:00:00Z".to_owned(),
    };
    let readings: Vec<Reading> = (0..4).map(reading).collect();
    let key = key(Provider::TrovoTech, "batch");
    let synced = trovotech(&bench).sync_telemetry(&readings, &key).await;
    assert_eq!((synced.uris.len(), synced.stopped), (4, None));
    bench.plan("/telemetry/sync", json!({ "latency_ms": 1 })).await;
    bench.plan("/telemetry/sync", json!({ "status": 503 })).await;
    let synced = trovotech(&bench).sync_telemetry(&readings, &key).await;
    assert_eq!(synced.uris.len(), 1);
    assert_eq!(synced.stopped.unwrap().class(), OutcomeClass::Retryable, "a reading twice does no harm");
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn our_tokens_are_listed_with_their_numbers_as_they_are() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let ids = minted(&bench, &["12.5", "7"]).await;
    let tokens = trovotech(&bench).own_tokens().await.unwrap();
    assert_eq!(tokens.iter().map(|token| token.token_id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(tokens[0].fraction_owned, Some(Decimal::new(125, 1)));
    let exact = r#"[{"tokenId":"T","investmentAmount":12345678901234567.89}]"#;
    let headers = json!({ "content-type": "application/json" });
    bench.plan("/tokens/my", json!({ "answer": { "status": 200, "headers": headers, "body": exact } })).await;
    let tokens = trovotech(&bench).own_tokens().await.unwrap();
    assert_eq!(tokens[0].invested.unwrap().to_string(), "12345678901234567.89");
}

#[tokio::test]
async fn every_recorded_event_that_is_accepted_is_read() {
    let vectors = include_str!("../../jobs/providers/vectors/trovotech.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for case in vectors["cases"].as_array().unwrap() {
        let body = case["raw_body"].as_str().unwrap_or_default();
        // The seed's own test sends a token without an id.
        if case["expect"] == "accept" && case["name"] != "seed-repo-test-shape" {
            let event = read_event(body.as_bytes()).unwrap();
            assert!(!matches!(event, Event::Unknown { .. }), "{}", case["name"]);
            kinds.insert(format!("{event:?}").split(' ').next().unwrap().to_owned());
        }
    }
    assert_eq!(kinds.len(), 3, "{kinds:?}");
}

#[tokio::test]
async fn every_row_of_its_error_table_has_its_class() {
    use OutcomeClass::{Ambiguous, Retryable, Terminal};
    let limited = OutcomeClass::RateLimited { retry_after_ms: None };
    let refused = |status: u16, message: &str| {
        let body = json!({ "error": message }).to_string();
        let headers = json!({ "content-type": "application/json" });
        json!({ "answer": { "status": status, "headers": headers, "body": body } })
    };
    let rows = [
        (json!("reset_before"), Ambiguous, Retryable, "connection_lost"),
        (json!({ "status": 500 }), Ambiguous, Retryable, "http_500"),
        (json!({ "status": 502 }), Ambiguous, Retryable, "http_502"),
        (json!({ "status": 503 }), Ambiguous, Retryable, "http_503"),
        (json!({ "status": 504 }), Ambiguous, Retryable, "http_504"),
        (json!({ "status": 429 }), limited, limited, "rate_limited"),
        (refused(401, "unauthorized"), Terminal, Terminal, UNAUTHORIZED),
        (refused(403, "forbidden"), Terminal, Terminal, UNAUTHORIZED),
        (refused(400, "bad"), Terminal, Terminal, "http_400"),
        (refused(404, "no such thing"), Terminal, Terminal, "http_404"),
        (refused(422, "no"), Terminal, Terminal, "http_422"),
        (
            refused(422, "Insufficient remaining ownership"),
            Terminal,
            Terminal,
            "insufficient_remaining_ownership",
        ),
        (refused(409, "conflict"), Ambiguous, Retryable, "unexpected_answer"),
    ];
    let bench = Bench::start(Provider::TrovoTech).await;
    for (fault, effect, read, code) in rows {
        bench.plan("/token/mint", fault.clone()).await;
        bench.plan("/tokens/my", fault.clone()).await;
        let outcome = failed(bench.client().call(&mint("1"), &key(Provider::TrovoTech, code)).await);
        assert_eq!(outcome, (effect, code.to_owned()), "an effect: {fault}");
        let error = trovotech(&bench).own_tokens().await.unwrap_err();
        assert_eq!((error.class(), error.code()), (read, code), "a read: {fault}");
    }
    assert_eq!(bench.effects().await.len(), 0);
    bench.all_faults_fired().await;
}
