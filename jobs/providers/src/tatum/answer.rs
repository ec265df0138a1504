//! What Tatum's answers mean. A refusal is `{statusCode, errorCode, message, data}`; its status alone
//! says little, since 403 is a subscription that exists, one that does not, a wrong currency, and
//! credits that are spent.

use payfleet_core::OutcomeClass;

use crate::client::ProviderError;
use crate::failure::{Call, presentable};
use crate::http::Exchanged;
use crate::json::Object;

/// The code of an error that says that this month's credits are spent: nothing will work until more
/// are bought, so whoever calls should pause. It asks for an hour each time.
pub const CREDITS_SPENT: &str = "credits_spent";
/// The subscription is there already.
pub(super) const ALREADY_EXISTS: &str = "already_exists";
/// There is no such subscription.
pub(super) const NOT_EXISTS: &str = "subscription_not_exists";
/// A node knows the transaction already.
pub(super) const ALREADY_KNOWN: &str = "already_known";

/// How long to leave a provider alone whose credits are spent.
const PAUSE_MS: u64 = 3_600_000;
/// What nodes of different chains say of a transaction they have: in the pool, or in a block.
const KNOWN: &[&str] = &[
    "already known",
    "known transaction",
    "already in mempool",
    "already-in-mempool",
    "already in block chain",
    "already exists in blockchain",
    "alreadyknown",
    "dup_transaction",
    "nonce too low",
];

/// The answer, if it is a success.
pub(super) fn judge(call: Call, answer: Exchanged) -> Result<Exchanged, ProviderError> {
    let error = match answer.status {
        204 => return Ok(answer),
        200..300 if answer.is_json => return Ok(answer),
        200..300 => ProviderError::new(call.unproven(), "not_json", "the answer is not JSON"),
        401 => ProviderError::unauthorized(),
        429 => ProviderError::rate_limited(answer.retry_after_ms),
        400..500 => refusal(call, &answer),
        status => ProviderError::new(
            call.unproven(),
            format!("http_{status}"),
            format!("the provider answered with status {status}"),
        ),
    };
    Err(explain(&answer, error))
}

/// `error`, with what is known of this answer.
pub(super) fn explain(answer: &Exchanged, error: ProviderError) -> ProviderError {
    error.with_status(answer.status, answer.request_id.clone())
}

/// A success that does not say what was asked for.
pub(super) fn unexpected(call: Call, answer: &Exchanged, what: &str) -> ProviderError {
    explain(answer, ProviderError::unexpected(call, what))
}

fn refusal(call: Call, answer: &Exchanged) -> ProviderError {
    let object = Object::parse(&answer.body).ok().filter(|_| answer.is_json);
    let text = |name| object.as_ref().and_then(|object| object.filled(name)).unwrap_or_default();
    let (error_code, message) = (text("errorCode").to_ascii_lowercase(), text("message"));
    let said = format!("{error_code} {}", message.to_ascii_lowercase());
    if answer.status == 403 && said.contains("credit") {
        let class = OutcomeClass::RateLimited { retry_after_ms: Some(PAUSE_MS) };
        return ProviderError::new(class, CREDITS_SPENT, "the credits of this API key are spent");
    }
    if said.contains("already exists") || error_code.contains("subscription.exists") {
        return ProviderError::refused(ALREADY_EXISTS, "there is one already");
    }
    if error_code == "subscription.not.exists" {
        return ProviderError::refused(NOT_EXISTS, "there is no such subscription");
    }
    if KNOWN.iter().any(|known| said.contains(known)) {
        return ProviderError::new(call.unproven(), ALREADY_KNOWN, "the transaction is said to be known");
    }
    if object.is_none() {
        return ProviderError::new(call.unproven(), "not_json", "the answer is not JSON");
    }
    let is_code = !error_code.is_empty()
        && error_code.len() <= 64
        && error_code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match answer.status {
        403 if !is_code => ProviderError::unauthorized(),
        400 | 403 | 404 | 422 => {
            let code = if is_code { error_code } else { format!("http_{}", answer.status) };
            ProviderError::refused(code, format!("the request was refused: {}", presentable(&message)))
        }
        _ => ProviderError::unexpected(call, "a status that is not documented"),
    }
}

#[cfg(test)]
mod tests {
    use payfleet_core::Classify;
    use payfleet_core::provider::UNAUTHORIZED;
    use reqwest::header::HeaderMap;

    use super::*;

    fn of(call: Call, status: u16, body: &str) -> Result<(), (OutcomeClass, String)> {
        let answer = Exchanged {
            status,
            request_id: None,
            headers: HeaderMap::new(),
            retry_after_ms: None,
            is_json: body.starts_with('{') || body.starts_with('['),
            body: body.as_bytes().to_vec(),
        };
        judge(call, answer).map(|_| ()).map_err(|error| (error.class(), error.code().to_owned()))
    }

    fn refused(code: &str, message: &str) -> String {
        format!(r#"{{"statusCode":403,"errorCode":"{code}","message":"{message}","data":[]}}"#)
    }

    #[test]
    fn every_documented_answer_has_its_class() {
        use OutcomeClass::{Ambiguous, Retryable, Terminal};
        let limited = |retry_after_ms| OutcomeClass::RateLimited { retry_after_ms };
        for (status, body, effect, read, code) in [
            (400, refused("validation.failed", "no"), Terminal, Terminal, "validation.failed"),
            (401, refused("", "no"), Terminal, Terminal, UNAUTHORIZED),
            (
                401,
                r#"{"statusCode":401,"message":"Unauthorized"}"#.to_owned(),
                Terminal,
                Terminal,
                UNAUTHORIZED,
            ),
            (
                403,
                refused("subscription.type.invalid", "no"),
                Terminal,
                Terminal,
                "subscription.type.invalid",
            ),
            (
                403,
                refused("subscription.attr.currency.invalid", "no"),
                Terminal,
                Terminal,
                "subscription.attr.currency.invalid",
            ),
            (403, refused("subscription.not.exists", "no"), Terminal, Terminal, NOT_EXISTS),
            (
                403,
                refused("subscription.exists", "Subscription already exists"),
                Terminal,
                Terminal,
                ALREADY_EXISTS,
            ),
            (
                403,
                refused("credits.exhausted", "You have no credits left"),
                limited(Some(3_600_000)),
                limited(Some(3_600_000)),
                CREDITS_SPENT,
            ),
            (403, r#"{"message":"Forbidden"}"#.to_owned(), Terminal, Terminal, UNAUTHORIZED),
            (403, refused("tx.broadcast.failed", "already known"), Ambiguous, Retryable, ALREADY_KNOWN),
            (
                403,
                refused("tx.broadcast.failed", "nonce too low: next 5"),
                Ambiguous,
                Retryable,
                ALREADY_KNOWN,
            ),
            (
                403,
                refused("tx.broadcast.failed", "insufficient funds"),
                Terminal,
                Terminal,
                "tx.broadcast.failed",
            ),
            (404, refused("tx.not.found", "no"), Terminal, Terminal, "tx.not.found"),
            (404, "{}".to_owned(), Terminal, Terminal, "http_404"),
            (409, "{}".to_owned(), Ambiguous, Retryable, "unexpected_answer"),
            (429, "{}".to_owned(), limited(None), limited(None), "rate_limited"),
            (500, "{}".to_owned(), Ambiguous, Retryable, "http_500"),
            (503, "<p>".to_owned(), Ambiguous, Retryable, "http_503"),
            (200, "<p>".to_owned(), Ambiguous, Retryable, "not_json"),
            (403, "<p>".to_owned(), Ambiguous, Retryable, "not_json"),
        ] {
            assert_eq!(of(Call::Effect, status, &body), Err((effect, code.to_owned())), "{status} {body}");
            assert_eq!(of(Call::Read, status, &body), Err((read, code.to_owned())), "{status} {body}");
        }
    }

    #[test]
    fn json_and_nothing_at_all_are_successes() {
        assert_eq!(of(Call::Read, 200, "{}"), Ok(()));
        assert_eq!(of(Call::Effect, 204, ""), Ok(()));
    }
}
