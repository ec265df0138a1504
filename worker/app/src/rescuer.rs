//! The rescuer: finds operations that should have moved and have no job, and makes one; and so for the
//! steps of plans that release dead letters. It is what makes Redis disposable. Parked operations are
//! left to people.

use std::time::Duration;

use payfleet_core::kinds::OperationKind;
use payfleet_queue::{Enqueued, Queue};
use payfleet_store::{OverduePlace, Store};
use tokio_util::sync::CancellationToken;

use crate::jobs;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long an operation may be overdue before it is taken for forgotten.
const GRACE_MS: u64 = 5_000;
/// How many it looks at a time.
const BATCH: u32 = 500;

/// Looks until `stop`.
pub async fn run(store: Store, queue: Queue, stop: CancellationToken) {
    let (mut was_healthy, mut place) = (true, OverduePlace::default());
    loop {
        let result = match rescue(&store, &queue, &mut place).await {
            Ok(_) => rescue_steps(&store, &queue).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = &result
            && was_healthy
        {
            tracing::warn!("The rescuer cannot look for forgotten operations: {reason}");
        }
        was_healthy = result.is_ok();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// One look, at those that come next at `place`: those whose jobs wait (in a queue that is paused or
/// behind) stay overdue. Returns how many jobs were made; those that were there already do not count.
///
/// # Errors
/// In words: Postgres or Redis is away.
pub async fn rescue(store: &Store, queue: &Queue, place: &mut OverduePlace) -> Result<usize, String> {
    let overdue = store.overdue(GRACE_MS, BATCH, place).await.map_err(|error| error.to_string())?;
    let mut rescued = 0;
    // By kind: a queue that is full must not keep the others waiting.
    for kind in OperationKind::ALL {
        let of_kind = overdue.iter().filter(|one| one.operation.kind == kind);
        let made: Result<Vec<_>, _> = of_kind.map(jobs::rescue).collect();
        let made = made.map_err(|error| error.to_string())?;
        if made.is_empty() {
            continue;
        }
        match queue.enqueue(&made).await {
            Ok(enqueued) => {
                rescued += enqueued.iter().filter(|one| matches!(one, Enqueued::Created(_))).count();
            }
            Err(error) => {
                tracing::warn!(job.kind = kind.as_str(), "Overdue operations could not be rescued: {error}");
            }
        }
    }
    if rescued > 0 {
        tracing::warn!(rescued, "Made jobs for operations that were overdue and had none.");
    }
    Ok(rescued)
}

/// Makes the jobs of steps that were due and are not taken: plans are few.
///
/// # Errors
/// In words: Postgres or Redis is away.
pub async fn rescue_steps(store: &Store, queue: &Queue) -> Result<usize, String> {
    let overdue = store.redrive_steps(Some(GRACE_MS)).await.map_err(|error| error.to_string())?;
    let made: Result<Vec<_>, _> = overdue.iter().map(jobs::rescue_step).collect();
    let made = made.map_err(|error| error.to_string())?;
    if made.is_empty() {
        return Ok(0);
    }
    let enqueued = queue.enqueue(&made).await.map_err(|error| error.to_string())?;
    let rescued = enqueued.iter().filter(|one| matches!(one, Enqueued::Created(_))).count();
    if rescued > 0 {
        tracing::warn!(rescued, "Made jobs for steps of redrive plans that were overdue and had none.");
    }
    Ok(rescued)
}
