//! A call that did not end well, and what that says about money.
//!
//! The rule every provider shares: only a failure before a byte was sent, or an answer documented as
//! "not executed", lets an effectful call be repeated; only a documented refusal ends it. Whatever
//! else happens leaves an effect in doubt, while a read is simply tried again.

use payfleet_core::outcome::LONGEST_RETRY_AFTER_MS;
use payfleet_core::provider::{CallOutcome, UNAUTHORIZED};
use payfleet_core::{Classify, OutcomeClass};

/// Whether a call changes anything at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It may move money.
    Effect,
    /// It only asks.
    Read,
}

impl Call {
    /// The class of an error that proves nothing.
    pub(crate) fn unproven(self) -> OutcomeClass {
        match self {
            Self::Effect => OutcomeClass::Ambiguous,
            Self::Read => OutcomeClass::Retryable,
        }
    }
}

/// Why a provider gave no usable answer. Never quotes a payload or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct ProviderError {
    class: OutcomeClass,
    code: String,
    message: String,
    http_status: Option<u16>,
    request_id: Option<String>,
}

impl ProviderError {
    pub(crate) fn new(class: OutcomeClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, code: code.into(), message: message.into(), http_status: None, request_id: None }
    }

    /// A documented refusal.
    pub(crate) fn refused(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(OutcomeClass::Terminal, code, message)
    }

    /// Our credentials or permissions were refused; no operation is at fault.
    pub(crate) fn unauthorized() -> Self {
        Self::refused(UNAUTHORIZED, "the provider refuses our credentials or permissions")
    }

    /// "Not executed, slow down."
    pub(crate) fn rate_limited(retry_after_ms: Option<u64>) -> Self {
        let retry_after_ms = retry_after_ms.map(|ms| ms.min(LONGEST_RETRY_AFTER_MS));
        Self::new(
            OutcomeClass::RateLimited { retry_after_ms },
            "rate_limited",
            "the provider asks us to slow down",
        )
    }

    /// It answered, but not in a way this version understands.
    pub(crate) fn unexpected(call: Call, what: &str) -> Self {
        Self::new(call.unproven(), "unexpected_answer", what)
    }

    pub(crate) fn with_status(mut self, status: u16, request_id: Option<String>) -> Self {
        self.http_status = Some(status);
        self.request_id = request_id;
        self
    }

    /// The same, with more words.
    pub(crate) fn adding(mut self, words: &str) -> Self {
        self.message.push_str(words);
        self
    }

    /// A short machine-readable code: `timeout`, `http_500`, `insufficient_funds`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub const fn http_status(&self) -> Option<u16> {
        self.http_status
    }

    /// Whether it is a whole answer to a question that says no: about something that was asked for by its
    /// id, that it is not there.
    #[must_use]
    pub fn denies(&self) -> bool {
        let is_answer = matches!(self.http_status, Some(200..300 | 400 | 404 | 422));
        is_answer
            && !matches!(self.code.as_str(), "unexpected_answer" | "not_json" | "too_large" | UNAUTHORIZED)
    }

    /// Whether it is an answer, and to what was asked: not that the other side is broken or busy, or does
    /// not let us in. The same about something else may be answered well.
    #[must_use]
    pub fn is_about_the_question(&self) -> bool {
        let is_busy = matches!(self.class, OutcomeClass::RateLimited { .. });
        self.http_status.is_some_and(|status| status < 500) && !is_busy && self.code != UNAUTHORIZED
    }

    /// The provider's id of the request, if it gave one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

impl Classify for ProviderError {
    fn class(&self) -> OutcomeClass {
        self.class
    }
}

impl From<ProviderError> for CallOutcome {
    fn from(error: ProviderError) -> Self {
        Self::Failed { class: error.class, code: error.code, message: error.message }
    }
}

/// A provider's own message as it may be shown to on-call: its first words, with whatever could be an
/// address, a key, a person's mail or a long number masked.
pub(crate) fn presentable(message: &str) -> String {
    let masked = |word: &&str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        word.chars().count() >= 20 || word.contains('@') || digits >= 9 || word.chars().any(char::is_control)
    };
    let words = message.split_whitespace().take(16);
    words.map(|word| if masked(&word) { "***" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_providers_message_names_nobody() {
        let message = "Address TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm of a@b.example is\nblocked";
        assert_eq!(presentable(message), "Address *** of *** is blocked");
    }

    #[test]
    fn a_pause_longer_than_an_hour_is_cut_to_one() {
        let error = ProviderError::rate_limited(Some(u64::MAX));
        assert_eq!(error.class(), OutcomeClass::RateLimited { retry_after_ms: Some(3_600_000) });
    }
}
