//! One row per line of the tables: what each answer of Stripe's says about money.

use payfleet_core::Classify;
use payfleet_core::provider::UNAUTHORIZED;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn answered(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Exchanged {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    Exchanged {
        status,
        request_id: Some("req_1".to_owned()),
        headers,
        retry_after_ms: None,
        is_json: true,
        body: body.as_bytes().to_vec(),
    }
}

fn of(call: Call, exchanged: &Exchanged) -> (OutcomeClass, String) {
    let error = error(call, exchanged);
    assert_eq!(error.http_status(), Some(exchanged.status));
    assert_eq!(error.request_id(), Some("req_1"));
    (error.class(), error.code().to_owned())
}

const ERROR: &str = r#"{"error":{"type":"invalid_request_error","message":"no"}}"#;

fn coded(kind: &str, code: &str) -> String {
    format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"no"}}}}"#)
}

type Row = (&'static str, Exchanged, OutcomeClass, &'static str);

fn invalid_request(code: &str) -> String {
    coded("invalid_request_error", code)
}

/// Failures, and answers from before the idempotency layer.
fn unstored() -> Vec<Row> {
    use OutcomeClass::Ambiguous;
    let limited = OutcomeClass::RateLimited { retry_after_ms: None };
    let invalid = invalid_request;
    vec![
        ("500", answered(500, &[], &coded("api_error", "x")), Ambiguous, "http_500"),
        ("503", answered(503, &[], ""), Ambiguous, "http_503"),
        ("599", answered(599, &[], ""), Ambiguous, "http_599"),
        (
            "a stored 500",
            answered(500, &[("idempotent-replayed", "true")], ERROR),
            Ambiguous,
            REPLAYED_FAILURE,
        ),
        (
            "500, should-retry false",
            answered(500, &[("stripe-should-retry", "false")], ERROR),
            Ambiguous,
            DO_NOT_REPEAT,
        ),
        (
            "500, should-retry true",
            answered(500, &[("stripe-should-retry", "true")], ERROR),
            Ambiguous,
            "http_500",
        ),
        ("409 lock", answered(409, &[], &invalid("lock_timeout")), limited, "lock_timeout"),
        (
            "409 key in use",
            answered(409, &[], &coded("idempotency_error", "idempotency_key_in_use")),
            limited,
            "idempotency_key_in_use",
        ),
        ("409 bare", answered(409, &[], ""), limited, "conflict"),
        ("429", answered(429, &[], &invalid("rate_limit")), limited, "rate_limited"),
        (
            "429 with its reason",
            answered(429, &[("stripe-rate-limited-reason", "endpoint-rate")], &invalid("rate_limit")),
            limited,
            "rate_limited",
        ),
        ("429 lock", answered(429, &[], &invalid("lock_timeout")), limited, "lock_timeout"),
        (
            "429, should-retry false",
            answered(429, &[("stripe-should-retry", "false")], &invalid("rate_limit")),
            limited,
            "rate_limited",
        ),
        ("429 bare", answered(429, &[], ""), limited, "rate_limited"),
    ]
}

/// Refusals.
fn refusals() -> Vec<Row> {
    use OutcomeClass::{Ambiguous, Retryable, Terminal};
    let invalid = invalid_request;
    vec![
        ("401", answered(401, &[], ERROR), Terminal, UNAUTHORIZED),
        ("403", answered(403, &[], ERROR), Terminal, UNAUTHORIZED),
        ("400", answered(400, &[], &invalid("parameter_missing")), Terminal, "parameter_missing"),
        ("400 too small", answered(400, &[], &invalid("amount_too_small")), Terminal, "amount_too_small"),
        ("400 without a code", answered(400, &[], ERROR), Terminal, "invalid_request_error"),
        (
            "400 other parameters",
            answered(400, &[], r#"{"error":{"type":"idempotency_error","message":"no"}}"#),
            Terminal,
            "idempotency_error",
        ),
        (
            "400, should-retry true",
            answered(400, &[("stripe-should-retry", "true")], ERROR),
            Retryable,
            "invalid_request_error",
        ),
        (
            "400 a business wait",
            answered(400, &[], &invalid("balance_insufficient")),
            Retryable,
            "balance_insufficient",
        ),
        ("404", answered(404, &[], &invalid("resource_missing")), Terminal, "resource_missing"),
        ("422", answered(422, &[], ERROR), Terminal, "invalid_request_error"),
        ("402", answered(402, &[], &coded("card_error", "card_declined")), Terminal, "card_declined"),
        ("400 without Stripe's error", answered(400, &[], "{}"), Ambiguous, "unknown_answer"),
        ("402 without Stripe's error", answered(402, &[], ""), Ambiguous, "unknown_answer"),
        ("404 of a proxy", answered(404, &[], "<p>no</p>"), Ambiguous, "unknown_answer"),
        ("418", answered(418, &[], ERROR), Ambiguous, "unknown_answer"),
    ]
}

#[test]
fn every_line_of_the_tables_has_its_class() {
    use OutcomeClass::{Ambiguous, Retryable};
    for (name, exchanged, class, code) in unstored().into_iter().chain(refusals()) {
        assert_eq!(of(Call::Effect, &exchanged), (class, code.to_owned()), "{name}");
        let read = if class == Ambiguous { Retryable } else { class };
        assert_eq!(of(Call::Read, &exchanged), (read, code.to_owned()), "{name}, asking only");
    }
}

#[test]
fn declines_are_terminal_for_their_key_and_say_whether_another_try_is_worth_it() {
    for (decline, advice, is_worth_it) in [
        ("insufficient_funds", "", false),
        ("lost_card", "", false),
        ("stolen_card", "", false),
        ("expired_card", "", false),
        ("do_not_honor", "", false),
        ("processing_error", "", true),
        ("try_again_later", "", true),
        ("something_new", "", false),
        ("insufficient_funds", "try_again_later", true),
        ("processing_error", "do_not_try_again", false),
        ("incorrect_cvc", "confirm_card_data", false),
        ("processing_error", "something_new", true),
    ] {
        let advised = if advice.is_empty() { String::new() } else { format!(r#","advice_code":"{advice}""#) };
        let body = format!(
            r#"{{"error":{{"type":"card_error","code":"card_declined","decline_code":"{decline}"{advised},
                "message":"Your card was declined."}}}}"#
        );
        let exchanged = answered(402, &[], &body);
        assert_eq!(of(Call::Effect, &exchanged), (OutcomeClass::Terminal, decline.to_owned()));
        let refused = Refused::read(&exchanged).unwrap();
        assert_eq!(refused.payment.is_worth_another_try(), is_worth_it, "{decline} {advice}");
        assert_eq!(declined(&refused).to_string().contains("advice"), !advice.is_empty());
    }
}

#[test]
fn a_pause_that_is_asked_for_is_kept_to_an_hour() {
    for (asked, kept) in [(2_000, 2_000), (u64::MAX, LONGEST_RETRY_AFTER_MS)] {
        let exchanged = Exchanged { retry_after_ms: Some(asked), ..answered(429, &[], "") };
        let limited = OutcomeClass::RateLimited { retry_after_ms: Some(kept) };
        assert_eq!(of(Call::Effect, &exchanged).0, limited);
    }
}

#[test]
fn no_error_quotes_what_stripe_says_of_a_payer() {
    let body = r#"{"error":{"type":"invalid_request_error","code":"email_invalid",
        "message":"Invalid email address: someone@example.com 4242424242424242"}}"#;
    let text = error(Call::Effect, &answered(400, &[], body)).to_string();
    assert!(!text.contains("someone") && !text.contains("4242"), "{text}");
}
