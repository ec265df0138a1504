//! The archiver: moves dead jobs from Redis to Postgres, where people search and release them.
//! Insert, then remove: a crash in between archives twice, which is once.

use std::time::Duration;

use payfleet_core::job::QueueName;
use payfleet_queue::Queue;
use payfleet_store::Store;
use tokio_util::sync::CancellationToken;

/// How often it looks while there is nothing to do.
const EVERY: Duration = Duration::from_secs(1);
/// How many it moves at a time.
const BATCH: usize = 200;

/// Moves the dead of `queues` until `stop`.
pub async fn run(store: Store, queue: Queue, queues: Vec<QueueName>, stop: CancellationToken) {
    let mut was_healthy = true;
    loop {
        let mut moved = 0;
        for name in &queues {
            match archive(&store, &queue, name).await {
                Ok(count) => {
                    moved += count;
                    was_healthy = true;
                }
                Err(reason) => {
                    if was_healthy {
                        tracing::warn!(job.queue = %name, "Dead jobs cannot be archived; they stay in Redis: {reason}");
                    }
                    was_healthy = false;
                }
            }
        }
        let pause = if moved > 0 { Duration::ZERO } else { EVERY };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Moves one batch of one queue. Returns how many.
///
/// # Errors
/// In words: Postgres or Redis is away.
pub async fn archive(store: &Store, queue: &Queue, name: &QueueName) -> Result<usize, String> {
    let dead = queue.dead(name, BATCH).await.map_err(|error| error.to_string())?;
    let mut archived = Vec::with_capacity(dead.len());
    for job in &dead {
        let id = job.job.envelope.id;
        match store.archive(job).await {
            Ok(()) => archived.push((id, job.died_at)),
            Err(error) if error.is_unavailable() => return Err(error.to_string()),
            // It stays in Redis, and does not keep the others there.
            Err(error) => tracing::error!(job.id = %id, "A dead job cannot be archived: {error}"),
        }
    }
    if !archived.is_empty() {
        queue.remove_dead(name, &archived).await.map_err(|error| error.to_string())?;
    }
    Ok(archived.len())
}
