//! From a delivered job to its handler. A job whose kind or version this worker does not know is left
//! for a newer one, untouched.

mod chain;
mod collector;
mod confirm;
mod control;
mod deposit;
mod notify;
mod reconcile;
mod redrive;
mod signers;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::backoff::Backoff;
use payfleet_core::job::{Failure, Job};
use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::confirm::Look;
use payfleet_core::{Classify, Clock};
use payfleet_process::continue_trace;
use payfleet_providers::Clients;
use payfleet_queue::{Outcome, Queue};
use payfleet_store::{Store, StoreError};
use serde::de::DeserializeOwned;
use tracing::Instrument;

use crate::config::Finality;
use crate::executor::Executor;
use crate::jobs::PAYLOAD_VERSION;
use crate::rebuild::may_pass;
pub(crate) use collector::AT_ONCE as WEBHOOKS_AT_ONCE;
use collector::Collector;

pub(crate) use notify::Callbacks;
use signers::Signers;

/// How long a job of an unknown kind or version is left to other workers.
const NOT_OURS: Duration = Duration::from_secs(30);

/// Everything a handler needs.
#[derive(Clone)]
pub struct Handlers {
    executor: Executor,
    store: Store,
    queue: Queue,
    clients: Arc<Clients>,
    callbacks: Arc<Callbacks>,
    clock: Arc<dyn Clock>,
    finality: Finality,
    webhooks: Collector,
    signers: Signers,
}

impl Handlers {
    /// The handlers of one worker.
    #[must_use]
    pub(crate) fn new(
        executor: Executor,
        store: Store,
        queue: Queue,
        clients: Arc<Clients>,
        callbacks: Callbacks,
        clock: Arc<dyn Clock>,
        finality: Finality,
    ) -> Self {
        let (callbacks, webhooks) = (Arc::new(callbacks), Collector::start(&store));
        let signers = Signers::default();
        Self { executor, store, queue, clients, callbacks, clock, finality, webhooks, signers }
    }

    /// Runs one job to its outcome, inside a span that continues the trace it came with.
    pub async fn handle(&self, job: &Job) -> Outcome {
        let envelope = &job.envelope;
        let span = tracing::info_span!(
            "job",
            job.id = %envelope.id, job.kind = %envelope.kind, attempt.number = job.attempt,
            operation.id = envelope.facts.get("operation_id").map(String::as_str),
        );
        continue_trace(&span, &envelope.trace);
        async {
            let outcome = self.dispatch(job).await;
            log(&outcome);
            outcome
        }
        .instrument(span)
        .await
    }

    async fn dispatch(&self, job: &Job) -> Outcome {
        let envelope = &job.envelope;
        let Ok(kind) = envelope.kind.parse::<JobKind>() else {
            return not_ours(format!("this worker does not know jobs of kind {:?}", envelope.kind));
        };
        if envelope.payload_version > PAYLOAD_VERSION {
            let version = envelope.payload_version;
            return not_ours(format!("this worker does not know version {version} of {kind} jobs"));
        }
        match kind {
            JobKind::Payout
            | JobKind::Mint
            | JobKind::Wallet
            | JobKind::Telemetry
            | JobKind::Distribution
            | JobKind::Order
            | JobKind::Account
            | JobKind::Collect => match payload(job) {
                Ok(advance) => self.executor.advance(job, &advance).await,
                Err(outcome) => outcome,
            },
            JobKind::Webhook => match payload(job) {
                Ok(event) => ended(job, self.webhook(job, event).await),
                Err(outcome) => outcome,
            },
            JobKind::Confirm => match payload(job) {
                Ok(Look::Operation(confirm)) => ended(job, self.confirm(job, confirm).await),
                Ok(Look::Chain { network }) => ended(job, self.chain(job, network).await),
                Err(outcome) => outcome,
            },
            JobKind::Reconcile => match payload(job) {
                Ok(reconcile) => ended(job, self.reconcile(job, reconcile).await),
                Err(outcome) => outcome,
            },
            JobKind::Notify => match payload(job) {
                Ok(notify) => ended(job, self.notify(job, notify).await),
                Err(outcome) => outcome,
            },
            JobKind::Control => match payload(job) {
                Ok(control) => ended(job, self.control(job, control).await),
                Err(outcome) => outcome,
            },
            JobKind::Redrive => match payload(job) {
                Ok(step) => ended(job, self.redrive(step).await),
                Err(outcome) => outcome,
            },
        }
    }
}

/// What can leave a handler that only reads, stores events and makes follow-ups: trying it again is
/// always safe.
#[derive(Debug, thiserror::Error)]
enum HandlerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] payfleet_providers::ProviderError),
    #[error(transparent)]
    Queue(#[from] payfleet_queue::Error),
    #[error(transparent)]
    Job(#[from] crate::jobs::JobError),
}

impl HandlerError {
    fn code(&self) -> &str {
        match self {
            Self::Store(error) => error.code(),
            Self::Provider(error) => error.code(),
            Self::Queue(_) => "queue",
            Self::Job(_) => "follow_up",
        }
    }

    /// Whether waiting is all there is to do.
    fn is_weather(&self) -> bool {
        match self {
            Self::Store(error) => error.is_unavailable(),
            Self::Queue(error) => may_pass(error),
            Self::Provider(_) | Self::Job(_) => false,
        }
    }

    fn outcome(&self, job: &Job) -> Outcome {
        use payfleet_core::OutcomeClass;
        let class = match self {
            Self::Store(error) => error.class(),
            Self::Provider(error) => error.class(),
            Self::Queue(_) => OutcomeClass::Retryable,
            Self::Job(_) => OutcomeClass::Terminal,
        };
        let failure = Failure {
            class: class.as_str().to_owned(),
            code: self.code().to_owned(),
            message: self.to_string(),
        };
        match class {
            OutcomeClass::RateLimited { retry_after_ms } => Outcome::Defer {
                delay: retry_after_ms.map_or_else(|| backoff(job), Duration::from_millis),
                reason: failure.message,
            },
            _ if self.is_weather() => {
                Outcome::Defer { delay: backoff(job).min(Duration::from_secs(5)), reason: failure.message }
            }
            // Reads have no effect: whatever their error says about money, they may be repeated.
            OutcomeClass::Retryable | OutcomeClass::Ambiguous => {
                Outcome::Retry { delay: backoff(job), failure }
            }
            OutcomeClass::Terminal => Outcome::Dead { failure },
        }
    }
}

fn ended(job: &Job, result: Result<Outcome, HandlerError>) -> Outcome {
    result.unwrap_or_else(|error| error.outcome(job))
}

/// The delay after this attempt, drawn from the job's own kind's schedule.
fn backoff(job: &Job) -> Duration {
    let fallback = Backoff { base_ms: 500, cap_ms: 300_000 };
    let backoff = job.envelope.kind.parse::<JobKind>().map_or(fallback, |kind| kind.policy().backoff);
    #[expect(clippy::disallowed_methods, reason = "jitter decides nothing but when")]
    let drawn = fastrand::u64(0..=backoff.ceiling_ms(job.attempt));
    Duration::from_millis(drawn.max(50))
}

fn payload<T: DeserializeOwned>(job: &Job) -> Result<T, Outcome> {
    serde_json::from_str(job.envelope.payload.get()).map_err(|error| Outcome::Dead {
        failure: Failure {
            class: "terminal".to_owned(),
            code: "undecodable".to_owned(),
            // Where it broke, never what stands there.
            message: format!("the payload cannot be read (line {}, column {})", error.line(), error.column()),
        },
    })
}

fn not_ours(reason: String) -> Outcome {
    Outcome::Unknown { delay: NOT_OURS, reason }
}

/// One line per decision.
fn log(outcome: &Outcome) {
    match outcome {
        Outcome::Done { then } => tracing::info!(job.follow_ups = then.len(), "Done."),
        Outcome::Retry { delay, failure } => tracing::warn!(
            error.class = failure.class,
            error.code = failure.code,
            delay_ms = millis(*delay),
            "Failed, to be tried again: {}",
            failure.message
        ),
        Outcome::Defer { delay, reason } => {
            tracing::info!(delay_ms = millis(*delay), "Put off: {reason}");
        }
        Outcome::Unknown { delay, reason } => {
            tracing::warn!(delay_ms = millis(*delay), "Left for a worker that knows it: {reason}");
        }
        Outcome::Dead { failure } => tracing::error!(
            error.class = failure.class,
            error.code = failure.code,
            "Dead: {}",
            failure.message
        ),
    }
}

fn millis(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}
