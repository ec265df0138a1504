//! The executor: the one way an operation moves.
//!
//! ```text
//! claim + apply inbox -> plan -> save intent (tx 1) -> call provider with the intent's key
//!   -> classify -> apply -> save outcome + ledger + next wake-up (tx 2) -> settle the job
//! ```
//!
//! An operation that has only to call is claimed with its intent, in tx 1 (`begin`).
//!
//! If this process dies between any two of these, the next claimer finds either nothing sent, or an
//! open intent that it resolves before anything else. The whole pipeline runs in a task that neither
//! a lost lease nor a stopping worker loop cancels: no provider answer is thrown away.

mod begin;
mod call;
mod divide;
mod incoming;
mod put_off;
mod resolve;
mod schedule;
mod since;
mod tick;

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::backoff::Backoff;
use payfleet_core::job::{Failure, Job, NewJob, Origin};
use payfleet_core::kinds::lifecycle::{Event, Parked, Plan, State};
use payfleet_core::kinds::{Advance, Policy};
use payfleet_core::provider::{Progress, Report};
use payfleet_core::{Classify, OutcomeClass};
use payfleet_process::current_trace;
use payfleet_providers::gate::NotNow;
use payfleet_providers::{Client, Clients};
use payfleet_queue::Outcome;
use payfleet_store::{
    Claim, ClaimRequest, Claimed, Delivered, IDEMPOTENCY_CONFLICT, JobRef, Next, Store, StoreError,
};

use crate::jobs::{self, Subject};
use crate::weather::{Leave, Weather};
use begin::Begun;
use schedule::Schedule;
use since::Since;

/// How many steps one job may take: open, call, confirm, and one to spare. More means a loop.
const MOST_STEPS: usize = 6;

/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;

/// How long an operation waits for something that nobody has heard of, in milliseconds. Its first job may
/// be held up for as long as its queue is paused or behind.
const SUBJECT_WITHIN_MS: u64 = DAY_MS;
/// How long an operation waits between two looks at what it builds on.
const BETWEEN_LOOKS: Backoff = Backoff { base_ms: 500, cap_ms: 60_000 };

/// Within this the dead letter of an operation that was parked has been archived, if there is one.
const LETTER_WITHIN_MS: u64 = 30_000;
/// How often it is looked for meanwhile.
const LETTER_LOOK: Duration = Duration::from_secs(2);

/// Runs operations.
#[derive(Clone)]
pub struct Executor {
    store: Store,
    clients: Arc<Clients>,
    weather: Weather,
    worker: Arc<str>,
    schedule: Schedule,
}

/// How a step ended.
enum Step {
    /// The operation moved: plan again.
    Again,
    /// Nothing more can be done now; the job is settled with this.
    Settle(Outcome),
}

/// An operation in the hands of this worker.
struct Running<'a> {
    claimed: Box<Claimed>,
    /// Just before it was claimed.
    since: Since,
    job: JobRef,
    policy: Policy,
    subject: Subject,
    client: Option<&'a Client>,
    /// The leave for its first call, where it was asked for before the claim.
    leave: Option<Result<Leave, NotNow>>,
}

impl Executor {
    /// An executor that writes as `worker`, whose `clients` are behind `weather`.
    #[must_use]
    pub fn new(
        store: Store,
        clients: Arc<Clients>,
        weather: Weather,
        worker: &str,
        confirm_interval: Option<Duration>,
    ) -> Self {
        Self { store, clients, weather, worker: worker.into(), schedule: Schedule::new(confirm_interval) }
    }

    /// As whom it writes.
    pub(crate) fn worker(&self) -> &str {
        &self.worker
    }

    /// Advances the operation that `job` names, as far as it goes without waiting.
    pub async fn advance(&self, job: &Job, advance: &Advance) -> Outcome {
        match self.run(job, advance).await {
            Ok(outcome) => outcome,
            Err(StoreError::LostRace { id, .. }) => {
                tracing::info!(operation.id = %id, "Another worker has claimed the operation; leaving it to that one.");
                Outcome::Done { then: Vec::new() }
            }
            Err(error @ StoreError::EventsWait { .. }) => {
                Outcome::Defer { delay: self.schedule.store_weather(job), reason: error.to_string() }
            }
            Err(error) => self.store_failure(job, &error),
        }
    }

    async fn run(&self, job: &Job, advance: &Advance) -> Result<Outcome, StoreError> {
        if let Some(wish) = &advance.event {
            let key = format!("wish:{}", job.envelope.id);
            match self.store.deliver(advance.operation_id, &key, wish).await? {
                Delivered::New(_) | Delivered::Repeated(_) => {}
                // Whoever makes the call looks into the inbox when it has ended.
                Delivered::DuringCall(_) => return Ok(settle_with(Vec::new())),
                Delivered::Unknown => return Ok(self.not_there_yet(job)),
            }
        }
        let request = ClaimRequest {
            id: advance.operation_id,
            first: advance.request.as_ref(),
            job: JobRef { id: job.envelope.id, worker: self.worker.to_string(), trace: current_trace() },
            redrive: job.envelope.origin == Origin::Redrive,
        };
        let since = Since::now();
        let leave = match self.begin(job, &request, since).await? {
            Begun::Settled(outcome) => return Ok(outcome),
            Begun::ToBeClaimed(leave) => leave,
        };
        let claimed = match self.store.claim(&request).await? {
            Claim::Claimed(claimed) => claimed,
            Claim::Parked { reason, for_ms } => return self.still_parked(advance, &reason, for_ms).await,
            Claim::NotYet { ms } => {
                let reason = "a backoff is running".to_owned();
                return Ok(Outcome::Defer { delay: Duration::from_millis(ms), reason });
            }
            Claim::Calling => {
                tracing::info!(operation.id = %advance.operation_id, "Its call is under way; leaving it to that job.");
                return Ok(settle_with(Vec::new()));
            }
            Claim::Conflict => {
                let message = "another request was made under the same idempotency key; nothing was changed";
                tracing::warn!(operation.id = %advance.operation_id, "Refused: {message}.");
                return Ok(dead("terminal", IDEMPOTENCY_CONFLICT, message));
            }
            Claim::Unknown => {
                let message = "Postgres has no such operation and the job does not say what was asked";
                return Ok(dead("terminal", "unknown_operation", message));
            }
        };
        let mut running = self.running(claimed, request.job, since);
        running.leave = leave.filter(|_| running.claimed.operation.state == State::Requested);
        self.drive(running).await
    }

    fn running(&self, claimed: Box<Claimed>, job: JobRef, since: Since) -> Running<'_> {
        let operation = &claimed.operation;
        let kind = operation.request.kind();
        Running {
            job,
            policy: kind.job_kind().policy(),
            subject: Subject { id: operation.id, kind, tenant: operation.tenant.clone() },
            client: self.clients.of(operation.request.provider()),
            leave: None,
            claimed,
            since,
        }
    }

    /// The first job of an operation that somebody wishes something of may be on its way still.
    fn not_there_yet(&self, job: &Job) -> Outcome {
        let failure = Failure {
            class: OutcomeClass::Retryable.as_str().to_owned(),
            code: "unknown_operation".to_owned(),
            message: "Postgres has no such operation yet".to_owned(),
        };
        Outcome::Retry { delay: self.schedule.retry(job), failure }
    }

    /// A parked operation must have a dead letter: the worker that parked it may have died before its
    /// job did.
    async fn still_parked(
        &self,
        advance: &Advance,
        reason: &str,
        for_ms: u64,
    ) -> Result<Outcome, StoreError> {
        let id = advance.operation_id;
        tracing::info!(operation.id = %id, "The operation is parked: {reason}");
        if self.store.has_dead_letter(id).await? {
            return Ok(Outcome::Done { then: Vec::new() });
        }
        if for_ms < LETTER_WITHIN_MS {
            // It is on its way: dead in Redis, and not archived yet.
            return Ok(Outcome::Defer {
                delay: LETTER_LOOK,
                reason: "its dead letter is on its way".to_owned(),
            });
        }
        Ok(dead(OutcomeClass::Terminal.as_str(), "parked", reason))
    }

    async fn drive(&self, mut running: Running<'_>) -> Result<Outcome, StoreError> {
        for _ in 0..MOST_STEPS {
            if let Step::Settle(outcome) = self.step(&mut running).await? {
                return Ok(outcome);
            }
        }
        let message = "the operation took more steps in one job than any plan has";
        tracing::error!(operation.id = %running.subject.id, "Stopped: {message}.");
        Ok(dead("terminal", "too_many_steps", message))
    }

    async fn step(&self, running: &mut Running<'_>) -> Result<Step, StoreError> {
        match running.claimed.operation.plan() {
            Plan::Open { effect } => self.call(running, &effect, 1).await,
            Plan::Again { intent, effect } => self.call(running, &effect, intent).await,
            Plan::Resolve { intent, effect } => self.resolve(running, &effect, intent).await,
            Plan::Confirm => self.confirm(running).await,
            Plan::Allot => self.allot(running).await,
            Plan::Await { lifetime_ms } => self.wait_for_money(running, lifetime_ms).await,
            Plan::Divide => self.divide(running).await,
            Plan::Gather => self.gather(running).await,
            Plan::Tick => self.tick(running).await,
            Plan::Wait { known } => self.wait(running, known).await,
            Plan::Refuse { reason } => {
                self.record(running, &Event::Refused { reason }).await?;
                Ok(Step::Again)
            }
            Plan::Park { reason } => self.park(running, Parked::Quarantined, reason).await,
            // The provider hinted that it has taken back what had settled, or at news of what goes on changing.
            Plan::Rest if running.claimed.look_now => {
                let at_once = Duration::ZERO;
                let look = jobs::confirm(&running.subject, running.claimed.version, at_once, None);
                Ok(Step::Settle(settle_with(vec![look])))
            }
            Plan::Rest => {
                let state = running.claimed.operation.state.name();
                tracing::info!(operation.id = %running.subject.id, operation.state = state, "The operation is at rest.");
                Ok(Step::Settle(self.tell_subject(running).await?))
            }
        }
    }

    /// Leaves the operation until what it builds on has come further, which wakes it. What nobody has heard
    /// of for long may be a mistake of the client's, or still on its way: a person decides.
    async fn wait(&self, running: &mut Running<'_>, known: bool) -> Result<Step, StoreError> {
        if !known && running.claimed.age_ms > SUBJECT_WITHIN_MS {
            let subject = running.claimed.operation.request.subject();
            let kind = subject.map_or("operation", |subject| subject.kind.as_str());
            let reason = format!(
                "nobody has heard of the {kind} it is about for a day; look for its job in the queue {kind}, or \
                 cancel it"
            );
            return self.park(running, Parked::SubjectUnknown, reason).await;
        }
        let looks = i32::try_from(running.claimed.version).unwrap_or(i32::MAX);
        let delay_ms = self.schedule.backoff_ms(BETWEEN_LOOKS, looks);
        self.store.set_next(&mut running.claimed, &running.job, &Next::After { ms: delay_ms }).await?;
        Ok(Step::Settle(call::wake_up_after(running, delay_ms)))
    }

    /// Has what the operation changed looked at. A death before this is made up for when its job is
    /// delivered again; telling twice is telling once.
    async fn tell_subject(&self, running: &Running<'_>) -> Result<Outcome, StoreError> {
        let operation = &running.claimed.operation;
        let on = operation.subject.as_ref().and_then(|subject| subject.provider_ref.as_deref());
        let (true, Some(changed), Some(on)) =
            (operation.request.changes_subject(), operation.request.subject(), on)
        else {
            return Ok(settle_with(Vec::new()));
        };
        let hint = Event::Hinted { report: Report::of(on, Progress::Pending, "changed") };
        let key = format!("changed:{}", operation.id);
        let job = match self.store.deliver(changed.operation, &key, &hint).await? {
            Delivered::New(woken) | Delivered::Repeated(woken) => {
                let subject = Subject { id: woken.id, kind: woken.kind, tenant: woken.tenant };
                Some(jobs::inbox(&subject, &key))
            }
            Delivered::DuringCall(_) | Delivered::Unknown => None,
        };
        Ok(settle_with(job.into_iter().collect()))
    }

    /// Hands the operation over to the job that polls; or to a person, once its provider has had it for
    /// longer than that is waited for. News, or a person who wants to know, has it asked once more.
    async fn confirm(&self, running: &mut Running<'_>) -> Result<Step, StoreError> {
        let Claimed { operation, accepted_ms, look_now, was_due, .. } = &*running.claimed;
        let request = &operation.request;
        let is_over = *accepted_ms > request.polled_for_ms();
        if is_over && *was_due && !look_now {
            let days = accepted_ms / DAY_MS;
            let reason = format!(
                "{} has had it for {days} days and has said nothing final; it is not asked any more",
                request.provider()
            );
            return self.park(running, Parked::NotFinal, reason).await;
        }
        let pause = self.schedule.between_polls(request.network(), *accepted_ms);
        let next = self.schedule.while_confirming(pause);
        // A claim that came too early may have taken the place of a look that was asked for and not made.
        running.claimed.look_now |= !was_due;
        self.store.set_next(&mut running.claimed, &running.job, &next).await?;
        Ok(Step::Settle(ask_later(running, pause)))
    }

    async fn park(
        &self,
        running: &mut Running<'_>,
        parked: Parked,
        reason: String,
    ) -> Result<Step, StoreError> {
        let next = Next::Parked { parked, reason: reason.clone() };
        self.store.set_next(&mut running.claimed, &running.job, &next).await?;
        Ok(Step::Settle(if running.claimed.events_wait {
            call::wake_up_after(running, 0)
        } else {
            parked_outcome(running, parked, &reason)
        }))
    }

    /// Applies an event of our own making.
    async fn record(&self, running: &mut Running<'_>, event: &Event) -> Result<(), StoreError> {
        let next = |state: &State| {
            if state.is_final() { Next::Never } else { Next::After { ms: 0 } }
        };
        self.store.record(&mut running.claimed, &running.job, event, None, &next).await?;
        Ok(())
    }

    /// What a job becomes when the store could not be used: nothing was sent, so it is tried again.
    fn store_failure(&self, job: &Job, error: &StoreError) -> Outcome {
        let failure = Failure {
            class: error.class().as_str().to_owned(),
            code: error.code().to_owned(),
            message: error.to_string(),
        };
        match error.class() {
            OutcomeClass::Terminal => Outcome::Dead { failure },
            // Postgres being away is weather, not the job's fault.
            _ if error.is_unavailable() => {
                Outcome::Defer { delay: self.schedule.store_weather(job), reason: failure.message }
            }
            _ => Outcome::Retry { delay: self.schedule.retry(job), failure },
        }
    }
}

fn dead(class: &str, code: &str, message: &str) -> Outcome {
    Outcome::Dead {
        failure: Failure { class: class.to_owned(), code: code.to_owned(), message: message.to_owned() },
    }
}

/// The job's end when its operation was parked: dead, so that on-call sees it.
fn parked_outcome(running: &Running<'_>, parked: Parked, reason: &str) -> Outcome {
    let state = running.claimed.operation.state.name();
    tracing::warn!(
        operation.id = %running.subject.id, operation.state = state, operation.parked = parked.as_str(),
        "The operation is parked until a person acts: {reason}"
    );
    let class = match parked {
        Parked::InDoubt => OutcomeClass::Ambiguous.as_str(),
        Parked::AttemptsExhausted => OutcomeClass::Retryable.as_str(),
        Parked::Quarantined
        | Parked::JobDied
        | Parked::ProviderRefusesUs
        | Parked::NotFinal
        | Parked::SubjectUnknown => OutcomeClass::Terminal.as_str(),
    };
    dead(class, parked.as_str(), reason)
}

/// Done, with the job that polls each `pause`: at once where somebody hinted at news.
fn ask_later(running: &Running<'_>, pause: Duration) -> Outcome {
    let delay = if running.claimed.look_now { Duration::ZERO } else { pause };
    settle_with(vec![jobs::confirm(&running.subject, running.claimed.version, delay, Some(pause))])
}

/// Done, with follow-ups. One that cannot be made is a bug; the rescuer makes up for it.
fn settle_with(jobs: Vec<Result<NewJob, jobs::JobError>>) -> Outcome {
    let made = jobs.into_iter().filter_map(|job| {
        job.inspect_err(|error| tracing::error!(%error, "A follow-up could not be made; the rescuer will."))
            .ok()
    });
    Outcome::Done { then: made.collect() }
}
