//! Another amount, asset or destination than was asked for. Money may have moved, so it is no error that
//! forgets what the provider said: the answer is told whole, with the provider's id, and what differs from
//! the request is named. What cannot be told so (a distribution, a broadcast) is an ambiguous error.

use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::{Capture, Payment};
use payfleet_core::kinds::distribution::{Distribution, Splitter};
use payfleet_core::provider::{CallOutcome, Effect, Provider};
use payfleet_core::{Classify, Money, OutcomeClass};
use payfleet_providers::Client;
use payfleet_providers::tatum::{Chain, SignedTransaction};
use serde_json::{Value, json};

use crate::bench::{Bench, accepted, failed, key, mint, payout};

fn money(amount: &str, asset: &str) -> Money {
    Money::parse_positive(amount, asset.parse().unwrap()).unwrap()
}

/// What of the answer to `effect` differs from it, and the provider's id of what was made.
async fn told(bench: &Bench, client: &Client, effect: &Effect) -> (String, String) {
    let report = accepted(client.call(effect, &key(bench.provider, "differs")).await);
    let difference = effect.asked.difference(&report);
    (difference.unwrap_or_else(|| panic!("nothing differs: {report:?}")), report.provider_ref)
}

#[tokio::test]
async fn heleket_pays_another_amount_or_somebody_else() {
    for (change, what) in [
        (json!({"amount": "4.00000000"}), "the provider says 4 USDT"),
        (json!({"currency": "USDC"}), "the provider says 3 USDC"),
        (json!({"address": "TXYZ"}), "another destination"),
        (json!({"network": "eth"}), "the provider says ETH"),
    ] {
        let bench = Bench::start(Provider::Heleket).await;
        let effect = payout("3");
        let order_id = bench.client().reference(&key(Provider::Heleket, "differs"));
        let mut result = json!({
            "uuid": "u-1", "amount": "3.00000000", "currency": "USDT", "network": "tron", "order_id": order_id,
            "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "status": "process", "is_final": false,
        });
        result.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        bench.plan("/v1/payout", json!({"body": {"state": 0, "result": result}})).await;
        let (difference, provider_ref) = told(&bench, bench.client(), &effect).await;
        assert!(difference.contains(what), "{difference}");
        assert_eq!(provider_ref, "u-1");
        bench.all_faults_fired().await;
    }
}

#[tokio::test]
async fn stripe_takes_another_amount() {
    let bench = Bench::start(Provider::Stripe).await;
    let client = Client::Stripe(bench.stripe());
    let payment = Payment {
        money: money("10", "USD"),
        customer: None,
        payment_method: None,
        capture: Capture::Automatic,
        description: None,
    };
    let effect = Effect { asked: Request::Payment(payment), on: None };
    bench.plan("/v1/payment_intents", json!("wrong_amount")).await;
    let (difference, provider_ref) = told(&bench, &client, &effect).await;
    assert!(difference.contains("the provider says 11 USD"), "{difference}");
    assert!(provider_ref.starts_with("pi_"));
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn trovotech_mints_to_another_wallet_or_splits_another_amount() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let elsewhere: Value = json!({"token_id": "TKN_1", "investor_wallet": "GELSEWHERE", "tx_hash": "ab"});
    bench.plan("/token/mint", json!({ "body": elsewhere })).await;
    let (difference, provider_ref) = told(&bench, bench.client(), &mint("1")).await;
    assert!(difference.contains("another wallet"), "{difference}");
    assert_eq!(provider_ref, "TKN_1");
    let token = accepted(bench.client().call(&mint("1"), &key(Provider::TrovoTech, "a")).await).provider_ref;
    bench.plan("/payout/distribute", json!("wrong_amount")).await;
    let revenue = Distribution {
        asset_id: "ev-1".to_owned(),
        period: "2026-05".to_owned(),
        money: money("100", "NGN"),
        by: Splitter::TrovoTech { token_ids: vec![token], description: "swaps".to_owned() },
    };
    let effect = Effect { asked: Request::Distribution(revenue), on: None };
    let reply = bench.client().call(&effect, &key(Provider::TrovoTech, "b")).await;
    assert!(matches!(reply.outcome, CallOutcome::Failed { .. }), "{reply:?}");
    assert_eq!(failed(reply), (OutcomeClass::Ambiguous, "other_amount".to_owned()));
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn tatum_broadcasts_another_transaction() {
    let bench = Bench::start(Provider::Tatum).await;
    let data = json!({ "raw_data_hex": "00", "signature": ["00"] }).to_string();
    let signed = SignedTransaction::new(Chain::Tron, &data).unwrap();
    bench.plan("/v3/tron/broadcast", json!({"body": {"txId": "another"}})).await;
    let error = bench.clients.tatum().unwrap().broadcast(&signed).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Ambiguous, "other_transaction"));
    bench.all_faults_fired().await;
}
