//! What is no call of its own: a distribution becomes payouts, and is done when they are.

use std::time::Duration;

use payfleet_core::Money;
use payfleet_core::backoff::Backoff;
use payfleet_core::job::Origin;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_store::{Divided, Next, StoreError};

use super::call::wake_up_after;
use super::{Executor, Running, Step, settle_with};
use crate::jobs::{self, Subject};

/// How many payouts get their first job with the distribution's end; the rescuer makes those of the
/// others, which are due like any forgotten operation.
const FIRST_JOBS: usize = 500;

/// How long the client has to name all holders.
const HOLDERS_WITHIN_MS: u64 = 24 * 3_600_000;

/// How long to wait between two looks at the payouts.
const BETWEEN_LOOKS: Backoff = Backoff { base_ms: 2_000, cap_ms: 60_000 };

impl Executor {
    pub(super) async fn divide(&self, running: &mut Running<'_>) -> Result<Step, StoreError> {
        let made = match self.store.divide(&mut running.claimed, &running.job).await? {
            Divided::Into(made) => made,
            Divided::Waits { have, of } => return self.wait_for_holders(running, have, of).await,
            Divided::Refused { reason } => {
                self.record(running, &Event::Refused { reason }).await?;
                return Ok(Step::Again);
            }
        };
        tracing::info!(operation.id = %running.subject.id, payouts = made.len(), "The distribution became payouts.");
        let tenant = &running.subject.tenant;
        let kind = match &running.claimed.operation.request {
            Request::Distribution(of) => of.part_kind(),
            _ => OperationKind::Payout,
        };
        let first = made.iter().take(FIRST_JOBS).map(|&id| {
            let payout = Subject { id, kind, tenant: tenant.clone() };
            jobs::wake_up(&payout, 0, Duration::ZERO, Origin::FollowUp)
        });
        let look = Duration::from_millis(BETWEEN_LOOKS.base_ms);
        let again = jobs::wake_up(&running.subject, running.claimed.version, look, Origin::FollowUp);
        Ok(Step::Settle(settle_with(first.chain([again]).collect())))
    }

    /// Rests until the other holders are named, each naming of whom wakes it, or its time is over.
    async fn wait_for_holders(
        &self,
        running: &mut Running<'_>,
        have: usize,
        of: usize,
    ) -> Result<Step, StoreError> {
        let left_ms = HOLDERS_WITHIN_MS.saturating_sub(running.claimed.age_ms);
        if left_ms > 0 {
            return self.rest(running, left_ms).await;
        }
        let reason = format!("only {have} of {of} holders were named within a day");
        self.record(running, &Event::Refused { reason }).await?;
        Ok(Step::Again)
    }

    /// Done when every payout has ended; else looked at again, less and less often.
    pub(super) async fn gather(&self, running: &mut Running<'_>) -> Result<Step, StoreError> {
        let gathered = self.store.gather(running.subject.id).await?;
        if gathered.live > 0 {
            let looks = i32::try_from(running.claimed.version).unwrap_or(i32::MAX);
            let delay_ms = self.schedule.backoff_ms(BETWEEN_LOOKS, looks);
            self.store.set_next(&mut running.claimed, &running.job, &Next::After { ms: delay_ms }).await?;
            return Ok(Step::Settle(wake_up_after(running, delay_ms)));
        }
        let operation = &running.claimed.operation;
        let asset = operation.request.money().map(|money| money.asset());
        let moved = asset.and_then(|asset| Money::new(gathered.moved, asset).ok());
        let Some(moved) = moved else {
            return Err(StoreError::Corrupt {
                table: "distribution_parts",
                column: "amount",
                id: operation.id.to_string(),
                why: "the sum of what was paid is no amount of the asset".to_owned(),
            });
        };
        let event = Event::Gathered { moved, settled: gathered.settled, failed: gathered.failed };
        self.record(running, &event).await?;
        Ok(Step::Again)
    }
}
