//! The `webhook` job: one verified event on its way to the inbox of its operation.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::provider::Provider;

/// The job's payload. The body stays as it came: the worker parses it, so that a parser that is
/// mended later reads the events that came before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEvent {
    /// Whose event.
    pub provider: Provider,
    /// Unique per provider: an event id, or what stands for one.
    pub event_key: String,
    /// The verified raw body, base64 (a body need not be UTF-8).
    pub body_base64: String,
    /// When it reached us.
    pub received_at: Timestamp,
}
