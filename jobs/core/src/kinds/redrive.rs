//! The `redrive` job: one step of a plan that releases dead letters. What a step has to do is in
//! Postgres, so a job that is lost or comes twice changes nothing.

use serde::{Deserialize, Serialize};

use crate::JobId;

/// The job's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// The plan's number.
    pub plan: i64,
    /// Which of its steps; a plan that is at another one needs this job no more.
    pub step: i64,
}

impl Redrive {
    /// The id of its job: one a step, however often it is made.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId::named("redrive", &[&self.plan.to_be_bytes(), &self.step.to_be_bytes()])
    }

    /// The id of the job that makes up for one that is missing, named by the moment that was missed.
    #[must_use]
    pub fn rescue_id(&self, due_at_ms: i64) -> JobId {
        let about = [self.plan.to_be_bytes(), self.step.to_be_bytes(), due_at_ms.to_be_bytes()];
        JobId::named("redrive rescue", &about.each_ref().map(<[u8; 8]>::as_slice))
    }
}
