//! The fault plans that were played to the official library, played to our client: which class each
//! answer has, and that acting on the classes never sends more than the library did, always under one
//! key. The client itself sends once; whoever holds the intent acts, as `attempts` does here.

use payfleet_core::provider::DO_NOT_REPEAT;
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::stripe::{Client, IdempotencyKey, NewPaymentIntent};

use super::line::{Answer, Line};
use super::{client, key, money, vectors};

const RECORDED: &str = include_str!("../../../jobs/providers/vectors/stripe_sdk_retry.json");

/// `ok`, or the class and code of the answer.
type Classes = Vec<String>;

fn refusal(status: u16, headers: &'static str, kind: &str, code: &str) -> Answer {
    let code = if code.is_empty() { String::new() } else { format!(r#""code":"{code}","#) };
    let body = format!(r#"{{"error":{{"type":"{kind}",{code}"message":"planned"}}}}"#);
    Answer::Json(status, headers, body)
}

fn done() -> Answer {
    let payment = r#"{"id":"pi_1","object":"payment_intent","amount":100,"amount_capturable":0,
        "amount_received":0,"currency":"usd","status":"requires_payment_method",
        "capture_method":"automatic","created":1760000000,"livemode":false,"metadata":{}}"#;
    Answer::Json(200, "", payment.to_owned())
}

/// What is answered, in turn, and the classes we make of it.
fn plan(name: &str) -> (Vec<Answer>, &'static [&'static str]) {
    let invalid = |status, headers, code| refusal(status, headers, "invalid_request_error", code);
    let api = |status, headers| refusal(status, headers, "api_error", "");
    match name {
        "500 twice then 200" => {
            (vec![api(500, ""), api(500, ""), done()], &["ambiguous http_500", "ambiguous http_500", "ok"])
        }
        "503 x3" => (vec![api(503, "")], &["ambiguous http_503", "ambiguous http_503", "ambiguous http_503"]),
        "409 then 200" => (vec![invalid(409, "", "lock_timeout"), done()], &["rate_limited lock_timeout"]),
        "409 idempotency_key_in_use then 200" => (
            vec![refusal(409, "", "idempotency_error", "idempotency_key_in_use"), done()],
            &["rate_limited idempotency_key_in_use"],
        ),
        "429 rate_limit" => (vec![invalid(429, "", "rate_limit")], &["rate_limited rate_limited"]),
        "429 lock_timeout" => (vec![invalid(429, "", "lock_timeout")], &["rate_limited lock_timeout"]),
        "429 with should-retry true" => (
            vec![invalid(429, "stripe-should-retry: true\r\n", "rate_limit"), done()],
            &["rate_limited rate_limited"],
        ),
        "429 with retry-after 2" => {
            (vec![invalid(429, "retry-after: 2\r\n", "rate_limit")], &["rate_limited rate_limited"])
        }
        "500 with retry-after 2" => {
            (vec![api(500, "retry-after: 2\r\n"), done()], &["ambiguous http_500", "ok"])
        }
        "500 with retry-after 120" => {
            (vec![api(500, "retry-after: 120\r\n"), done()], &["ambiguous http_500", "ok"])
        }
        "500 with should-retry false" => {
            (vec![api(500, "stripe-should-retry: false\r\n")], &["ambiguous do_not_repeat"])
        }
        "400" => (vec![invalid(400, "", "parameter_missing")], &["terminal parameter_missing"]),
        "400 idempotency_error" => {
            (vec![refusal(400, "", "idempotency_error", "")], &["terminal idempotency_error"])
        }
        "401" => (vec![invalid(401, "", "")], &["terminal unauthorized"]),
        "402 card_declined" => {
            (vec![refusal(402, "", "card_error", "card_declined")], &["terminal card_declined"])
        }
        "403" => (vec![invalid(403, "", "")], &["terminal unauthorized"]),
        "404" => (vec![invalid(404, "", "resource_missing")], &["terminal resource_missing"]),
        "connection reset then 200" => (vec![Answer::Reset, done()], &["ambiguous connection_lost", "ok"]),
        "GET 500 then 200" => (vec![api(500, ""), done()], &["retryable http_500", "ok"]),
        "DELETE 500 then 200" => {
            let deleted = r#"{"id":"cus_1","object":"customer","deleted":true}"#.to_owned();
            (vec![api(500, ""), Answer::Json(200, "", deleted)], &["ambiguous http_500", "ok"])
        }
        _ => panic!("{name}: a plan nobody knows"),
    }
}

/// The call a plan is about, once.
async fn call(client: &Client, name: &str, key: &IdempotencyKey) -> Result<(), (OutcomeClass, String)> {
    let us = client.platform();
    let ended = match name.split(' ').next() {
        Some("GET") => us.payment_intent("pi_1", &[]).await.map(drop),
        Some("DELETE") => us.delete_customer("cus_1").await.map(drop),
        _ => us.create_payment_intent(&NewPaymentIntent::of(money("1", "USD")), key).await.map(drop),
    };
    ended.map_err(|error| (error.class(), error.code().to_owned()))
}

/// What the holder of the intent does, in short: the same call under the same key while the class lets it
/// and the attempts last. A rate limit puts it off, which is no attempt; what is not to be repeated is
/// looked up; a refusal ends it.
async fn attempts(client: &Client, name: &str, max_retries: u64) -> Classes {
    let key = key("one-intent-one-key");
    let mut classes = Classes::new();
    for _ in 0..=max_retries {
        match call(client, name, &key).await {
            Ok(()) => {
                classes.push("ok".to_owned());
                break;
            }
            Err((class, code)) => {
                classes.push(format!("{} {code}", class.as_str()));
                let is_repeated = matches!(class, OutcomeClass::Retryable | OutcomeClass::Ambiguous);
                if !is_repeated || code == DO_NOT_REPEAT {
                    break;
                }
            }
        }
    }
    classes
}

#[tokio::test]
async fn acting_on_our_classes_never_sends_more_than_the_official_library_did() {
    let cases = vectors(RECORDED);
    assert_eq!(cases.len(), 20);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let (answers, expected) = plan(name);
        let line = Line::start(answers).await;
        let client = client(&line.url, "sk_test_12345");
        assert_eq!(attempts(&client, name, case["max_retries"].as_u64().unwrap()).await, expected, "{name}");
        let seen = line.seen();
        assert!(seen.len() as u64 <= case["attempts"].as_u64().unwrap(), "{name}: {} times", seen.len());
        let mut keys: Vec<Option<&str>> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
        keys.dedup();
        assert_eq!(keys.len(), 1, "{name}: one key");
        assert_eq!(keys[0].is_some(), case["key_present"], "{name}: a key on POST only");
        let is_ok = expected.last() == Some(&"ok");
        assert!(!is_ok || case["outcome"] == "ok", "{name}: it went well for both or not for us");
    }
}

#[tokio::test]
async fn answers_that_are_no_answers_are_in_doubt_and_say_which_request_it_was() {
    let payment = |member: &str| format!(r#"{{"id":"pi_1","object":"payment_intent",{member}}}"#);
    for (status, body, code) in [
        (200, "{".to_owned(), "unexpected_answer"),
        (200, r#"{"id":"re_1","object":"refund"}"#.to_owned(), "unexpected_answer"),
        (200, payment(r#""amount":1.5,"currency":"usd""#), "unexpected_answer"),
        (200, payment(r#""amount":100,"currency":"xxx""#), "unexpected_answer"),
        (200, payment(r#""amount":100,"amount":200,"currency":"usd""#), "unexpected_answer"),
        (302, "{}".to_owned(), "redirect"),
        (200, format!("\"{}\"", "x".repeat(1024 * 1024)), "too_large"),
    ] {
        let answer = Answer::Json(status, "request-id: req_7\r\nlocation: /elsewhere\r\n", body.clone());
        let line = Line::start(vec![answer]).await;
        let us = client(&line.url, "sk_test_12345");
        let params = NewPaymentIntent::of(money("1", "USD"));
        let error = us.platform().create_payment_intent(&params, &key("a")).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (OutcomeClass::Ambiguous, code), "{body:.80}");
        assert_eq!((error.http_status(), error.request_id()), (Some(status), Some("req_7")));
        assert_eq!(line.seen().len(), 1, "nothing is followed or repeated");
    }
}

#[tokio::test]
async fn an_amount_that_cannot_be_sent_is_refused_before_anything_is() {
    let line = Line::start(vec![done()]).await;
    let us = client(&line.url, "sk_test_12345");
    for amount in [money("1.234", "KWD"), money("5", "USDT")] {
        let params = NewPaymentIntent::of(amount);
        let error = us.platform().create_payment_intent(&params, &key("a")).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (OutcomeClass::Terminal, "amount_not_sendable"));
    }
    assert_eq!(line.seen().len(), 0);
}

#[test]
fn a_key_is_one_to_255_printable_characters() {
    for bad in [String::new(), "a b".to_owned(), "é".to_owned(), "x".repeat(256), "a\n".to_owned()] {
        assert!(IdempotencyKey::new(&bad).is_err(), "{bad:?}");
    }
    assert!(IdempotencyKey::new(&"x".repeat(255)).is_ok());
}
