//! The jobs that jobs make: wake-ups, confirmations, reconciliations, notifications. Their ids are derived from what
//! they are for, so making one twice makes one.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use payfleet_core::address::Network;
use payfleet_core::ids::RequestHash;
use payfleet_core::job::{Dedupe, InvalidQueueName, NewJob, Origin, TraceContext};
use payfleet_core::kinds::confirm::{Confirm, Look};
use payfleet_core::kinds::notify::Notify;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::kinds::redrive::Redrive;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::kinds::{Advance, JobKind, OperationKind};
use payfleet_core::{JobId, OperationId, TenantId};
use payfleet_process::current_trace;
use payfleet_store::{DueStep, Overdue, UnhandledWebhook};
use serde::Serialize;

/// The version of every payload here.
pub const PAYLOAD_VERSION: u16 = 1;

/// A job could not be made: a bug, never data.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A kind's name is no queue's name.
    #[error(transparent)]
    Queue(#[from] InvalidQueueName),
    /// A payload could not be written as JSON.
    #[error("a payload cannot be written as JSON: {0}")]
    Payload(#[from] serde_json::Error),
}

/// Which operation a job is about, and for whom.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The operation.
    pub id: OperationId,
    /// Its kind.
    pub kind: OperationKind,
    /// Whose it is.
    pub tenant: TenantId,
}

/// The job that advances an operation. `id` says why.
///
/// # Errors
/// [`JobError`].
pub fn advance(subject: &Subject, id: JobId, delay: Duration, origin: Origin) -> Result<NewJob, JobError> {
    let payload = Advance { operation_id: subject.id, request: None, event: None };
    let mut job = job(subject.kind.job_kind(), id, &subject.tenant, &payload, origin)?;
    job.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    job.facts = facts(subject.id);
    Ok(job)
}

/// The job that wakes an operation at `version`.
///
/// # Errors
/// [`JobError`].
pub fn wake_up(subject: &Subject, version: i64, delay: Duration, origin: Origin) -> Result<NewJob, JobError> {
    advance(subject, JobId::wake_up(subject.id, version), delay, origin)
}

/// The job that makes up for one that is missing. Named by the moment that was missed, because the
/// wake-up of the same version may still wait for a later one.
///
/// # Errors
/// [`JobError`].
pub fn rescue(overdue: &Overdue) -> Result<NewJob, JobError> {
    let Overdue { operation, due_at } = overdue;
    let id = operation.id.as_uuid();
    let about = [id.as_bytes().as_slice(), &operation.version.to_be_bytes(), &due_at.unix_ms().to_be_bytes()];
    let subject = Subject { id: operation.id, kind: operation.kind, tenant: operation.tenant.clone() };
    advance(&subject, JobId::named("rescue", &about), Duration::ZERO, Origin::Rescue)
}

/// The job that wakes an operation because `event_key` is in its inbox.
///
/// # Errors
/// [`JobError`].
pub fn inbox(subject: &Subject, event_key: &str) -> Result<NewJob, JobError> {
    let id = JobId::named("inbox", &[subject.id.as_uuid().as_bytes(), event_key.as_bytes()]);
    advance(subject, id, Duration::ZERO, Origin::FollowUp)
}

/// The job that asks how far an operation has come, each `every`, for as long as the operation is at
/// `version`.
///
/// # Errors
/// [`JobError`].
pub fn confirm(
    subject: &Subject,
    version: i64,
    delay: Duration,
    every: Option<Duration>,
) -> Result<NewJob, JobError> {
    let id = JobId::named("confirm", &[subject.id.as_uuid().as_bytes(), &version.to_be_bytes()]);
    let every_ms = every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
    let payload = Look::Operation(Confirm { operation_id: subject.id, version, every_ms });
    let mut job = job(JobKind::Confirm, id, &subject.tenant, &payload, Origin::FollowUp)?;
    job.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    job.facts = facts(subject.id);
    Ok(job)
}

/// The job that brings a stored webhook to its operation: the one that the producer made, again.
///
/// # Errors
/// [`JobError`].
pub fn webhook(stored: &UnhandledWebhook) -> Result<NewJob, JobError> {
    let event = WebhookEvent {
        provider: stored.provider,
        event_key: stored.event_key.clone(),
        body_base64: BASE64_STANDARD.encode(&stored.body),
        received_at: stored.received_at,
        secret: None,
    };
    let id = event.job_id(&stored.body);
    let mut job = job(JobKind::Webhook, id, &TenantId::default(), &event, Origin::Rescue)?;
    job.dedupe = Some(event.dedupe(&stored.body));
    job.facts = BTreeMap::from([
        ("provider".to_owned(), stored.provider.to_string()),
        ("event_type".to_owned(), stored.event_type.clone()),
    ]);
    Ok(job)
}

/// The job that looks at a chain for everything that waits on it; one a tick, fleet-wide: who asks for it
/// when it is over asks for nothing.
///
/// # Errors
/// [`JobError`].
pub fn look_at(network: Network, tick: i64) -> Result<NewJob, JobError> {
    let id = JobId::named("look at", &[network.as_str().as_bytes(), &tick.to_be_bytes()]);
    let mut job =
        job(JobKind::Confirm, id, &TenantId::default(), &Look::Chain { network }, Origin::Schedule)?;
    let key = format!("look:{network}:{tick}");
    job.dedupe = Some(Dedupe { body_hash: RequestHash::of(key.as_bytes()), key });
    Ok(job)
}

/// The job that goes on after the look `after`, for which too much was due at once.
///
/// # Errors
/// [`JobError`].
pub fn look_on(network: Network, after: JobId) -> Result<NewJob, JobError> {
    let id = JobId::named("look on", &[after.as_uuid().as_bytes()]);
    job(JobKind::Confirm, id, &TenantId::default(), &Look::Chain { network }, Origin::FollowUp)
}

/// The job that compares a provider's record of a window with ours; one per window, fleet-wide.
///
/// # Errors
/// [`JobError`].
pub fn reconcile(reconcile: &Reconcile, origin: Origin) -> Result<NewJob, JobError> {
    let window = format!(
        "{}:{}:{}:{}",
        reconcile.provider,
        reconcile.account,
        reconcile.from.unix_ms(),
        reconcile.to.unix_ms()
    );
    let id = JobId::named("reconcile", &[window.as_bytes()]);
    let mut job = job(JobKind::Reconcile, id, &TenantId::default(), reconcile, origin)?;
    job.dedupe =
        Some(Dedupe { body_hash: RequestHash::of(window.as_bytes()), key: format!("reconcile:{window}") });
    job.facts = BTreeMap::from([("provider".to_owned(), reconcile.provider.to_string())]);
    Ok(job)
}

/// The job that tells a receiver of the next transition of an operation, in the trace `trace`.
///
/// # Errors
/// [`JobError`].
pub fn notify(
    notify: &Notify,
    tenant: &TenantId,
    trace: &TraceContext,
    delay: Duration,
    origin: Origin,
) -> Result<NewJob, JobError> {
    let mut job = job(JobKind::Notify, notify.job_id(), tenant, notify, origin)?;
    job.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    job.facts = facts(notify.operation_id);
    job.facts.insert("receiver".to_owned(), notify.receiver.to_string());
    job.trace = trace.clone();
    Ok(job)
}

/// The job of a plan's step, `delay` from now.
///
/// # Errors
/// [`JobError`].
pub fn redrive(step: &Redrive, delay: Duration, origin: Origin) -> Result<NewJob, JobError> {
    let mut job = job(JobKind::Redrive, step.job_id(), &TenantId::default(), step, origin)?;
    job.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    job.facts = BTreeMap::from([("plan".to_owned(), step.plan.to_string())]);
    Ok(job)
}

/// The job that makes up for a step's that is missing.
///
/// # Errors
/// [`JobError`].
pub fn rescue_step(due: &DueStep) -> Result<NewJob, JobError> {
    let job = redrive(&due.step, Duration::ZERO, Origin::Rescue)?;
    Ok(NewJob { id: due.step.rescue_id(due.due_at.unix_ms()), ..job })
}

fn facts(operation: OperationId) -> BTreeMap<String, String> {
    BTreeMap::from([("operation_id".to_owned(), operation.to_string())])
}

fn job<T: Serialize>(
    kind: JobKind,
    id: JobId,
    tenant: &TenantId,
    payload: &T,
    origin: Origin,
) -> Result<NewJob, JobError> {
    let policy = kind.policy();
    Ok(NewJob {
        id,
        kind: kind.as_str().to_owned(),
        queue: kind.queue()?,
        tenant: tenant.clone(),
        payload: serde_json::value::to_raw_value(payload)?,
        payload_version: PAYLOAD_VERSION,
        facts: BTreeMap::new(),
        dedupe: None,
        lane: None,
        priority: policy.priority,
        delay_ms: 0,
        max_attempts: policy.max_attempts,
        deadline: None,
        trace: current_trace(),
        origin,
        parent: None,
    })
}
