//! Mints at TrovoTech, settled by Bantu's ledger.

use payfleet_core::provider::{Action, DoubtPolicy, Finding, Progress, Provider};
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use serde_json::json;

use crate::bench::{Bench, SETTLE_MS, START_MS, accepted, failed, http, key, listed, mint, payout};

const MINT: &str = "/token/mint";

#[tokio::test]
async fn a_mint_is_settled_by_the_ledger_and_not_by_the_answer() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let key = key(Provider::TrovoTech, "a");
    let report = accepted(bench.client().call(&mint("12.5"), &key).await);
    assert_eq!(report.progress, Progress::Pending);
    let hash = report.tx_hash.clone().unwrap();
    let poll = async || bench.client().poll(&mint("1"), &report.provider_ref, Some(&hash)).await.unwrap();
    assert_eq!(poll().await.progress, Progress::Pending, "it is not in the ledger yet");
    bench.clock.advance_ms(SETTLE_MS);
    let polled = poll().await;
    assert_eq!((polled.progress, &polled.provider_ref), (Progress::Succeeded, &report.provider_ref));
    let effects = bench.effects().await;
    assert_eq!(effects[0]["amount"], "12.5");
    assert_eq!(effects[0]["reference"], bench.client().reference(&key));
}

#[tokio::test]
async fn a_transaction_that_fails_in_the_ledger_has_failed() {
    let bench = Bench::start(Provider::TrovoTech).await;
    bench.plan(MINT, json!({ "ends": "failed" })).await;
    let report = accepted(bench.client().call(&mint("1"), &key(Provider::TrovoTech, "a")).await);
    bench.clock.advance_ms(SETTLE_MS);
    let polled =
        bench.client().poll(&mint("1"), &report.provider_ref, report.tx_hash.as_deref()).await.unwrap();
    assert!(matches!(polled.progress, Progress::Failed { .. }));
}

#[tokio::test]
async fn a_poll_without_a_transaction_finds_it_in_the_token_list() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let report = accepted(bench.client().call(&mint("1"), &key(Provider::TrovoTech, "a")).await);
    bench.clock.advance_ms(SETTLE_MS);
    let polled = bench.client().poll(&mint("1"), &report.provider_ref, None).await.unwrap();
    assert_eq!(polled.progress, Progress::Succeeded);
    assert_eq!(polled.tx_hash, report.tx_hash);
    let error = bench.client().poll(&mint("1"), "TKN_999999", None).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Retryable, "not_listed"));
}

#[tokio::test]
async fn a_listed_token_without_a_transaction_is_pending() {
    let bench = Bench::start(Provider::TrovoTech).await;
    for listed in [json!([{ "tokenId": "T" }]), json!([{ "tokenId": "T", "txHash": null }])] {
        bench.plan("/tokens/my", json!({ "body": listed })).await;
        let polled = bench.client().poll(&mint("1"), "T", None).await.unwrap();
        assert_eq!((polled.progress, polled.tx_hash), (Progress::Pending, None));
    }
}

#[tokio::test]
async fn more_than_the_whole_asset_is_refused_for_good() {
    let bench = Bench::start(Provider::TrovoTech).await;
    accepted(bench.client().call(&mint("60"), &key(Provider::TrovoTech, "a")).await);
    let outcome = failed(bench.client().call(&mint("40.0001"), &key(Provider::TrovoTech, "b")).await);
    assert_eq!(outcome, (OutcomeClass::Terminal, "insufficient_remaining_ownership".to_owned()));
    accepted(bench.client().call(&mint("40"), &key(Provider::TrovoTech, "c")).await);
    assert_eq!(bench.effects().await.len(), 2);
}

#[tokio::test]
async fn a_lost_answer_leaves_doubt_for_a_person_since_the_same_mint_twice_is_two_tokens() {
    let bench = Bench::start(Provider::TrovoTech).await;
    assert_eq!(bench.client().doubt(Action::Mint), DoubtPolicy::Operator);
    let (effect, key) = (mint("1"), key(Provider::TrovoTech, "a"));
    for (fault, code) in [("effect_then_500", "http_500"), ("reset_after_effect", "connection_lost")] {
        bench.plan(MINT, json!(fault)).await;
        let outcome = failed(bench.client().call(&effect, &key).await);
        assert_eq!(outcome, (OutcomeClass::Ambiguous, code.to_owned()));
        let finding = bench.client().look_up(&effect, &key, Timestamp::from_unix_ms(0)).await;
        assert!(matches!(finding, Finding::StillUnknown { .. }));
    }
    assert_eq!(bench.effects().await.len(), 2);
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn the_list_has_the_tokens_of_the_window() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let mut minted = Vec::new();
    for number in 0..4 {
        let key = key(Provider::TrovoTech, &number.to_string());
        minted.push(accepted(bench.client().call(&mint("1"), &key).await).provider_ref);
        bench.clock.advance_ms(60_000);
    }
    let at = |minutes: i64| Timestamp::from_unix_ms(START_MS + minutes * 60_000);
    let listed = listed(bench.client(), at(1), at(3)).await.unwrap();
    let listed: Vec<String> = listed.into_iter().map(|entry| entry.report.provider_ref).collect();
    assert_eq!(listed, minted[1..3]);
}

#[tokio::test]
async fn an_investor_has_one_wallet_however_often_it_is_asked_for() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let create = async || {
        let url = format!("{}/wallet/create", bench.sandbox.url());
        let body =
            json!({ "issuer_id": "i", "investor_email": "investor@example.com", "kyc_verified": true });
        http().post(url).bearer_auth("sandbox-api-key").json(&body).send().await.unwrap()
    };
    let (first, again) = (create().await, create().await);
    assert_eq!((first.status().as_u16(), again.status().as_u16()), (201, 200));
    let wallet: serde_json::Value = first.json().await.unwrap();
    assert_eq!(wallet, again.json::<serde_json::Value>().await.unwrap());
    let address = wallet["wallet_address"].as_str().unwrap();
    assert_eq!(payfleet_core::address::Network::Bantu.check_address(address), Ok(()));
}

#[tokio::test]
async fn a_payout_is_not_offered_here() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let outcome = failed(bench.client().call(&payout("1"), &key(Provider::TrovoTech, "a")).await);
    assert_eq!(outcome, (OutcomeClass::Terminal, "not_offered".to_owned()));
}
