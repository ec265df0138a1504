//! What HTTP alone tells: one row for each way in which a call can end badly.

use payfleet_core::provider::{Provider, UNAUTHORIZED};
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::{Clients, Configs};
use serde_json::{Value, json};

use crate::bench::{Bench, clients, failed, key, payout};

fn answer(status: u16, kind: &str, body: &str) -> Value {
    json!({ "answer": { "status": status, "headers": { "content-type": kind }, "body": body } })
}

#[tokio::test]
async fn every_bad_answer_has_its_class_for_an_effect_and_for_a_read() {
    use OutcomeClass::{Ambiguous, Retryable, Terminal};
    let limited = |retry_after_ms| OutcomeClass::RateLimited { retry_after_ms };
    let asks =
        |retry_after: &str| json!({ "answer": { "status": 429, "headers": { "retry-after": retry_after } } });
    let huge = format!("{{\"state\":0,\"result\":\"{}\"}}", "x".repeat(1024 * 1024));
    let redirect = json!({ "answer": { "status": 302, "headers": { "location": "/v1/payout/services" } } });
    let rows = [
        (json!({ "status": 500 }), Ambiguous, Retryable, "http_500"),
        (json!({ "status": 502 }), Ambiguous, Retryable, "http_502"),
        (json!({ "status": 503 }), Ambiguous, Retryable, "http_503"),
        (json!({ "status": 401 }), Terminal, Terminal, UNAUTHORIZED),
        (json!({ "status": 403 }), Terminal, Terminal, UNAUTHORIZED),
        (json!({ "status": 429 }), limited(None), limited(None), "rate_limited"),
        (asks("7"), limited(Some(7_000)), limited(Some(7_000)), "rate_limited"),
        (asks("86400"), limited(Some(3_600_000)), limited(Some(3_600_000)), "rate_limited"),
        (
            asks("Fri, 31 Dec 2100 23:59:59 GMT"),
            limited(Some(3_600_000)),
            limited(Some(3_600_000)),
            "rate_limited",
        ),
        (redirect, Ambiguous, Retryable, "redirect"),
        (answer(200, "text/html", "<p>hello</p>"), Ambiguous, Retryable, "not_json"),
        (answer(404, "text/html", "<p>hello</p>"), Ambiguous, Retryable, "not_json"),
        (answer(200, "application/json", "{"), Ambiguous, Retryable, "unexpected_answer"),
        (answer(200, "application/json", &huge), Ambiguous, Retryable, "too_large"),
        (json!({ "body": { "state": 0, "result": [] } }), Ambiguous, Retryable, "unexpected_answer"),
        (
            json!({ "body": { "state": 0, "result": { "uuid": "u" } } }),
            Ambiguous,
            Retryable,
            "unexpected_answer",
        ),
        (
            json!({ "body": { "state": 1, "message": "Wallet not found" } }),
            Terminal,
            Terminal,
            "wallet_not_found",
        ),
        (
            json!({ "body": { "state": 1, "message": "Gateway error" } }),
            Retryable,
            Retryable,
            "gateway_error",
        ),
        (json!({ "body": { "state": 1, "message": "???" } }), Ambiguous, Retryable, "unknown_message"),
        (
            answer(422, "application/json", r#"{"state":1,"errors":{"amount":["no"]}}"#),
            Terminal,
            Terminal,
            "validation",
        ),
        (answer(418, "application/json", "{}"), Ambiguous, Retryable, "unknown_message"),
        (json!("reset_before"), Ambiguous, Retryable, "connection_lost"),
    ];
    let bench = Bench::start(Provider::Heleket).await;
    for (fault, effect, read, code) in rows {
        bench.plan("/v1/payout", fault.clone()).await;
        bench.plan("/v1/payout/info", fault.clone()).await;
        let outcome = failed(bench.client().call(&payout("1"), &key(Provider::Heleket, "a")).await);
        assert_eq!(outcome, (effect, code.to_owned()), "an effect, {code}: {:.200}", fault.to_string());
        let error = bench.client().poll(&payout("1"), "u", None).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (read, code), "a read: {:.200}", fault.to_string());
    }
    assert_eq!(bench.effects().await.len(), 0);
    assert_eq!(
        bench.read("_calls").await["calls"]["/v1/payout/services"],
        Value::Null,
        "no redirect is followed"
    );
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn an_answer_about_another_order_is_not_taken_for_ours() {
    let bench = Bench::start(Provider::Heleket).await;
    let other = json!({ "uuid": "u", "order_id": "theirs", "status": "paid", "is_final": true,
        "amount": "1", "currency": "USDT", "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm" });
    bench.plan("/v1/payout", json!({ "body": { "state": 0, "result": other } })).await;
    let outcome = failed(bench.client().call(&payout("1"), &key(Provider::Heleket, "a")).await);
    assert_eq!(outcome, (OutcomeClass::Ambiguous, "unexpected_answer".to_owned()));
}

#[tokio::test]
async fn a_refused_connection_is_safe_to_repeat() {
    let bench = Bench::start(Provider::Heleket).await;
    let Bench { sandbox, clients, .. } = bench;
    sandbox.stop().await;
    let client = clients.of(Provider::Heleket).unwrap();
    let outcome = failed(client.call(&payout("1"), &key(Provider::Heleket, "a")).await);
    assert_eq!(outcome, (OutcomeClass::Retryable, "connect".to_owned()));
}

#[tokio::test]
async fn a_timeout_after_the_request_was_sent_is_in_doubt() {
    let bench = Bench::start(Provider::Heleket).await;
    bench.plan("/v1/payout", json!("effect_then_timeout")).await;
    let bench = bench.impatient();
    let outcome = failed(bench.client().call(&payout("1"), &key(Provider::Heleket, "a")).await);
    assert_eq!(outcome, (OutcomeClass::Ambiguous, "timeout".to_owned()));
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn a_wrong_key_is_our_fault_and_not_the_payouts() {
    let bench = Bench::start(Provider::Heleket).await;
    let wrong = clients(&bench.sandbox.url(), |config| config.payout_key = "another".into());
    let client = wrong.of(Provider::Heleket).unwrap();
    let reply = client.call(&payout("1"), &key(Provider::Heleket, "a")).await;
    assert_eq!(reply.http_status, Some(401));
    assert_eq!(failed(reply), (OutcomeClass::Terminal, UNAUTHORIZED.to_owned()));
}

#[test]
fn a_private_address_is_refused_unless_a_sandbox_is_asked_for() {
    let config = || {
        let url = "https://169.254.169.254".to_owned();
        payfleet_providers::heleket::Config::new(url, "m".to_owned(), "canary-key".into())
    };
    let error = Clients::new(Configs { heleket: Some(config()), ..Configs::default() }).unwrap_err();
    assert!(error.to_string().contains("HELEKET_PROJECT_URL"), "{error}");
    assert!(!format!("{:?}", config()).contains("canary"));
}
