//! The `control` job: what an operator asked of the fleet. It has a queue of its own, so that no backlog
//! of anything else keeps an operator waiting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::JobKind;
use crate::job::{InvalidQueueName, NewJob, Origin, TraceContext};
use crate::provider::Provider;
use crate::{JobId, TenantId, Timestamp};

/// The version of the payload.
const PAYLOAD_VERSION: u16 = 1;

/// The job's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Control {
    /// Make one call of a provider that changes nothing there, and keep how it ended.
    TestConnection {
        /// Of which.
        provider: Provider,
    },
}

/// The job could not be made: a bug, never data.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The kind's name is no queue's name.
    #[error(transparent)]
    Queue(#[from] InvalidQueueName),
    /// The payload could not be written as JSON.
    #[error("the payload cannot be written as JSON: {0}")]
    Payload(#[from] serde_json::Error),
}

impl Control {
    /// The job that does it, asked for at `now`: asking twice within a millisecond is asking once.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn job(&self, now: Timestamp, origin: Origin, trace: TraceContext) -> Result<NewJob, ControlError> {
        let payload = serde_json::value::to_raw_value(self)?;
        let Self::TestConnection { provider } = self;
        let policy = JobKind::Control.policy();
        Ok(NewJob {
            id: JobId::named("control", &[payload.get().as_bytes(), &now.unix_ms().to_be_bytes()]),
            kind: JobKind::Control.as_str().to_owned(),
            queue: JobKind::Control.queue()?,
            tenant: TenantId::default(),
            payload,
            payload_version: PAYLOAD_VERSION,
            facts: BTreeMap::from([("provider".to_owned(), provider.to_string())]),
            dedupe: None,
            lane: None,
            priority: policy.priority,
            delay_ms: 0,
            max_attempts: policy.max_attempts,
            deadline: None,
            trace,
            origin,
            parent: None,
        })
    }
}
