//! Orders: an address each, and then waiting for what comes in, until their time is over.

use std::time::Duration;

use payfleet_core::kinds::lifecycle::Event;
use payfleet_queue::Outcome;
use payfleet_store::{Next, StoreError};

use super::call::{not_here, wake_up_after};
use super::{Executor, Running, Step};

/// How long an order whose time is over waits for a deposit that was seen in time, at a time.
const GRACE_MS: u64 = 30_000;

impl Executor {
    /// Derives the order's address. Nothing is asked of anybody.
    pub(super) async fn allot(&self, running: &mut Running<'_>) -> Result<Step, StoreError> {
        let Some(tatum) = self.clients.tatum() else { return Ok(Step::Settle(not_here(running))) };
        let Some(network) = running.claimed.operation.request.network() else {
            let reason = "it names no chain".to_owned();
            self.record(running, &Event::Refused { reason }).await?;
            return Ok(Step::Again);
        };
        // The first address is as good as any to find out whether there is a key.
        if let Err(reason) = tatum.deposit_address(network, 0) {
            self.record(running, &Event::Refused { reason }).await?;
            return Ok(Step::Again);
        }
        let derive = |index: u32| tatum.deposit_address(network, index);
        self.store.allot(&mut running.claimed, network, &derive).await?;
        Ok(Step::Again)
    }

    /// Rests until the order's time is over, and ends it then. A deposit that was seen in time and is
    /// not final yet is waited for.
    pub(super) async fn wait_for_money(
        &self,
        running: &mut Running<'_>,
        lifetime_ms: u64,
    ) -> Result<Step, StoreError> {
        let left_ms = lifetime_ms.saturating_sub(running.claimed.age_ms);
        if left_ms > 0 {
            return self.rest(running, left_ms).await;
        }
        if self.store.has_waiting_deposits(running.subject.id).await? {
            let grace = self.schedule.while_waiting(Duration::from_millis(GRACE_MS));
            self.store.set_next(&mut running.claimed, &running.job, &Next::After { ms: grace }).await?;
            return Ok(Step::Settle(wake_up_after(running, grace)));
        }
        self.record(running, &Event::Expired).await?;
        Ok(Step::Again)
    }

    /// Nothing but an event or the end of its time, in `left_ms`, moves it, and each wakes it.
    pub(super) async fn rest(&self, running: &mut Running<'_>, left_ms: u64) -> Result<Step, StoreError> {
        self.store.set_next(&mut running.claimed, &running.job, &Next::After { ms: left_ms }).await?;
        Ok(Step::Settle(if running.claimed.events_wait {
            wake_up_after(running, 0)
        } else {
            Outcome::Done { then: Vec::new() }
        }))
    }
}
