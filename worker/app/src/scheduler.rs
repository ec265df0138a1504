//! What runs by the clock: reconciliation of each provider, and the partitions of the coming month.
//! Every worker asks for every tick; the job's id is derived from its window, so the fleet gets one.
//!
//! The queue's own schedules would not do: the jobs they make are all the same, and a comparison must
//! say which window it is about, also when it was missed.

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::job::Origin;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, Clock, Timestamp};
use payfleet_queue::Queue;
use payfleet_store::Store;
use tokio_util::sync::CancellationToken;

use crate::jobs;

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(20);
/// How often partitions are looked after, in looks at the clock (about an hour).
const LOOKS_PER_HOUSEKEEPING: u32 = 180;
/// How many windows back are asked for; those that were compared within a day are not made again.
const WINDOWS: i64 = 8;
/// How long after its end a window is compared: what was under way has come to rest by then.
const SETTLING_MS: i64 = 300_000;

/// What is reconciled, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which providers.
    pub providers: Vec<Provider>,
    /// The length of a window; `None`: never.
    pub every: Option<Duration>,
}

/// Asks for what is due until `stop`.
pub async fn run(store: Store, queue: Queue, clock: Arc<dyn Clock>, plan: Plan, stop: CancellationToken) {
    let mut looks = 0_u32;
    loop {
        if looks.is_multiple_of(LOOKS_PER_HOUSEKEEPING)
            && let Err(error) = payfleet_store::admin::ensure_partitions(&store).await
        {
            tracing::warn!("The partitions of the coming month could not be made: {error}");
        }
        looks = looks.wrapping_add(1);
        if let Some(every) = plan.every {
            ask(&queue, &plan.providers, clock.now(), every).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn ask(queue: &Queue, providers: &[Provider], now: Timestamp, every: Duration) {
    let windows = providers.iter().flat_map(|&provider| last_windows(provider, now, every));
    for reconcile in windows {
        let job = match jobs::reconcile(&reconcile, Origin::Schedule) {
            Ok(job) => job,
            Err(error) => {
                tracing::error!(%error, "A reconciliation could not be scheduled.");
                continue;
            }
        };
        if let Err(error) = queue.enqueue(&[job]).await {
            tracing::debug!("A reconciliation was not scheduled and will be asked for again: {error}");
        }
    }
}

/// The last whole windows, so that those of a fleet that was down are not left out.
fn last_windows(provider: Provider, now: Timestamp, every: Duration) -> impl Iterator<Item = Reconcile> {
    let length = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    (0..WINDOWS).map(move |back| last_window(provider, now.plus_ms(length.saturating_mul(-back)), every))
}

/// The last whole window that ended before things had time to settle.
fn last_window(provider: Provider, now: Timestamp, every: Duration) -> Reconcile {
    let length = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    let settled = now.plus_ms(-SETTLING_MS).unix_ms();
    let end = settled.saturating_sub(settled.rem_euclid(length));
    Reconcile {
        provider,
        account: AccountId::default(),
        from: Timestamp::from_unix_ms(end.saturating_sub(length)),
        to: Timestamp::from_unix_ms(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_of_a_window_asks_for_the_same_one() {
        let every = Duration::from_mins(15);
        let at = |ms| last_window(Provider::Heleket, Timestamp::from_unix_ms(ms), every);
        let first = at(1_800_300_000);
        assert_eq!(first, at(1_800_300_000 + 899_999));
        assert_eq!(at(1_800_300_000 + 900_000).from, first.to);
        assert_eq!(first.to.unix_ms() - first.from.unix_ms(), 900_000);
    }
}
