//! What a caller reads when a request was not accepted: RFC 9457 `application/problem+json`.
//!
//! A problem says what was wrong, where (`errors[].field`), and what to do. It never repeats a value
//! the caller sent and never carries an inner error: that one goes to the log, once, through
//! [`Decision`].

use std::fmt;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// How long a caller should wait before it asks an unreachable store again, in seconds.
const RETRY_AFTER_S: u16 = 2;
/// How long a sender should wait where only an operator can help, in seconds.
const RETRY_AFTER_OPERATOR_S: u16 = 60;

/// What kind of problem it is. Its name is part of the API: never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BrokenJson,
    InvalidHeader,
    MalformedWebhook,
    Unauthorized,
    BadSignature,
    NotFound,
    MethodNotAllowed,
    SlowBody,
    IdempotencyConflict,
    BodyTooLarge,
    UnsupportedMediaType,
    InvalidFields,
    Internal,
    Unavailable,
    QueueFull,
    WebhookNotConfigured,
}

impl Kind {
    /// Its name, the last part of `type`.
    const fn name(self) -> &'static str {
        match self {
            Self::BrokenJson => "broken-json",
            Self::InvalidHeader => "invalid-header",
            Self::MalformedWebhook => "malformed-webhook",
            Self::Unauthorized => "unauthorized",
            Self::BadSignature => "bad-signature",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::SlowBody => "slow-body",
            Self::IdempotencyConflict => "idempotency-conflict",
            Self::BodyTooLarge => "body-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::InvalidFields => "invalid-fields",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::QueueFull => "queue-full",
            Self::WebhookNotConfigured => "webhook-not-configured",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::BrokenJson | Self::InvalidHeader | Self::MalformedWebhook => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::BadSignature => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::IdempotencyConflict => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidFields => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::QueueFull | Self::WebhookNotConfigured => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::BrokenJson => "The body is not JSON we can read",
            Self::InvalidHeader => "A header is missing or malformed",
            Self::MalformedWebhook => "The webhook's body is not what its provider sends",
            Self::Unauthorized => "A valid bearer token is needed",
            Self::BadSignature => "The webhook's signature was not accepted",
            Self::NotFound => "There is nothing here",
            Self::MethodNotAllowed => "This method does not exist here",
            Self::SlowBody => "The body took too long to arrive",
            Self::IdempotencyConflict => "This Idempotency-Key was used for another request",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "Send application/json",
            Self::InvalidFields => "Some fields need correction",
            Self::Internal => "We made a mistake",
            Self::Unavailable => "Temporarily unavailable",
            Self::QueueFull => "The queue is full",
            Self::WebhookNotConfigured => "Webhooks of this provider are not set up here",
        }
    }

    const fn retry_after_s(self) -> Option<u16> {
        match self {
            Self::Unavailable | Self::QueueFull => Some(RETRY_AFTER_S),
            Self::WebhookNotConfigured => Some(RETRY_AFTER_OPERATOR_S),
            _ => None,
        }
    }
}

/// One field that needs correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field's path in the body (`asset_metadata.name`), or a header's name.
    pub(crate) field: String,
    /// What is wrong with it and what to send.
    pub(crate) message: String,
}

/// A request that was not accepted.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    cause: Option<String>,
}

/// What was decided about a request, for its one line in the log. Travels as a response extension.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    /// In one or two words.
    pub(crate) name: &'static str,
    /// The inner error, where one is behind it.
    pub(crate) cause: Option<String>,
}

impl Decision {
    /// A decision with nothing more to say.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, cause: None }
    }
}

impl Problem {
    /// A problem of `kind`; `detail` tells its reader what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), cause: None }
    }

    /// Fields that need correction, all that were found.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = "Correct the fields listed under errors and send the request again.";
        Self { errors, ..Self::new(Kind::InvalidFields, detail) }
    }

    /// One header that needs correction.
    pub(crate) fn header(name: &str, message: &str) -> Self {
        let error = FieldError { field: name.to_owned(), message: message.to_owned() };
        let detail = format!("The header {name} {message}.");
        Self { errors: vec![error], ..Self::new(Kind::InvalidHeader, detail) }
    }

    /// The inner error, if one is behind it.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Remembers the inner error for the log. It is never sent.
    pub(crate) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}

/// Why a request was refused: RFC 9457, in the order it names its members.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Wire<'a> {
    /// `urn:payfleet:problem:` and a name that never changes.
    r#type: String,
    title: &'static str,
    status: u16,
    /// What to do about it.
    detail: &'a str,
    /// Each field, parameter or header that needs correction.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let wire = Wire {
            r#type: format!("urn:payfleet:problem:{}", self.kind.name()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.kind.status(), Json(wire)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.kind.retry_after_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"payfleet\""));
        }
        response.extensions_mut().insert(Decision { name: self.kind.name(), cause: self.cause });
        response
    }
}
