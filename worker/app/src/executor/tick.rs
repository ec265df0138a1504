//! A payout schedule: at its moments it becomes a payout of what is owed, and rests in between. When it
//! is its time, Postgres says; when its moments are, its pattern.

use std::time::Duration;

use payfleet_core::Timestamp;
use payfleet_core::job::Origin;
use payfleet_core::kinds::lifecycle::{Event, Parked};
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_queue::When;
use payfleet_store::{Next, StoreError};

use super::call::wake_up_after;
use super::{Executor, Running, Step, settle_with};
use crate::jobs::{self, Subject};

/// When to look again where the pattern has no moment any more, in milliseconds: years go by.
const LOOK_AGAIN_MS: u64 = 30 * 24 * 3_600_000;

impl Executor {
    /// Moments that were missed are dealt with by the last of them: it pays what is owed by now.
    pub(super) async fn tick(&self, running: &mut Running<'_>) -> Result<Step, StoreError> {
        let Request::PayoutSchedule(of) = running.claimed.operation.request.clone() else {
            let reason = "it is nothing that stands".to_owned();
            self.record(running, &Event::Refused { reason }).await?;
            return Ok(Step::Again);
        };
        let when = match When::parse(&of.cron, &of.zone) {
            Ok(when) => when,
            Err(error) => return self.park(running, Parked::JobDied, error.to_string()).await,
        };
        let clock = self.store.schedule_clock(running.subject.id).await?;
        let moment = match clock.ticked_at {
            Some(last) => when.before(clock.now, last, 1).first().copied(),
            None => Some(clock.now),
        };
        let next_ms = when.next_after(clock.now).map_or(LOOK_AGAIN_MS, |next| until(clock.now, next));
        let next = Next::After { ms: next_ms };
        let made = if let Some(at) = moment {
            self.store.tick(&mut running.claimed, &running.job, at, &next).await?
        } else {
            self.store.set_next(&mut running.claimed, &running.job, &next).await?;
            None
        };
        if running.claimed.events_wait {
            // The payout is due at once, and the rescuer makes its job.
            return Ok(Step::Settle(wake_up_after(running, 0)));
        }
        // What wakes the schedule is the rescuer: its moments are minutes apart at least.
        let payout = made.map(|id| {
            tracing::info!(operation.id = %running.subject.id, payout.id = %id, "The schedule pays.");
            let payout = Subject { id, kind: OperationKind::Payout, tenant: running.subject.tenant.clone() };
            jobs::wake_up(&payout, 0, Duration::ZERO, Origin::FollowUp)
        });
        Ok(Step::Settle(settle_with(payout.into_iter().collect())))
    }
}

fn until(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(then.unix_ms().saturating_sub(now.unix_ms())).unwrap_or(0).max(1)
}
