//! The envelope in which a job travels from producer to worker.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Timestamp;
use crate::ids::{JobId, RequestHash, TenantId};

/// The name of a queue: 1 to 40 characters of a-z, 0-9, `_`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(String);

/// The name of a queue was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a queue's name is 1 to 40 characters of a-z, 0-9, '_' or '-', not {0:?}")]
pub struct InvalidQueueName(String);

impl QueueName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for QueueName {
    type Error = InvalidQueueName;

    fn try_from(name: String) -> Result<Self, InvalidQueueName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if (1..=40).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(InvalidQueueName(name))
        }
    }
}

impl TryFrom<&str> for QueueName {
    type Error = InvalidQueueName;

    fn try_from(name: &str) -> Result<Self, InvalidQueueName> {
        name.to_owned().try_into()
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> Self {
        name.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asked for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A provider's webhook.
    Webhook,
    /// A web app's request.
    Api,
    /// An operator.
    Admin,
    /// A schedule.
    Schedule,
    /// Another job.
    FollowUp,
    /// A dead letter released again.
    Redrive,
    /// The rescuer, because Postgres says it should exist.
    Rescue,
}

/// W3C trace context: one trace runs from the HTTP request to the SQL of the worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// `traceparent`, if a trace is being recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// `tracestate`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

/// A key under which a job is made only once, and the hash that tells a repetition from a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dedupe {
    /// Unique within the queue while it is remembered.
    pub key: String,
    /// SHA-256 of the canonical body.
    pub body_hash: RequestHash,
}

/// A job as it is handed to the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewJob {
    /// Given by the caller; the same id is the same job.
    pub id: JobId,
    /// What to do: a name a worker has a handler for.
    pub kind: String,
    /// Where it waits.
    pub queue: QueueName,
    /// Whose it is.
    pub tenant: TenantId,
    /// The handler's input, JSON.
    pub payload: Box<RawValue>,
    /// The version of the payload's shape.
    pub payload_version: u16,
    /// Cleartext facts that operators' tools may show; never secrets or personal data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// At most one job under this key, for as long as the queue remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// Jobs of one lane run one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Smaller runs first among due jobs: 0 urgent, 1 normal, 2 background.
    pub priority: u8,
    /// Milliseconds from now (the queue's clock) before it may run.
    #[serde(default)]
    pub delay_ms: u64,
    /// After how many failed attempts it is dead.
    pub max_attempts: u32,
    /// Not started any more after this, by the queue's clock: it is dead then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The trace it belongs to.
    #[serde(default)]
    pub trace: TraceContext,
    /// Who asked for it.
    pub origin: Origin,
    /// The job that asked for it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
}

impl NewJob {
    /// A job that is due at once, of normal priority, tried up to ten times, of version 1 of its payload;
    /// every field may be changed.
    ///
    /// # Errors
    /// The payload cannot be written as JSON.
    pub fn new(
        id: JobId,
        kind: impl Into<String>,
        queue: QueueName,
        payload: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id,
            kind: kind.into(),
            queue,
            tenant: TenantId::default(),
            payload: serde_json::value::to_raw_value(payload)?,
            payload_version: 1,
            facts: BTreeMap::new(),
            dedupe: None,
            lane: None,
            priority: 1,
            delay_ms: 0,
            max_attempts: 10,
            deadline: None,
            trace: TraceContext::default(),
            origin: Origin::Api,
            parent: None,
        })
    }
}

/// One failed attempt, as the job's history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// 1 = the first.
    pub attempt: u32,
    /// When it ended, milliseconds since the epoch by the queue's clock.
    pub at_ms: i64,
    /// The class of its error: `retryable`, `terminal`, ...
    pub class: String,
    /// A short machine-readable code.
    pub code: String,
    /// For people; never a payload or a secret.
    pub message: String,
    /// Which worker ran it.
    pub worker: String,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class of the error: `retryable`, `terminal`, `crash_loop`, ...
    pub class: String,
    /// A short machine-readable code.
    pub code: String,
    /// For people; never a payload or a secret.
    pub message: String,
}

/// A job as the queue hands it out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// As it was enqueued.
    pub envelope: NewJob,
    /// Which attempt this is: 1 = the first.
    pub attempt: u32,
    /// How often it has been handed out, this time included.
    pub deliveries: u32,
    /// When it was enqueued, by the queue's clock.
    pub enqueued_at: Timestamp,
    /// Its failed attempts, oldest first, bounded.
    #[serde(default)]
    pub history: Vec<AttemptRecord>,
}

/// A job that will not be tried again by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadJob {
    /// The job, whole.
    pub job: Job,
    /// When it died, by the queue's clock.
    pub died_at: Timestamp,
    /// What it died of.
    pub failure: Failure,
}
