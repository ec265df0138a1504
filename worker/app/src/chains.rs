//! The watch on the chains: for each chain on which deposits wait, one job a tick that asks for its
//! height. Every worker asks for every tick, some times; the job is remembered by its tick, so the fleet
//! makes one look.

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::Clock;
use payfleet_core::kinds::confirm::interval_ms;
use payfleet_queue::Queue;
use payfleet_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::jobs;

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Asks until `stop`. `interval` overrides how often each chain is looked at.
pub async fn run(
    store: Store,
    queue: Queue,
    clock: Arc<dyn Clock>,
    interval: Option<Duration>,
    stop: CancellationToken,
) {
    loop {
        if let Err(error) = ask(&store, &queue, clock.as_ref(), interval).await {
            tracing::debug!("The chains could not be asked about and will be: {error}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval.map_or(EVERY, |interval| interval.min(EVERY))) => {}
        }
    }
}

async fn ask(
    store: &Store,
    queue: &Queue,
    clock: &dyn Clock,
    interval: Option<Duration>,
) -> Result<(), StoreError> {
    for network in store.networks_waiting().await? {
        let interval = interval.map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        let every = i64::try_from(interval.unwrap_or_else(|| interval_ms(Some(network)))).unwrap_or(i64::MAX);
        let tick = clock.now().unix_ms().div_euclid(every.max(1));
        let job = match jobs::look_at(network, tick) {
            Ok(job) => job,
            Err(error) => {
                tracing::error!(%error, "A look at a chain could not be made.");
                continue;
            }
        };
        if let Err(error) = queue.enqueue(&[job]).await {
            tracing::debug!("A look at {network} was not enqueued and will be asked for again: {error}");
        }
    }
    Ok(())
}
