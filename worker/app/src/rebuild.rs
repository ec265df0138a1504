//! The rebuild: after Redis has lost its data, makes the jobs that Postgres says should exist. Their
//! ids are derived, so it may run twice, beside running workers, and beside the rescuer.
//!
//! What it cannot know is what no worker had touched: requests and webhooks that were accepted and
//! were still waiting. Clients and providers repeat those with their own keys.

use std::time::Duration;

use payfleet_core::TenantId;
use payfleet_core::job::{NewJob, Origin, TraceContext};
use payfleet_core::kinds::notify::Notify;
use payfleet_queue::{Enqueued, Queue};
use payfleet_store::{DueStep, Place, Store, StoreError, Unfinished, Woken};
use serde::Serialize;

use crate::jobs::{self, JobError, Subject};

/// Rows read, and jobs enqueued, at a time.
const PAGE: i64 = 500;
/// Webhooks read at a time: each comes with its body.
const WEBHOOKS: i64 = 50;
/// How often a page is tried while a queue is full or Redis is away, a second apart.
const TRIES: u32 = 60;

/// What a rebuild has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Unfinished operations whose job was made.
    pub operations: Made,
    /// Operations of which a call may be under way: whoever makes it goes on by itself, and if that
    /// worker is dead, the rescuer resolves the call when its time is up.
    pub left_to_their_callers: u64,
    /// Operations that wait for a person, and whose dead letter was lost: a job that dies again.
    pub parked: Made,
    /// The same of notifications that nobody will send any more. Those that are to be sent are left to
    /// the teller of every worker, which makes each as it falls due.
    pub parked_notifications: Made,
    /// Webhooks that were stored and not handled.
    pub webhooks: Made,
    /// Reconciliations that were under way.
    pub reconciliations: Made,
    /// Plans that release dead letters, or look after what they have released: the next step of each.
    pub redrives: Made,
}

/// Jobs that should exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Made {
    /// How many were missing, and made.
    pub made: u64,
    /// How many were there.
    pub there: u64,
}

/// Why a rebuild stopped. What it made stays, and running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Postgres.
    #[error("Postgres could not be read: {0}")]
    Store(#[from] StoreError),
    /// Redis.
    #[error("a page of jobs could not be enqueued: {0}")]
    Queue(#[from] payfleet_queue::Error),
    /// A bug.
    #[error(transparent)]
    Job(#[from] JobError),
}

/// Makes the jobs that should exist, and tells `progress` after every page.
///
/// # Errors
/// [`RebuildError`], where a store stays away.
pub async fn rebuild(
    store: &Store,
    queue: &Queue,
    progress: &mut (dyn FnMut(&Rebuilt) + Send),
) -> Result<Rebuilt, RebuildError> {
    let mut rebuilt = Rebuilt::default();
    if let Some(end) = store.last_due().await? {
        let mut after = Place::START;
        loop {
            let page = store.unfinished(after, end, PAGE).await?;
            let (leave, wake): (Vec<_>, Vec<_>) = page.rows.iter().partition(|one| one.state == "submitting");
            rebuilt.left_to_their_callers += count(leave.len());
            put(queue, wake.into_iter().map(wake_up), &mut rebuilt.operations).await?;
            progress(&rebuilt);
            let Some(next) = page.next else { break };
            after = next;
        }
    }
    let mut after = None;
    loop {
        let page = store.parked_in_silence(after, PAGE).await?;
        put(queue, page.rows.iter().map(due_now), &mut rebuilt.parked).await?;
        progress(&rebuilt);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut after = None;
    loop {
        let page = store.untold_in_silence(after.as_ref(), PAGE).await?;
        put(queue, page.rows.iter().map(parked_notification), &mut rebuilt.parked_notifications).await?;
        progress(&rebuilt);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut after = 0;
    loop {
        let page = store.unhandled_webhooks(after, WEBHOOKS).await?;
        put(queue, page.rows.iter().map(jobs::webhook), &mut rebuilt.webhooks).await?;
        progress(&rebuilt);
        let Some(next) = page.next else { break };
        after = next;
    }
    let mut after = 0;
    loop {
        let page = store.running_runs(after, PAGE).await?;
        let again = page
            .rows
            .iter()
            .map(|run| Ok(NewJob { id: run.job, ..jobs::reconcile(&run.reconcile, Origin::Rescue)? }));
        put(queue, again, &mut rebuilt.reconciliations).await?;
        progress(&rebuilt);
        let Some(next) = page.next else { break };
        after = next;
    }
    let steps = store.redrive_steps(None).await?;
    put(queue, steps.iter().map(next_step), &mut rebuilt.redrives).await?;
    progress(&rebuilt);
    Ok(rebuilt)
}

fn next_step(due: &DueStep) -> Result<NewJob, JobError> {
    jobs::redrive(&due.step, Duration::from_millis(due.due_in_ms), Origin::Rescue)
}

/// One that nothing was sent for yet, or that only has to be asked about, is woken now: its job would
/// have come before its wake-up, which stands for a job that is lost. Any other waits for its time.
fn wake_up(one: &Unfinished) -> Result<NewJob, JobError> {
    let now = matches!(one.state.as_str(), "requested" | "accepted");
    let delay = if now { Duration::ZERO } else { Duration::from_millis(one.due_in_ms) };
    job(&one.operation, delay)
}

fn due_now(operation: &Woken) -> Result<NewJob, JobError> {
    job(operation, Duration::ZERO)
}

/// It finds its notification parked, and dies of it.
fn parked_notification((notify, tenant): &(Notify, TenantId)) -> Result<NewJob, JobError> {
    jobs::notify(notify, tenant, &TraceContext::default(), Duration::ZERO, Origin::Rescue)
}

fn job(operation: &Woken, delay: Duration) -> Result<NewJob, JobError> {
    let subject = Subject { id: operation.id, kind: operation.kind, tenant: operation.tenant.clone() };
    jobs::wake_up(&subject, operation.version, delay, Origin::Rescue)
}

/// Enqueues one page, and waits while a queue is full: workers drain it meanwhile.
async fn put(
    queue: &Queue,
    jobs: impl Iterator<Item = Result<NewJob, JobError>>,
    tally: &mut Made,
) -> Result<(), RebuildError> {
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    if jobs.is_empty() {
        return Ok(());
    }
    let mut tries = 1;
    let answers = loop {
        match queue.enqueue(&jobs).await {
            Err(error) if tries < TRIES && may_pass(&error) => {
                tracing::warn!(tries, "A page of jobs waits: {error}");
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            answer => break answer?,
        }
    };
    let made = count(answers.iter().filter(|one| matches!(one, Enqueued::Created(_))).count());
    tally.made += made;
    tally.there += count(jobs.len()).saturating_sub(made);
    Ok(())
}

/// Whether the same jobs may be enqueued later.
pub(crate) const fn may_pass(error: &payfleet_queue::Error) -> bool {
    use payfleet_queue::Error;
    matches!(
        error,
        Error::Unavailable { .. }
            | Error::QueueFull { .. }
            | Error::OutOfMemory
            | Error::DurabilityShortfall { .. }
    )
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
