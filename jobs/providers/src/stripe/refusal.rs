//! What Stripe's answers mean where they are no success.
//!
//! A class says what is known about money, not how often to try. Two cases deserve a word. A 500 that is
//! replayed (`Idempotent-Replayed`) is a stored answer: the same key can never end otherwise, so it has a
//! code of its own. And `Stripe-Should-Retry: false` on a 5xx says that repeating is pointless, not that
//! nothing happened: still in doubt, to be resolved by looking ([`DO_NOT_REPEAT`]).
//! A conflict of parameters under one key (`idempotency_error`) proves that *this* request had no effect;
//! an intent in doubt stays in doubt, since a refusal of a later sending decides nothing there.

use payfleet_core::OutcomeClass;
use payfleet_core::outcome::LONGEST_RETRY_AFTER_MS;
use payfleet_core::provider::{BALANCE_INSUFFICIENT, DO_NOT_REPEAT, REPLAYED_FAILURE};
use reqwest::header::HeaderMap;

use super::objects::{Fields, PaymentError};
use crate::failure::{Call, ProviderError, presentable};
use crate::http::Exchanged;

/// `Idempotent-Replayed: true`: the stored answer of an earlier request under the same key.
pub(super) fn is_replayed(headers: &HeaderMap) -> bool {
    headers.get("idempotent-replayed").is_some_and(|value| value.as_bytes() == b"true")
}

fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("stripe-should-retry")?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// The error in `{"error": {...}}`, where there is one.
struct Refused {
    kind: String,
    code: Option<String>,
    message: String,
    payment: PaymentError,
}

impl Refused {
    fn read(exchanged: &Exchanged) -> Option<Self> {
        let fields = Fields::parse(&exchanged.body).ok()?;
        let error = fields.object("error").ok()?;
        Some(Self {
            kind: error.text("type").ok()?,
            code: error.maybe_text("code").ok()?,
            message: error.maybe_text("message").ok()?.unwrap_or_default(),
            payment: PaymentError::read(&error).ok()?,
        })
    }

    fn code(&self) -> String {
        word(self.code.as_deref().unwrap_or(&self.kind))
    }

    fn message(&self) -> String {
        presentable(&self.message)
    }
}

/// A word of Stripe's, or that it was none.
fn word(text: &str) -> String {
    let is_word = (1..=60).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if is_word { text.to_owned() } else { "unreadable_word".to_owned() }
}

/// The error that `exchanged` is; for any status but 2xx and 3xx.
pub(super) fn error(call: Call, exchanged: &Exchanged) -> ProviderError {
    let refused = if exchanged.is_json { Refused::read(exchanged) } else { None };
    let error = match exchanged.status {
        401 | 403 => ProviderError::unauthorized(),
        429 => rate_limited(exchanged, refused.as_ref()),
        409 => conflict(exchanged, refused.as_ref()),
        402 => refused.as_ref().map_or_else(|| undocumented(call, 402), declined),
        400 | 404 | 422 => refused
            .as_ref()
            .map_or_else(|| undocumented(call, exchanged.status), |refused| invalid(exchanged, refused)),
        500.. => failed(call, exchanged),
        status => undocumented(call, status),
    };
    error.with_status(exchanged.status, exchanged.request_id.clone())
}

/// Before the idempotency layer: nothing was executed or stored, whatever `Stripe-Should-Retry` says
/// about repeating it at once.
fn rate_limited(exchanged: &Exchanged, refused: Option<&Refused>) -> ProviderError {
    if refused.is_some_and(|refused| refused.code.as_deref() == Some("lock_timeout")) {
        return slow_down(exchanged, "lock_timeout", "another request holds this object".to_owned());
    }
    let reason = exchanged.headers.get("stripe-rate-limited-reason").and_then(|value| value.to_str().ok());
    let message = reason.map_or_else(
        || "the provider asks us to slow down".to_owned(),
        |reason| format!("the provider asks us to slow down: {}", word(reason)),
    );
    slow_down(exchanged, "rate_limited", message)
}

/// The key is in use, or the object is locked: this request was not executed.
fn conflict(exchanged: &Exchanged, refused: Option<&Refused>) -> ProviderError {
    let code = refused.map_or_else(|| "conflict".to_owned(), Refused::code);
    slow_down(exchanged, &code, "another request with this key or on this object is running".to_owned())
}

fn slow_down(exchanged: &Exchanged, code: &str, message: String) -> ProviderError {
    let retry_after_ms = exchanged.retry_after_ms.map(|ms| ms.min(LONGEST_RETRY_AFTER_MS));
    ProviderError::new(OutcomeClass::RateLimited { retry_after_ms }, code, message)
}

/// A stored answer: the same key would only be told the same again, so even a decline that passes needs a
/// new intent.
fn declined(refused: &Refused) -> ProviderError {
    let reason = refused.payment.decline_code.as_deref();
    let code = reason.map_or_else(|| refused.code(), word);
    let advice = match &refused.payment.advice_code {
        Some(advice) => format!("; Stripe's advice is {}", word(advice.as_str())),
        None if refused.payment.is_worth_another_try() => "; a new attempt may go through".to_owned(),
        None => String::new(),
    };
    ProviderError::refused(code, format!("the payment was declined{advice}"))
}

/// `balance_insufficient` passes by itself: money on its way has not arrived. A wait of business, no failure.
fn invalid(exchanged: &Exchanged, refused: &Refused) -> ProviderError {
    let is_wait = refused.code.as_deref() == Some(BALANCE_INSUFFICIENT);
    if is_wait || should_retry(&exchanged.headers) == Some(true) {
        return ProviderError::new(OutcomeClass::Retryable, refused.code(), refused.message());
    }
    ProviderError::refused(refused.code(), refused.message())
}

fn failed(call: Call, exchanged: &Exchanged) -> ProviderError {
    let status = exchanged.status;
    let (code, message) = if is_replayed(&exchanged.headers) {
        (REPLAYED_FAILURE.to_owned(), format!("a stored answer of status {status}; this key has no other"))
    } else if should_retry(&exchanged.headers) == Some(false) {
        (DO_NOT_REPEAT.to_owned(), format!("status {status}, and the provider asks not to repeat it"))
    } else {
        (format!("http_{status}"), format!("the provider answered with status {status}"))
    };
    ProviderError::new(call.unproven(), code, message)
}

fn undocumented(call: Call, status: u16) -> ProviderError {
    let message = format!("status {status} without an error of Stripe's");
    ProviderError::new(call.unproven(), "unknown_answer", message)
}

#[cfg(test)]
mod tests;
