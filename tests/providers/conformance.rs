//! One suite for every provider that has a client: what handlers rely on, whatever the provider.
//!
//! Each provider names one effect with its operation, one read, and how the effect is found again.

use std::collections::BTreeSet;

use payfleet_core::provider::{CallOutcome, Provider, UNAUTHORIZED};
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use payfleet_providers::capabilities::{self, Doubt};
use payfleet_providers::stripe::{self as stripe_client, ListFilter, NewPaymentIntent};
use payfleet_providers::tatum::{Chain, SignedTransaction};
use payfleet_providers::webhook::{Delivery, Rejected, Secrets, sign, verify};
use payfleet_providers::{ConfigError, heleket, tatum, trovotech};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::bench::{Bench, START_MS, key, listed, mint, payout};
use crate::stripe;

pub(crate) type Outcome<T = String> = Result<T, Told>;

/// What a client tells of a call that did not end well.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) class: OutcomeClass,
    pub(crate) code: String,
    pub(crate) request_id: Option<String>,
    /// Everything that could be printed of it.
    pub(crate) text: String,
}

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
            let client = bench.stripe();
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
            let reply = bench.client().call(&asked, &key(provider, name)).await;
            let (text, request_id) = (format!("{reply:?}"), reply.request_id);
            match reply.outcome {
                CallOutcome::Accepted { report } => Ok(report.provider_ref),
                CallOutcome::Failed { class, code, .. } => Err(Told { class, code, request_id, text }),
            }
        }
    }
}

/// Asks for something that changes nothing.
async fn read(bench: &Bench) -> Outcome<()> {
    match bench.provider {
        Provider::Stripe => bench.stripe().platform().balance().await.map(|_| ()).map_err(told),
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
            let client = bench.stripe();
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
            let listed = listed(bench.client(), at(START_MS), at(START_MS + 1_000)).await.unwrap();
            listed.into_iter().map(|entry| entry.report.provider_ref).collect()
        }
    }
}

fn told(error: payfleet_providers::ProviderError) -> Told {
    let (code, request_id) = (error.code().to_owned(), error.request_id().map(str::to_owned));
    Told { class: error.class(), code, request_id, text: format!("{error} {error:?}") }
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
                assert_eq!(lost.unwrap_err().class, OutcomeClass::Ambiguous, "{provider}");
                effect(&bench, "a").await.unwrap();
                effect(&bench, "a").await.unwrap();
            }
            Doubt::SameSignedBytes => {
                // The client looks the hash up by itself.
                lost.unwrap();
                effect(&bench, "a").await.unwrap();
            }
            Doubt::Operator => assert_eq!(lost.unwrap_err().class, OutcomeClass::Ambiguous, "{provider}"),
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

/// Ways to answer badly that prove nothing about money.
fn proofless() -> Vec<Value> {
    let huge = format!("{{\"canary\":\"{}\"}}", "x".repeat(1024 * 1024));
    vec![
        answer(302, "application/json", "{\"canary\":1}"),
        answer(307, "application/json", ""),
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

/// The provider's id of a request, which every error of an answer must name.
const REQUEST_ID: &str = "req-of-theirs-7";

fn answer(status: u16, kind: &str, body: &str) -> Value {
    let headers = json!({ "content-type": kind, "x-request-id": REQUEST_ID, "location": "/redirected" });
    json!({ "answer": { "status": status, "headers": headers, "body": body } })
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
            let (effect, read) = (effect(&bench, "a").await.unwrap_err(), read(&bench).await.unwrap_err());
            assert_eq!(effect.class, OutcomeClass::Ambiguous, "{short} {}", effect.code);
            assert_eq!(read.class, OutcomeClass::Retryable, "{short} {}", read.code);
            for Told { text, request_id, .. } in [effect, read] {
                assert!(!text.contains("canary"), "{short} {text}");
                let answered = fault.get("answer").map(|_| REQUEST_ID);
                assert_eq!(request_id.as_deref(), answered, "{short}");
            }
        }
        let calls = bench.read("_calls").await;
        assert_eq!(calls["calls"]["/redirected"], Value::Null, "{provider} followed a redirect");
        assert_eq!(bench.effects().await.len(), 0);
        bench.all_faults_fired().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_too_slow_is_a_doubt_for_an_effect_and_none_for_a_read() {
    let slow = async |provider: Provider| {
        let bench = Bench::start(provider).await.impatient();
        let (_, effects, reads) = named(provider);
        bench.plan(effects, json!("effect_then_timeout")).await;
        bench.plan(reads, json!("effect_then_timeout")).await;
        let read = read(&bench).await.unwrap_err();
        assert_eq!((read.class, read.code.as_str()), (OutcomeClass::Retryable, "timeout"), "{provider}");
        match effect(&bench, "a").await {
            // It was there when its hash was asked for.
            Ok(_) => assert_eq!(provider, Provider::Tatum),
            Err(Told { class, code, .. }) => {
                assert_eq!((class, code.as_str()), (OutcomeClass::Ambiguous, "timeout"), "{provider}");
            }
        }
        assert_eq!(bench.effects().await.len(), 1, "{provider}");
        bench.all_faults_fired().await;
    };
    futures::future::join_all(Provider::ALL.map(slow)).await;
}

#[tokio::test]
async fn nothing_was_sent_where_nobody_listens() {
    for provider in Provider::ALL {
        let bench = Bench::start(provider).await.led_astray();
        for told in [effect(&bench, "a").await.map(drop).unwrap_err(), read(&bench).await.unwrap_err()] {
            assert_eq!((told.class, told.code.as_str()), (OutcomeClass::Retryable, "connect"), "{provider}");
        }
    }
}

/// A refusal as this provider writes it.
fn refusal(provider: Provider, status: u16) -> Value {
    let body = match provider {
        Provider::Stripe => {
            json!({ "error": { "type": "invalid_request_error", "code": "no", "message": "no" } })
        }
        Provider::Tatum => {
            json!({ "statusCode": status, "errorCode": "validation.failed", "message": "no", "data": [] })
        }
        Provider::Heleket if status == 422 => json!({ "state": 1, "errors": { "amount": ["no"] } }),
        Provider::Heleket => json!({ "state": 1, "message": "Wallet not found" }),
        Provider::TrovoTech => json!({ "error": "no" }),
    };
    answer(status, "application/json", &body.to_string())
}

/// The table of what an answer means, one column a provider: what may be repeated, what may not, and what
/// nobody knows. `None` where the provider documents nothing, which proves nothing.
#[tokio::test]
async fn every_status_has_the_class_that_the_table_gives_it() {
    use OutcomeClass::{RateLimited, Terminal};
    let limited = Some(RateLimited { retry_after_ms: None });
    let (refused, unknown) = (Some(Terminal), None);
    let table = [
        // Stripe, Tatum, Heleket, TrovoTech.
        (400, [refused, refused, refused, refused]),
        (401, [refused, refused, refused, refused]),
        (402, [refused, unknown, refused, unknown]),
        (403, [refused, refused, refused, refused]),
        (404, [refused, refused, refused, refused]),
        (409, [limited, unknown, refused, unknown]),
        (422, [refused, refused, refused, refused]),
        (429, [limited, limited, limited, limited]),
        (500, [unknown; 4]),
        (502, [unknown; 4]),
        (503, [unknown; 4]),
        (504, [unknown; 4]),
        (599, [unknown; 4]),
    ];
    for (number, provider) in Provider::ALL.into_iter().enumerate() {
        let bench = Bench::start(provider).await;
        let (_, effects, reads) = named(provider);
        for (status, classes) in table {
            bench.plan(effects, refusal(provider, status)).await;
            bench.plan(reads, refusal(provider, status)).await;
            let (effect, read) = (effect(&bench, "a").await.unwrap_err(), read(&bench).await.unwrap_err());
            let short = format!("{provider} {status} {} {}", effect.code, read.code);
            let class = classes[number];
            assert_eq!(effect.class, class.unwrap_or(OutcomeClass::Ambiguous), "{short}");
            assert_eq!(read.class, class.unwrap_or(OutcomeClass::Retryable), "{short}");
            // No operation is to be blamed for our credentials.
            let ours = status == 401 || status == 403 && provider != Provider::Tatum;
            assert_eq!(effect.code == UNAUTHORIZED, ours, "{short}");
            assert_eq!(effect.request_id.as_deref(), Some(REQUEST_ID), "{short}");
            assert_eq!(read.request_id.as_deref(), Some(REQUEST_ID), "{short}");
        }
        assert_eq!(bench.effects().await.len(), 0, "{provider}");
        bench.all_faults_fired().await;
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
        let printed = format!("{:?} {:?}", bench.clients, bench.stripe());
        for secret in ["sandbox-secret", "sandbox-api-key", "sandbox-payment-key", "sandbox-merchant"] {
            assert!(!printed.contains(secret), "{provider}: {secret}");
        }
    }
}

/// A client of each provider at `url`, with secrets that are easily found; the settings as they print,
/// and whether the client can be made.
fn configured(provider: Provider, url: &str) -> (String, Result<(), ConfigError>) {
    let (url, secret) = (url.to_owned(), || SecretString::from("canary-secret"));
    match provider {
        Provider::Stripe => {
            let mut config = stripe_client::Config::new(secret());
            config.base_url = url;
            (format!("{config:?}"), stripe_client::Client::new(&config).map(drop))
        }
        Provider::Tatum => {
            let config = tatum::Config::new(url, secret());
            (format!("{config:?}"), tatum::Client::new(config).map(drop))
        }
        Provider::Heleket => {
            let mut config = heleket::Config::new(url, "m".to_owned(), secret());
            config.payment_key = Some(secret());
            (format!("{config:?}"), heleket::Client::new(config).map(drop))
        }
        Provider::TrovoTech => {
            let config = trovotech::Config::new(url.clone(), secret(), "i".to_owned(), url);
            (format!("{config:?}"), trovotech::Client::new(config).map(drop))
        }
    }
}

#[test]
fn hosts_come_from_the_settings_and_lead_out_of_our_network() {
    for (provider, setting) in [
        (Provider::Stripe, "STRIPE_BASE_URL"),
        (Provider::Tatum, "TATUM_BASE_URL"),
        (Provider::Heleket, "HELEKET_PROJECT_URL"),
        (Provider::TrovoTech, "TROVOTECH_BASE_URL"),
    ] {
        for url in [
            "https://127.0.0.1",
            "https://10.0.0.7",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254",
            "https://[::1]",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://localhost",
            "http://api.example.com",
            "https://user:word@api.example.com",
            "api.example.com",
        ] {
            let (printed, made) = configured(provider, url);
            let error = made.unwrap_err().to_string();
            assert!(error.contains(setting), "{provider} {url}: {error}");
            assert!(!format!("{printed} {error}").contains("canary"), "{provider} {printed}");
        }
        assert_eq!(configured(provider, "https://api.example.com").1, Ok(()), "{provider}");
    }
    // The ledger behind TrovoTech is reached by a setting of its own.
    let config = trovotech::Config::new(
        "https://api.example.com".to_owned(),
        "canary-secret".into(),
        "i".to_owned(),
        "https://10.0.0.7".to_owned(),
    );
    assert!(trovotech::Client::new(config).unwrap_err().to_string().contains("expansion URL"));
}
