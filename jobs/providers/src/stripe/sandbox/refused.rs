//! Stripe's refusals: the status, the error object, and whether the key remembers them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::book::insert;

/// One refusal.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) error: Value,
    /// Execution had begun: the answer is stored under the key, and what was changed so far stays.
    pub(super) had_begun: bool,
}

impl Refused {
    fn of(status: StatusCode, kind: &str, code: Option<&str>, message: &str) -> Self {
        let mut error = json!({ "type": kind, "message": message });
        if let Some(code) = code {
            insert(&mut error, "code", code);
            insert(
                &mut error,
                "doc_url",
                format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")),
            );
        }
        Self { status, error, had_begun: false }
    }

    /// Refused before anything was executed.
    pub(super) fn invalid(code: &str, message: &str) -> Self {
        Self::of(StatusCode::BAD_REQUEST, "invalid_request_error", Some(code), message)
    }

    /// As [`Self::invalid`], naming the parameter.
    pub(super) fn parameter(code: &str, name: &str, message: &str) -> Self {
        let mut refused = Self::invalid(code, message);
        insert(&mut refused.error, "param", name);
        refused
    }

    pub(super) fn absent(name: &str) -> Self {
        Self::parameter("parameter_missing", name, &format!("Missing required param: {name}."))
    }

    pub(super) fn unknown(name: &str) -> Self {
        Self::parameter("parameter_unknown", name, &format!("Received unknown parameter: {name}"))
    }

    /// Refused by the state of things, once execution had begun.
    pub(super) fn state(code: &str, message: &str) -> Self {
        Self { had_begun: true, ..Self::invalid(code, message) }
    }

    pub(super) fn missing(kind: &str, id: &str) -> Self {
        let message = format!("No such {kind}: '{id}'");
        let kind = "invalid_request_error";
        let mut refused = Self::of(StatusCode::NOT_FOUND, kind, Some("resource_missing"), &message);
        insert(&mut refused.error, "param", "id");
        refused
    }

    pub(super) fn no_such_url(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::of(StatusCode::NOT_FOUND, "invalid_request_error", None, &message)
    }

    pub(super) fn bad_key() -> Self {
        let message = "Invalid API Key provided.";
        Self::of(StatusCode::UNAUTHORIZED, "invalid_request_error", None, message)
    }

    pub(super) fn bad_account(account: &str) -> Self {
        let message = format!("The provided key does not have access to account '{account}'.");
        Self::of(StatusCode::FORBIDDEN, "invalid_request_error", Some("account_invalid"), &message)
    }

    pub(super) fn too_fast() -> Self {
        let message = "Request rate limit exceeded.";
        Self::of(StatusCode::TOO_MANY_REQUESTS, "invalid_request_error", Some("rate_limit"), message)
    }

    pub(super) fn key_in_use() -> Self {
        let message = "There is currently another in-progress request using this Idempotent Key.";
        Self::of(StatusCode::CONFLICT, "idempotency_error", Some("idempotency_key_in_use"), message)
    }

    pub(super) fn other_parameters() -> Self {
        let message = "Keys for idempotent requests can only be used with the same parameters they were \
                       first used with.";
        Self::of(StatusCode::BAD_REQUEST, "idempotency_error", None, message)
    }

    pub(super) fn broken() -> Self {
        let message = "An unknown error occurred.";
        let refused = Self::of(StatusCode::INTERNAL_SERVER_ERROR, "api_error", None, message);
        Self { had_begun: true, ..refused }
    }

    /// A card that was declined; the intent it was for is in the error.
    pub(super) fn declined(error: Value) -> Self {
        Self { status: StatusCode::PAYMENT_REQUIRED, error, had_begun: true }
    }

    pub(super) fn body(&self) -> Value {
        json!({ "error": self.error })
    }
}
