//! The teller: gives transitions their places in the feed, and makes the `notify` jobs that Postgres
//! says are due: the first one after a transition, and those that Redis has lost. It may run in any
//! number of workers at once: a job's id is that of its notification's version.

use std::time::Duration;

use payfleet_core::job::Origin;
use payfleet_queue::{Enqueued, Queue};
use payfleet_store::Store;
use tokio_util::sync::CancellationToken;

use crate::jobs;
use crate::receivers::Receivers;

/// How often it looks. Between a transition and its callback lies about half of it.
const EVERY: Duration = Duration::from_millis(500);
/// How many transitions get their places, and how many jobs a receiver gets, at a time.
const BATCH: i64 = 500;

/// Looks until `stop`.
pub async fn run(store: Store, queue: Queue, receivers: Receivers, stop: CancellationToken) {
    let mut was_healthy = true;
    let mut registered = false;
    loop {
        let result = async {
            if !registered {
                register(&store, &receivers).await?;
                registered = true;
            }
            look(&store, &queue).await
        };
        let result = result.await;
        if let Err(reason) = &result
            && was_healthy
        {
            tracing::warn!("Web apps are not told of what happens, and will be: {reason}");
        }
        was_healthy = result.is_ok();
        let pause = if result.is_ok_and(|busy| busy) { Duration::ZERO } else { EVERY };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn register(store: &Store, receivers: &Receivers) -> Result<(), String> {
    for receiver in &receivers.all {
        let done = store.register_receiver(&receiver.name, &receiver.tenant, &receiver.callback.url).await;
        done.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// One look. Returns whether there was as much to do as it does at a time.
///
/// # Errors
/// In words: Postgres or Redis is away.
pub async fn look(store: &Store, queue: &Queue) -> Result<bool, String> {
    let placed = store.give_positions(BATCH).await.map_err(|error| error.to_string())?;
    let due = store.due_notifications(BATCH).await.map_err(|error| error.to_string())?;
    let made: Result<Vec<_>, _> = due
        .iter()
        .map(|one| jobs::notify(&one.notify, &one.tenant, &one.trace, Duration::ZERO, Origin::FollowUp))
        .collect();
    let made = made.map_err(|error| error.to_string())?;
    let mut created = 0;
    if !made.is_empty() {
        let enqueued = queue.enqueue(&made).await.map_err(|error| error.to_string())?;
        created = enqueued.iter().filter(|one| matches!(one, Enqueued::Created(_))).count();
    }
    let batch = usize::try_from(BATCH).unwrap_or(usize::MAX);
    // What is in the queue already stays due until a worker takes it: only new jobs are progress.
    Ok(u64::try_from(BATCH) == Ok(placed) || created >= batch)
}
