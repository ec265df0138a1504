//! The `webhook` job: one verified event on its way to the inbox of its operation.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Timestamp;
use crate::ids::{JobId, RequestHash};
use crate::job::Dedupe;
use crate::provider::Provider;

/// The job's payload. The body stays as it came, but for what lets its bearer act: the worker parses it,
/// so that a parser that is mended later reads the events that came before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEvent {
    /// Whose event.
    pub provider: Provider,
    /// Unique per provider: an event id, or what stands for one.
    pub event_key: String,
    /// The verified body, base64 (a body need not be UTF-8).
    pub body_base64: String,
    /// When it reached us.
    pub received_at: Timestamp,
    /// The fingerprint of the secret that it was signed with; `None` where it was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl WebhookEvent {
    /// The job that brings it to a worker. Another body under the same event key is a job of its own.
    #[must_use]
    pub fn job_id(&self, body: &[u8]) -> JobId {
        let about = [self.provider.as_str(), &self.event_key, &hex::encode(Sha256::digest(body))];
        JobId::named("webhook", &about.map(str::as_bytes))
    }

    /// Under what a repetition is recognised while it is remembered.
    #[must_use]
    pub fn dedupe(&self, body: &[u8]) -> Dedupe {
        let body_sha256 = hex::encode(Sha256::digest(body));
        Dedupe {
            key: format!("{}:{}:{body_sha256}", self.provider, self.event_key),
            body_hash: RequestHash::of(body),
        }
    }
}
