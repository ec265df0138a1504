//! One suite for every provider that has a client: what handlers rely on, whatever the provider.
//!
//! Each provider names one effect with its operation, one read, and how the effect is found again.

use std::collections::BTreeSet;

use payfleet_core::provider::{CallOutcome, Provider, UNAUTHORIZED};
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use payfleet_providers::capabilities::{self, Doubt};
use payfleet_providers::stripe::{ListFilter, NewPaymentIntent};
use payfleet_providers::tatum::{Chain, SignedTransaction};
use payfleet_providers::webhook::{Delivery, Rejected, Secrets, sign, verify};
use serde_json::{Value, json};

use crate::bench::{Bench, START_MS, key, mint, payout};
use crate::stripe;

type Outcome = Result<String, (OutcomeClass, String, String)>;

/// The operation behind [`effect`], its path and the path of [`read`].
pub(crate) fn named(provider: Provider) -> (&'static str, &'static str, &'static str) {
    match provider {
        Provider::Stripe => ("create_payment_intent", "/v1/payment_intents", "/v1/balance"),
        Provider::Tatum => ("broadcast", "/v3/tron/broadcast", "/v4/data/blockchains/block/current"),
        Provider::Heleket => ("payout", "/v1/payout", "/v1/payout/services"),
        Provider::TrovoTech => ("mint", "/token/mint", "/tokens/my"),
    }
}

/// A transaction of TRON that is another for each name.
fn transaction(name: &str) -> SignedTransaction {
    let data = json!({ "raw_data_hex": hex::encode(name), "signature": ["00"] }).to_string();
    SignedTransaction::new(Chain::Tron, &data).unwrap()
}

/// Makes the effect of this name; what the provider calls it.
pub(crate) async fn effect(bench: &Bench, name: &str) -> Outcome {
    match bench.provider {
        Provider::Stripe => {
            let client = stripe::client(&bench.sandbox.url(), "sandbox-api-key");
            let mut params = NewPaymentIntent::of(stripe::money("10", "USD"));
            params.payment_method = Some("pm_card_visa".to_owned());
            params.confirm = Some(true);
            let made = client.platform().create_payment_intent(&params, &stripe::key(name)).await;
            made.map(|made| made.value.id).map_err(told)
        }
        Provider::Tatum => {
            let signed = transaction(name);
            let sent = bench.clients.tatum().unwrap().broadcast(&signed).await;
            sent.map(|()| signed.hash().to_owned()).map_err(told)
        }
        provider => {
            let asked = if provider == Provider::Heleket { payout("10") } else { mint("1") };
            match bench.client().call(&asked, &key(provider, name)).await.outcome {
                CallOutcome::Accepted { report } => Ok(report.provider_ref),
                CallOutcome::Failed { class, code, message } => Err((class, code, message)),
            }
        }
    }
}

/// Asks for something that changes nothing.
async fn read(bench: &Bench) -> Result<(), (OutcomeClass, String, String)> {
    match bench.provider {
        Provider::Stripe => {
            let client = stripe::client(&bench.sandbox.url(), "sandbox-api-key");
            client.platform().balance().await.map(|_| ()).map_err(told)
        }
        Provider::Tatum => bench.clients.tatum().unwrap().height(Chain::Tron).await.map(|_| ()).map_err(told),
        Provider::Heleket => bench.clients.heleket().unwrap().services().await.map(|_| ()).map_err(told),
        Provider::TrovoTech => {
            bench.clients.trovotech().unwrap().own_tokens().await.map(|_| ()).map_err(told)
        }
    }
}

/// What the provider has of our effects.
async fn found(bench: &Bench, names: &[&str]) -> BTreeSet<String> {
    let at = Timestamp::from_unix_ms;
    match bench.provider {
        Provider::Stripe => {
            let client = stripe::client(&bench.sandbox.url(), "sandbox-api-key");
            let all = client.platform().all_payment_intents(&ListFilter::default()).await.unwrap();
            all.into_iter().map(|intent| intent.id).collect()
        }
        Provider::Tatum => {
            let mut found = BTreeSet::new();
            for name in names {
                let tatum = bench.clients.tatum().unwrap();
                let shown = tatum.transaction(Chain::Tron, transaction(name).hash()).await.unwrap();
                found.extend(shown.map(|shown| shown.hash));
            }
            found
        }
        Provider::Heleket | Provider::TrovoTech => {
            let listed = bench.client().list(at(START_MS), at(START_MS + 1_000)).await.unwrap();
            listed.into_iter().map(|entry| entry.report.provider_ref).collect()
        }
    }
}

fn told(error: payfleet_providers::ProviderError) -> (OutcomeClass, String, String) {
    let text = format!("{error} {error:?}");
    (error.class(), error.code().to_owned(), text)
}

#[tokio::test]
async fn a_lost_answer_is_resolved_as_it_is_declared() {
    for provider in Provider::ALL {
        let (operation, path, _) = named(provider);
        let doubt = capabilities::of(provider).unwrap().doubt(operation).unwrap();
        let bench = Bench::start(provider).await;
        bench.plan(path, json!("reset_after_effect")).await;
        let lost = effect(&bench, "a").await;
        match doubt {
            Doubt::SameKey { .. } | Doubt::Repeat => {
                assert_eq!(lost.unwrap_err().0, OutcomeClass::Ambiguous, "{provider}");
                effect(&bench, "a").await.unwrap();
                effect(&bench, "a").await.unwrap();
            }
            Doubt::SameSignedBytes => {
                // The client looks the hash up by itself.
                lost.unwrap();
                effect(&bench, "a").await.unwrap();
            }
            Doubt::Operator => assert_eq!(lost.unwrap_err().0, OutcomeClass::Ambiguous, "{provider}"),
            Doubt::Read | Doubt::LookUp => panic!("{provider}: {operation} moves money"),
        }
        assert_eq!(bench.effects().await.len(), 1, "{provider}: whatever was answered, it happened once");
        bench.all_faults_fired().await;
    }
}

#[tokio::test]
async fn every_effect_is_found_again_also_after_a_restart_of_the_other_side() {
    for provider in Provider::ALL {
        let bench = Bench::start(provider).await;
        let names = ["a", "b", "c"];
        let mut made = BTreeSet::new();
        for name in names {
            made.insert(effect(&bench, name).await.unwrap());
        }
        assert_eq!(made.len(), 3, "{provider}: another key is another effect");
        assert_eq!(found(&bench, &names).await, made, "{provider}");
        let bench = bench.restart().await;
        assert_eq!(found(&bench, &names).await, made, "{provider}");
    }
}

fn answer(status: u16, kind: &str, body: &str) -> Value {
    json!({ "answer": { "status": status, "headers": { "content-type": kind }, "body": body } })
}

/// Ways to answer badly that prove nothing about money.
fn proofless() -> Vec<Value> {
    let huge = format!("{{\"canary\":\"{}\"}}", "x".repeat(1024 * 1024));
    let elsewhere = json!({ "location": "/redirected", "content-type": "application/json" });
    vec![
        json!({ "answer": { "status": 302, "headers": elsewhere, "body": "{\"canary\":1}" } }),
        json!({ "answer": { "status": 307, "headers": elsewhere } }),
        answer(200, "text/html", "<p>canary</p>"),
        answer(200, "application/json", "{\"canary\":"),
        answer(200, "application/json", "{\"canary\":true}"),
        answer(200, "application/json", "[\"canary\"]"),
        answer(200, "application/json", "[{\"canary\":[]}]"),
        answer(200, "application/json", &huge),
        json!({ "status": 500 }),
        json!({ "status": 502 }),
        json!({ "status": 503 }),
        json!({ "status": 504 }),
        json!("reset_before"),
    ]
}

#[tokio::test]
async fn an_answer_that_proves_nothing_leaves_an_effect_in_doubt_and_a_read_to_be_repeated() {
    for provider in Provider::ALL {
        let bench = Bench::start(provider).await;
        let (_, effects, reads) = named(provider);
        for fault in proofless() {
            bench.plan(effects, fault.clone()).await;
            bench.plan(reads, fault.clone()).await;
            let short = format!("{provider} {:.120}", fault.to_string());
            let (class, code, text) = effect(&bench, "a").await.unwrap_err();
            assert_eq!(class, OutcomeClass::Ambiguous, "{short} {code}");
            assert!(!text.contains("canary"), "{short}");
            let (class, code, text) = read(&bench).await.unwrap_err();
            assert_eq!(class, OutcomeClass::Retryable, "{short} {code}");
            assert!(!text.contains("canary"), "{short}");
        }
        let calls = bench.read("_calls").await;
        assert_eq!(calls["calls"]["/redirected"], Value::Null, "{provider} followed a redirect");
        assert_eq!(bench.effects().await.len(), 0);
        bench.all_faults_fired().await;
    }
}

#[tokio::test]
async fn refusals_have_the_class_that_every_provider_gives_them() {
    use OutcomeClass::{RateLimited, Terminal};
    for provider in Provider::ALL {
        let bench = Bench::start(provider).await;
        let (_, effects, reads) = named(provider);
        for (status, class) in [(401, Terminal), (429, RateLimited { retry_after_ms: None })] {
            for path in [effects, reads] {
                bench.plan(path, answer(status, "application/json", "{\"error\":{}}")).await;
            }
            let outcome = effect(&bench, "a").await.unwrap_err();
            assert_eq!(outcome.0, class, "{provider} {status}");
            assert_eq!(outcome.1 == UNAUTHORIZED, status == 401, "{provider} {status} {}", outcome.1);
            assert_eq!(read(&bench).await.unwrap_err().0, class, "{provider} {status}");
        }
        assert_eq!(bench.effects().await.len(), 0);
    }
}

const BODIES: [(Provider, &str); 4] = [
    (Provider::Stripe, r#"{"id":"evt_1","type":"payout.paid","data":{"object":{"id":"po_1"}}}"#),
    (Provider::Tatum, r#"{"subscriptionType":"S","txId":"t","address":"a","amount":"0.05"}"#),
    (
        Provider::Heleket,
        r#"{"type":"payout","uuid":"u","status":"paid","amount":"15.50","url":"https:\/\/a"}"#,
    ),
    (Provider::TrovoTech, r#"{"event_type":"payout.completed","data":{"payout_id":"P","tx_hash":"H"}}"#),
];

fn verdict(
    provider: Provider,
    header: Option<&(&'static str, Vec<u8>)>,
    body: &[u8],
    secrets: &[&str],
) -> Result<String, Rejected> {
    let named = |name: &str| header.filter(|(own, _)| *own == name).map(|(_, value)| value.as_slice());
    let secrets = Secrets::new(secrets.iter().map(|secret| (*secret).into()).collect());
    let now = Timestamp::from_unix_ms(START_MS);
    verify(Delivery { provider, header: &named, body, now }, &secrets).map(|verified| verified.event_key)
}

#[test]
fn webhooks_are_verified_with_either_live_secret_and_no_flipped_bit_is() {
    for (provider, body) in BODIES {
        let now = Timestamp::from_unix_ms(START_MS);
        let signed = sign(provider, body.as_bytes(), &"old-secret".into(), now).unwrap();
        let header = signed.header.map(|(name, value)| (name, value.into_bytes()));
        for secrets in [&["old-secret"][..], &["new-secret", "old-secret"], &["old-secret", "new-secret"]] {
            assert!(verdict(provider, header.as_ref(), &signed.body, secrets).is_ok(), "{provider}");
        }
        assert!(verdict(provider, header.as_ref(), &signed.body, &["new-secret"]).is_err());
        assert_eq!(verdict(provider, header.as_ref(), &signed.body, &[]), Err(Rejected::NotConfigured));
        for (at, bit) in (0..signed.body.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = signed.body.clone();
            flipped[at] ^= 1 << bit;
            let verdict = verdict(provider, header.as_ref(), &flipped, &["old-secret"]);
            assert!(verdict.is_err(), "{provider}: bit {bit} of byte {at}: {verdict:?}");
        }
        let Some((name, value)) = header else { continue };
        for (at, bit) in (0..value.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = value.clone();
            flipped[at] ^= 1 << bit;
            let verdict = verdict(provider, Some(&(name, flipped)), &signed.body, &["old-secret"]);
            assert!(verdict.is_err(), "{provider}: bit {bit} of byte {at} of the header: {verdict:?}");
        }
        assert_eq!(verdict(provider, None, &signed.body, &["old-secret"]), Err(Rejected::MissingSignature));
    }
}

#[tokio::test]
async fn amounts_arrive_digit_for_digit() {
    let bench = Bench::start(Provider::Heleket).await;
    let amounts = ["0.5", "0.500001", "999999.999999", "9007.199254", "1", "1.10", "9999999.999999"];
    for amount in amounts {
        let reply = bench.client().call(&payout(amount), &key(Provider::Heleket, amount)).await;
        let asked = payfleet_core::Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap();
        assert_eq!(crate::bench::accepted(reply).money, Some(asked));
    }
    let bench = Bench::start(Provider::TrovoTech).await;
    for percent in ["0.0001", "12.5", "33.3333", "7"] {
        crate::bench::accepted(bench.client().call(&mint(percent), &key(Provider::TrovoTech, percent)).await);
    }
    let there: Vec<Value> =
        bench.effects().await.into_iter().map(|effect| effect["amount"].clone()).collect();
    assert_eq!(there, ["0.0001", "12.5", "33.3333", "7"]);
}

#[tokio::test]
async fn no_client_prints_its_credentials() {
    for provider in Provider::ALL {
        let bench = Bench::start(provider).await;
        let stripe = stripe::client(&bench.sandbox.url(), "sandbox-api-key");
        let printed = format!("{:?} {stripe:?}", bench.clients);
        for secret in ["sandbox-secret", "sandbox-api-key", "sandbox-payment-key", "sandbox-merchant"] {
            assert!(!printed.contains(secret), "{provider}: {secret}");
        }
    }
}
