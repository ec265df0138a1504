//! The beginning of an operation that has only to call: what was asked is all there is to plan by, so
//! its row, its claim and its first intent are one transaction. Whatever stands in the way of that, it
//! is claimed as ever.

use payfleet_core::job::Job;
use payfleet_core::kinds::lifecycle::{Operation, Plan};
use payfleet_providers::gate::NotNow;
use payfleet_queue::Outcome;
use payfleet_store::{ClaimRequest, StoreError};

use super::call::new_intent;
use super::since::Since;
use super::{Executor, Step};
use crate::weather::Leave;

/// How a beginning ended.
pub(super) enum Begun {
    /// The call was made; the job is settled with this.
    Settled(Outcome),
    /// It is to be claimed. The leave to call was asked for, if it was: it is not asked for twice.
    ToBeClaimed(Option<Result<Leave, NotNow>>),
}

impl Executor {
    pub(super) async fn begin(
        &self,
        job: &Job,
        request: &ClaimRequest<'_>,
        since: Since,
    ) -> Result<Begun, StoreError> {
        let as_ever = Ok(Begun::ToBeClaimed(None));
        // Only then is it likely that there is no row.
        let Some(first) = request.first.filter(|_| job.deliveries <= 1) else { return as_ever };
        let operation = Operation::asked(request.id, first);
        if first.request.subject().is_some() || operation.reservation().is_some() {
            return as_ever;
        }
        let Plan::Open { effect } = operation.plan() else { return as_ever };
        let Some(client) = self.clients.of(first.request.provider()) else { return as_ever };
        let leave = match self.weather.enter(client.door(effect.action())).await {
            Ok(leave) => leave,
            Err(not_now) => return Ok(Begun::ToBeClaimed(Some(Err(not_now)))),
        };
        let intent = new_intent(&operation, client, &effect, 1);
        let Some(claimed) = self.store.begin(request.id, first, &intent, &request.job).await? else {
            return Ok(Begun::ToBeClaimed(Some(Ok(leave))));
        };
        let mut running = self.running(claimed, request.job.clone(), since);
        Ok(Begun::Settled(match self.send(&mut running, client, leave, &effect, &intent).await? {
            Step::Settle(outcome) => outcome,
            Step::Again => self.drive(running).await?,
        }))
    }
}
