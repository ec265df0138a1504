//! When to try again. Randomness is drawn here and nowhere else in the executor.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use payfleet_core::address::Network;
use payfleet_core::backoff::Backoff;
use payfleet_core::job::Job;
use payfleet_core::kinds::confirm;
use payfleet_store::Next;

/// If no poll and no webhook has moved an accepted operation by then, the rescuer starts over.
const CONFIRM_PATIENCE_MS: u64 = 600_000;

/// How long a job waits while Postgres is away, at most.
const STORE_WEATHER: Backoff = Backoff { base_ms: 500, cap_ms: 5_000 };

/// How long an uncertain thing is left alone before it is looked into again.
#[derive(Clone)]
pub(super) struct Schedule {
    confirm_interval: Option<Duration>,
    rng: Arc<Mutex<fastrand::Rng>>,
}

impl Schedule {
    pub(super) fn new(confirm_interval: Option<Duration>) -> Self {
        Self { confirm_interval, rng: Arc::new(Mutex::new(fastrand::Rng::new())) }
    }

    /// How long to wait between two polls of what the provider has had for `waited_ms`.
    pub(super) fn between_polls(&self, network: Option<Network>, waited_ms: u64) -> Duration {
        self.confirm_interval.unwrap_or_else(|| Duration::from_millis(confirm::pause_ms(network, waited_ms)))
    }

    /// How long to wait between two looks at something that usually takes `usual`, in milliseconds.
    pub(super) fn while_waiting(&self, usual: Duration) -> u64 {
        u64::try_from(self.confirm_interval.unwrap_or(usual).as_millis()).unwrap_or(u64::MAX)
    }

    /// When an operation that is polled each `pause` is looked at, should no poll have moved it.
    pub(super) fn while_confirming(&self, pause: Duration) -> Next {
        let patience = self.confirm_interval.map_or(CONFIRM_PATIENCE_MS, |_| CONFIRM_PATIENCE_MS / 10);
        Next::After { ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).saturating_add(patience) }
    }

    /// The delay after `attempt` failures.
    pub(super) fn backoff_ms(&self, backoff: Backoff, attempt: i32) -> u64 {
        let attempt = u32::try_from(attempt).unwrap_or(1).max(1);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        backoff.delay_ms(attempt, &mut rng)
    }

    /// The delay before a job is tried again.
    pub(super) fn retry(&self, job: &Job) -> Duration {
        let backoff = payfleet_core::kinds::JobKind::Payout.policy().backoff;
        Duration::from_millis(self.backoff_ms(backoff, i32::try_from(job.attempt).unwrap_or(i32::MAX)))
    }

    /// The delay while Postgres is away.
    pub(super) fn store_weather(&self, job: &Job) -> Duration {
        let deliveries = i32::try_from(job.deliveries).unwrap_or(i32::MAX);
        Duration::from_millis(self.backoff_ms(STORE_WEATHER, deliveries).max(100))
    }
}
