//! What goes into the queue's calls and comes out of them.

use std::time::Duration;

use payfleet_core::job::{Failure, Job, NewJob, QueueName};
use payfleet_core::{JobId, Timestamp};
use serde::Serialize;

/// What became of one job of an enqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the queue now.
    Created(JobId),
    /// It was there already: the same dedupe key with the same body, or a live job of this id. The
    /// id is that of the job that is there.
    Existing(JobId),
    /// Its dedupe key, or its id, is that of a job with another body, whose id this is. Not enqueued.
    Conflict(JobId),
}

impl Enqueued {
    /// The id of the job that is in the queue under this request.
    #[must_use]
    pub const fn id(self) -> JobId {
        match self {
            Self::Created(id) | Self::Existing(id) | Self::Conflict(id) => id,
        }
    }
}

/// Proof of holding a job: it ends when the job is settled, released, or its lease expired and
/// was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    /// Which job.
    pub id: JobId,
    /// The fencing token: grows with every lease of the queue.
    pub token: u64,
    /// The number under which the queue keeps the job.
    pub seq: u64,
}

/// A job that was handed out.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The job; its `deliveries` includes this one.
    pub job: Job,
    /// The proof to settle it with.
    pub lease: LeaseRef,
    /// When it was handed out, by Redis' clock. It expires one [`crate::Config::lease`] later.
    pub leased_at: Timestamp,
    /// A lease on it expired before, so it may be what ended its worker: say [`crate::Queue::start`],
    /// then run it while nothing else runs in the process.
    pub suspect: bool,
}

/// What a take brought.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// At most as many as were asked for, and at most 1 MiB unless one alone is larger.
    pub jobs: Vec<Leased>,
    /// Milliseconds until the next delayed job is due or the next lease expires; 0: now.
    pub next_due_ms: Option<u64>,
    /// The queue is paused: nothing is handed out.
    pub paused: bool,
    /// Jobs whose records could not be read; they are dead, with their raw bytes.
    pub undecodable: usize,
    /// Jobs that were not to be started any more ([`NewJob::deadline`]); they are dead.
    pub overdue: usize,
    /// Suspects that still wait for a worker that runs them alone.
    pub suspects: usize,
}

/// How a job ended for its holder.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is done and gone.
    Done {
        /// Jobs to enqueue with it: those of the same queue in one step, those of other queues before.
        then: Vec<NewJob>,
    },
    /// The attempt failed. Dead if it was the last one.
    Retry {
        /// From now until the next attempt.
        delay: Duration,
        /// What is kept in the job's history.
        failure: Failure,
    },
    /// Not now; costs no attempt.
    Defer {
        /// From now until it is due again.
        delay: Duration,
        /// Why: kept with the job until it is done or fails ([`Deferral`]).
        reason: String,
    },
    /// This worker does not know the job's kind or version: back for one that does, untouched.
    Unknown {
        /// How long it waits before it is offered again, to this worker too.
        delay: Duration,
        /// What was unknown: kept as that of a deferral.
        reason: String,
    },
    /// It shall not be tried again by itself.
    Dead {
        /// Why.
        failure: Failure,
    },
}

impl Outcome {
    /// Done, with nothing to follow.
    #[must_use]
    pub const fn done() -> Self {
        Self::Done { then: Vec::new() }
    }
}

/// One job's outcome, with the proof that one may say so.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The proof.
    pub lease: LeaseRef,
    /// The outcome.
    pub outcome: Outcome,
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It holds.
    Applied,
    /// The lease had ended; nothing was changed.
    Stale,
}

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum Place {
    /// Waiting for a worker.
    Ready,
    /// Waiting for its time.
    Delayed {
        /// When that is.
        due_at: Timestamp,
    },
    /// At a worker.
    Leased {
        /// Which.
        worker: String,
        /// When the lease expires unless renewed.
        until: Timestamp,
    },
    /// Dead, not archived yet.
    Dead {
        /// What it died of.
        failure: Failure,
        /// When.
        died_at: Timestamp,
    },
}

/// Why a worker put a job off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deferral {
    /// When.
    pub at: Timestamp,
    /// In its words.
    pub reason: String,
}

/// A job and where it is.
#[derive(Clone, Debug, Serialize)]
pub struct JobView {
    /// The job.
    pub job: Job,
    /// Why it was put off, if that was the last thing a worker did with it.
    pub deferred: Option<Deferral>,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// A queue in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    /// Which queue.
    pub queue: QueueName,
    /// Jobs waiting for a worker.
    pub ready: u64,
    /// Jobs at workers.
    pub running: u64,
    /// Jobs waiting for their time.
    pub delayed: u64,
    /// Dead jobs that await archiving.
    pub dead: u64,
    /// Jobs ever done.
    pub done: u64,
    /// How long the job that waits longest has been due, in milliseconds.
    pub oldest_age_ms: Option<u64>,
    /// Nothing is handed out.
    pub paused: bool,
    /// Of those that are ready: jobs whose lease expired, which wait to be run alone.
    pub suspects: u64,
    /// How often a job was given back because a worker does not know its kind or version.
    pub unknown: u64,
    /// For how long jobs have been due and none was handed out, in milliseconds.
    pub idle_ms: Option<u64>,
    /// Jobs done per minute, over the last one to two minutes.
    pub done_per_minute: u64,
    /// Jobs enqueued per minute, likewise.
    pub enqueued_per_minute: u64,
}
