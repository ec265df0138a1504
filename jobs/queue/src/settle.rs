//! Ending leases.

use payfleet_core::job::{Failure, NewJob, QueueName};
use redis::Cmd;

use crate::enqueue::append_job;
use crate::queue::{Repeat, millis};
use crate::record::id_bytes;
use crate::{Error, LeaseRef, Outcome, Queue, Settled, Settlement};

/// Leases in one call.
const MAX_BATCH: usize = 500;
/// The longest text of a failure that is kept, bytes.
const MAX_MESSAGE: usize = 2_000;

impl Queue {
    /// Ends leases with their outcomes, and answers in the order given. A lease that has ended
    /// already is [`Settled::Stale`] and changes nothing, so settling twice is harmless.
    ///
    /// Follow-ups of other queues are enqueued first: if that fails nothing is settled, and a
    /// repetition finds them by their ids. They should be derived ids therefore.
    ///
    /// # Errors
    /// What Redis' state brings, and for follow-ups what [`Queue::enqueue`] brings.
    pub async fn settle(&self, queue: &QueueName, settlements: &[Settlement]) -> Result<Vec<Settled>, Error> {
        let foreign: Vec<NewJob> =
            settlements.iter().flat_map(follow_ups).filter(|job| job.queue != *queue).cloned().collect();
        if !foreign.is_empty() {
            self.enqueue(&foreign).await?;
        }
        let mut answers = Vec::with_capacity(settlements.len());
        for batch in settlements.chunks(MAX_BATCH) {
            let mut call = self.settle_call(queue);
            for settlement in batch {
                append(&mut call, queue, settlement)?;
            }
            answers.extend(self.send_settle(queue, &call).await?);
        }
        Ok(answers)
    }

    /// Gives jobs back at once, without counting a delivery. Leases that have ended are passed over.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn release(&self, queue: &QueueName, leases: &[LeaseRef]) -> Result<(), Error> {
        // From the last to the first: each goes to the front, so the order stays.
        for batch in leases.rchunks(MAX_BATCH) {
            let mut call = self.settle_call(queue);
            for lease in batch.iter().rev() {
                call.arg(&id_bytes(lease.id)[..]).arg(lease.token).arg("release");
            }
            self.send_settle(queue, &call).await?;
        }
        Ok(())
    }

    fn settle_call(&self, queue: &QueueName) -> Cmd {
        let mut call = self.inner.scripts.settle.call(&self.tag(queue));
        call.arg(millis(self.config().dedupe));
        call
    }

    async fn send_settle(&self, queue: &QueueName, call: &Cmd) -> Result<Vec<Settled>, Error> {
        let script = &self.inner.scripts.settle;
        let answers: Vec<bool> = self.run(script, call, Some(queue), Repeat::Never).await?;
        let settled = |applied| if applied { Settled::Applied } else { Settled::Stale };
        Ok(answers.into_iter().map(settled).collect())
    }
}

/// The jobs that `settlement` asks for.
pub(crate) fn follow_ups(settlement: &Settlement) -> &[NewJob] {
    match &settlement.outcome {
        Outcome::Done { then } => then,
        Outcome::Retry { .. } | Outcome::Defer { .. } | Outcome::Dead { .. } => &[],
    }
}

fn append(call: &mut Cmd, queue: &QueueName, settlement: &Settlement) -> Result<(), Error> {
    call.arg(&id_bytes(settlement.lease.id)[..]).arg(settlement.lease.token);
    match &settlement.outcome {
        Outcome::Done { then } => {
            let own: Vec<&NewJob> = then.iter().filter(|job| job.queue == *queue).collect();
            call.arg("done").arg(own.len());
            for job in own {
                append_job(call, job)?;
            }
        }
        Outcome::Retry { delay, failure } => {
            call.arg("retry").arg(millis(*delay)).arg(failure_json(failure)?);
        }
        Outcome::Defer { delay, reason: _ } => {
            call.arg("defer").arg(millis(*delay));
        }
        Outcome::Dead { failure } => {
            call.arg("dead").arg(failure_json(failure)?);
        }
    }
    Ok(())
}

/// The failure as JSON on one line; the scripts put it into the history as it is.
fn failure_json(failure: &Failure) -> Result<Vec<u8>, Error> {
    let mut failure = failure.clone();
    let cut = failure.message.floor_char_boundary(MAX_MESSAGE);
    failure.message.truncate(cut);
    serde_json::to_vec(&failure).map_err(|e| Error::encoding("a failure", e))
}
