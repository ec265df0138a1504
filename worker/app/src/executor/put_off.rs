//! Putting an operation off because its provider may not be called now.

use std::time::Duration;

use payfleet_providers::gate::NotNow;
use payfleet_queue::Outcome;
use payfleet_store::{Next, StoreError};

use super::{Executor, Running, Step};

/// A claim is left alone for longer than this; a wake-up that is farther away is written down, so
/// that the rescuer does not make a job for it meanwhile.
const LONG: Duration = Duration::from_secs(30);
/// How much later than its job an operation that was put off counts as overdue, in milliseconds.
const GRACE_MS: u64 = 60_000;

impl Executor {
    /// Nothing was sent and nothing has changed: the job comes back, and no attempt is spent.
    pub(super) async fn put_off(
        &self,
        running: &mut Running<'_>,
        not_now: NotNow,
    ) -> Result<Step, StoreError> {
        let NotNow { wait, reason } = not_now;
        if wait > LONG {
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(GRACE_MS);
            self.store.set_next(&mut running.claimed, &running.job, &Next::After { ms }).await?;
        }
        Ok(Step::Settle(Outcome::Defer { delay: wait, reason }))
    }
}
