//! Logs that Redis is in trouble once when it begins and once when it ends, and says how long to
//! wait meanwhile.

use std::time::Duration;

use payfleet_core::backoff::Backoff;
use payfleet_core::job::QueueName;

use crate::Error;

const PAUSE: Backoff = Backoff { base_ms: 50, cap_ms: 2_000 };

pub(super) struct Trouble {
    doing: &'static str,
    queue: QueueName,
    failures: u32,
    rng: fastrand::Rng,
}

impl Trouble {
    pub(super) fn new(doing: &'static str, queue: &QueueName) -> Self {
        Self { doing, queue: queue.clone(), failures: 0, rng: fastrand::Rng::new() }
    }

    /// Counts a failure; returns the pause before the next try.
    pub(super) fn failed(&mut self, error: &Error) -> Duration {
        if self.failures == 0 {
            let doing = self.doing;
            tracing::warn!(queue.name = %self.queue, %error, "{doing} fails; trying again until it works");
        }
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(PAUSE.delay_ms(self.failures, &mut self.rng).max(10))
    }

    pub(super) fn over(&mut self) {
        if self.failures > 0 {
            let doing = self.doing;
            tracing::info!(queue.name = %self.queue, failures = self.failures, "{doing} works again");
            self.failures = 0;
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.failures > 0
    }
}
