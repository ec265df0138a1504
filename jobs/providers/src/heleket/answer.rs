//! What Heleket's answers mean. Success is `state: 0` and nothing else, also under HTTP 200; a refusal
//! is a 422 with `errors` by field, or a `message` from the list below. A message that is not on the
//! list proves nothing about a payout.

use payfleet_core::OutcomeClass;

use crate::failure::{Call, ProviderError, presentable};
use crate::http::Answer;
use crate::json::Object;

/// What a documented message means.
#[derive(Clone, Copy)]
enum Meaning {
    /// Refused for good.
    Refused,
    /// Our key or our permissions are.
    Unauthorized,
    /// Not executed; worth another try (money may arrive, works may end).
    NotNow,
}

/// Documented messages by how they begin, and our code for each.
const MESSAGES: &[(&str, &str, Meaning)] = &[
    ("The currency was not found", "currency_not_found", Meaning::Refused),
    ("The service was not found", "service_not_found", Meaning::Refused),
    ("Not found service to_currency", "service_not_found", Meaning::Refused),
    ("Error convert to_currency", "not_convertible", Meaning::Refused),
    ("The withdrawal amount is too small", "amount_too_small", Meaning::Refused),
    ("Minimum amount", "amount_too_small", Meaning::Refused),
    ("Maximum amount", "amount_too_large", Meaning::Refused),
    ("Wallet not found", "wallet_not_found", Meaning::Refused),
    ("Invalid Sign", "", Meaning::Unauthorized),
    ("You are forbidden", "", Meaning::Unauthorized),
    ("Not enough funds", "insufficient_funds", Meaning::NotNow),
    ("Not enough balance", "insufficient_funds", Meaning::NotNow),
    ("The terminal was not found", "technical_works", Meaning::NotNow),
    ("Gateway error", "gateway_error", Meaning::NotNow),
];

/// The answer's `result`, if it is a success.
pub(super) fn result(call: Call, answer: &Answer) -> Result<Object<'_>, ProviderError> {
    let object = success(call, answer)?;
    object.object("result").ok_or_else(|| no_result(call, answer))
}

/// As [`result`], where it is a list.
pub(super) fn results(call: Call, answer: &Answer) -> Result<Vec<Object<'_>>, ProviderError> {
    let object = success(call, answer)?;
    object.objects("result").ok_or_else(|| no_result(call, answer))
}

/// The whole answer, if it is a success.
pub(super) fn success(call: Call, answer: &Answer) -> Result<Object<'_>, ProviderError> {
    let Ok(object) = Object::parse(&answer.body) else {
        return Err(answer.explain(ProviderError::unexpected(call, "the answer is not a JSON object")));
    };
    if object.text("state").as_deref() == Some("0") && answer.is_success() {
        return Ok(object);
    }
    Err(answer.explain(refusal(call, answer.status, &object)))
}

fn no_result(call: Call, answer: &Answer) -> ProviderError {
    answer.explain(ProviderError::unexpected(call, "the answer has no result"))
}

fn refusal(call: Call, status: u16, object: &Object<'_>) -> ProviderError {
    let message = object.text("message").unwrap_or_default();
    let known = MESSAGES.iter().find(|(start, ..)| message.starts_with(start));
    match known {
        Some((.., Meaning::Unauthorized)) => ProviderError::unauthorized(),
        Some((_, code, Meaning::Refused)) => ProviderError::refused(*code, presentable(&message)),
        Some((_, code, Meaning::NotNow)) => {
            ProviderError::new(OutcomeClass::Retryable, *code, presentable(&message))
        }
        None if status == 422 => ProviderError::refused("validation", invalid_fields(object, &message)),
        None => ProviderError::new(
            call.unproven(),
            "unknown_message",
            format!("an answer that is not documented: {}", presentable(&message)),
        ),
    }
}

/// Which fields were refused: their names only, since what is said of them may quote them.
fn invalid_fields(object: &Object<'_>, message: &str) -> String {
    let errors = object.object("errors");
    let names: Vec<&str> =
        errors.iter().flat_map(Object::members).take(8).map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return format!("the request was refused: {}", presentable(message));
    }
    format!("the request was refused for its {}", presentable(&names.join(", ")))
}

#[cfg(test)]
mod tests {
    use payfleet_core::Classify;
    use payfleet_core::provider::UNAUTHORIZED;

    use super::*;

    fn of(call: Call, status: u16, body: &str) -> Result<(), (OutcomeClass, String)> {
        let answer = Answer { status, request_id: None, body: body.as_bytes().to_vec() };
        result(call, &answer).map(|_| ()).map_err(|error| (error.class(), error.code().to_owned()))
    }

    fn message(status: u16, message: &str) -> (OutcomeClass, String) {
        of(Call::Effect, status, &format!(r#"{{"state":1,"message":"{message}"}}"#)).unwrap_err()
    }

    #[test]
    fn every_documented_message_has_its_class() {
        use OutcomeClass::{Ambiguous, Retryable, Terminal};
        for (text, class, code) in [
            ("The currency was not found", Terminal, "currency_not_found"),
            ("The service was not found", Terminal, "service_not_found"),
            ("Not found service to_currency", Terminal, "service_not_found"),
            ("Error convert to_currency", Terminal, "not_convertible"),
            ("The withdrawal amount is too small", Terminal, "amount_too_small"),
            ("Minimum amount 0.5 USDT", Terminal, "amount_too_small"),
            ("Maximum amount 10000000 USDT", Terminal, "amount_too_large"),
            ("Wallet not found", Terminal, "wallet_not_found"),
            ("Invalid Sign.", Terminal, UNAUTHORIZED),
            ("You are forbidden", Terminal, UNAUTHORIZED),
            ("Not enough funds", Retryable, "insufficient_funds"),
            ("Not enough balance for convert USDT", Retryable, "insufficient_funds"),
            ("The terminal was not found", Retryable, "technical_works"),
            ("Gateway error", Retryable, "gateway_error"),
            ("Something nobody wrote down", Ambiguous, "unknown_message"),
            ("", Ambiguous, "unknown_message"),
        ] {
            for status in [200, 400, 404] {
                assert_eq!(message(status, text), (class, code.to_owned()), "{status} {text}");
            }
        }
    }

    #[test]
    fn only_state_zero_with_a_success_and_a_result_is_one() {
        use OutcomeClass::{Ambiguous, Retryable, Terminal};
        let code = |class, code: &str| Err((class, code.to_owned()));
        for (status, body, want) in [
            (200, r#"{"state":0,"result":{}}"#, Ok(())),
            (200, r#"{"state":0}"#, code(Ambiguous, "unexpected_answer")),
            (200, r#"{"result":{"uuid":"u"}}"#, code(Ambiguous, "unknown_message")),
            (200, "[]", code(Ambiguous, "unexpected_answer")),
            (400, r#"{"state":0,"result":{}}"#, code(Ambiguous, "unknown_message")),
            (422, r#"{"state":1,"errors":{"amount":["validation.required"]}}"#, code(Terminal, "validation")),
            (422, r#"{"state":1,"message":"no"}"#, code(Terminal, "validation")),
        ] {
            assert_eq!(of(Call::Effect, status, body), want, "{status} {body}");
        }
        let read = of(Call::Read, 404, r#"{"state":1,"message":"no such payout"}"#);
        assert_eq!(read, code(Retryable, "unknown_message"));
    }
}
