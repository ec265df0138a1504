//! Ticks of schedules: one worker of the fleet acts on each.

use crate::queue::Repeat;
use crate::{Error, Queue, keys};

/// Ticks remembered per schedule.
const REMEMBERED: u32 = 1_000;

impl Queue {
    /// `true` exactly once per schedule and tick for the whole fleet. Ticks older than the last
    /// 1,000 claimed ones are never given. A claim whose answer got lost is spent: what it starts
    /// must be found missing by other means (a job with an id derived from the tick can simply be
    /// enqueued again).
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn claim_tick(&self, schedule: &str, tick: i64) -> Result<bool, Error> {
        let script = &self.inner.scripts.claim_tick;
        let mut call = script.call(&keys::ticks(&self.config().prefix, schedule));
        call.arg(tick).arg(REMEMBERED);
        self.run(script, &call, None, Repeat::Never).await
    }
}
