//! Ending leases.

use std::collections::BTreeMap;

use payfleet_core::JobId;
use payfleet_core::job::{Failure, NewJob, QueueName};
use redis::Cmd;

use crate::enqueue::{MAX_BATCH as MAX_ENQUEUED, Prepared, prepare};
use crate::queue::{Repeat, millis};
use crate::record::{id_bytes, id_from};
use crate::take::take_of;
use crate::{Config, Error, LeaseRef, Outcome, Queue, Settled, Settlement};

/// Leases in one call.
const MAX_BATCH: usize = 500;
/// The longest text of a failure or a deferral that is kept, bytes.
const MAX_MESSAGE: usize = 2_000;
/// Scheduled jobs that one job absorbs in one call.
const MAX_ABSORBED: usize = 100;

/// Jobs that may follow one.
const MAX_FOLLOW_UPS: usize = 1_000;

/// What is said of a lease: an outcome, or that it was not used.
enum End<'a> {
    Settled(&'a Outcome),
    /// Done, and these of the same queue follow.
    Then(Vec<Prepared>),
    /// Done, but what it wants to follow cannot be.
    Refused(Failure),
    Released,
}

impl<'a> End<'a> {
    /// Follow-ups that cannot be enqueued are the affair of the job that asked for them, and of nobody
    /// beside it in the batch: it is dead, and says why.
    fn of(config: &Config, queue: &QueueName, outcome: &'a Outcome) -> Self {
        let Outcome::Done { then } = outcome else {
            return Self::Settled(outcome);
        };
        if then.is_empty() {
            return Self::Settled(outcome);
        }
        let refuse = |message: String| {
            Self::Refused(Failure {
                class: "terminal".to_owned(),
                code: "follow_up".to_owned(),
                message: format!("it is done, but what follows cannot be enqueued: {message}"),
            })
        };
        if then.len() > MAX_FOLLOW_UPS {
            return refuse(format!("at most {MAX_FOLLOW_UPS} jobs may follow one, not {}", then.len()));
        }
        let mut own = Vec::new();
        for job in then {
            match prepare(config, job) {
                Ok(prepared) if job.queue == *queue => own.push(prepared),
                Ok(_) => {}
                Err(error) => return refuse(error.to_string()),
            }
        }
        Self::Then(own)
    }

    /// Done and nothing to follow: the short form.
    const fn is_plain(&self) -> bool {
        matches!(self, Self::Settled(Outcome::Done { .. }))
    }
}

impl Queue {
    /// Ends leases with their outcomes, and answers in the order given. A lease that has ended
    /// already is [`Settled::Stale`] and changes nothing, so settling twice is harmless.
    ///
    /// Follow-ups of other queues are enqueued first: if that fails nothing is settled, and a
    /// repetition finds them by their ids. They should be derived ids therefore. A job whose follow-ups
    /// can never be enqueued (see [`Error::InvalidJob`]; or more than 1,000) is dead instead, with the
    /// reason.
    ///
    /// # Errors
    /// What Redis' state brings, and for follow-ups [`Error::QueueFull`] and [`Error::OutOfMemory`].
    pub async fn settle(&self, queue: &QueueName, settlements: &[Settlement]) -> Result<Vec<Settled>, Error> {
        let mut answers = Vec::with_capacity(settlements.len());
        for batch in settlements.chunks(MAX_BATCH) {
            let ends: Vec<_> =
                batch.iter().map(|s| (s.lease, End::of(self.config(), queue, &s.outcome))).collect();
            self.enqueue_foreign(queue, batch, &ends).await?;
            answers.extend(self.end(queue, &ends).await?);
        }
        Ok(answers)
    }

    /// The follow-ups of other queues.
    async fn enqueue_foreign(
        &self,
        queue: &QueueName,
        batch: &[Settlement],
        ends: &[(LeaseRef, End<'_>)],
    ) -> Result<(), Error> {
        let good = batch.iter().zip(ends).filter(|(_, (_, end))| matches!(end, End::Then(_)));
        let jobs = good.flat_map(|(settlement, _)| follow_ups(settlement));
        let foreign: Vec<NewJob> = jobs.filter(|job| job.queue != *queue).cloned().collect();
        for jobs in foreign.chunks(MAX_ENQUEUED) {
            self.enqueue(jobs).await?;
        }
        Ok(())
    }

    /// Gives jobs back at once, without counting a delivery. Leases that have ended are passed over.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn release(&self, queue: &QueueName, leases: &[LeaseRef]) -> Result<(), Error> {
        // From the last to the first: each goes to the front, so the order stays.
        for batch in leases.rchunks(MAX_BATCH) {
            let mut ends: Vec<_> = batch.iter().map(|lease| (*lease, End::Released)).collect();
            ends.reverse();
            self.end(queue, &ends).await?;
        }
        Ok(())
    }

    /// Removes the jobs of the same lane that are only scheduled, up to 100, and says which: the
    /// holder of `lease` does their work too. Jobs that were delivered before stay. Empty if the job
    /// has no lane, or its lease has ended.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn absorb(&self, queue: &QueueName, lease: LeaseRef) -> Result<Vec<JobId>, Error> {
        let script = &self.inner.scripts.absorb;
        let mut call = script.call(&self.tag(queue));
        call.arg(take_of(lease.token)).arg(lease.seq).arg(MAX_ABSORBED);
        let ids: Vec<Vec<u8>> = self.run(script, &call, Some(queue), Repeat::Never).await?;
        ids.iter().map(|id| id_from(id)).collect()
    }

    async fn end(&self, queue: &QueueName, ends: &[(LeaseRef, End<'_>)]) -> Result<Vec<Settled>, Error> {
        let script = &self.inner.scripts.settle;
        let mut call = script.call(&self.tag(queue));
        call.arg(millis(self.config().dedupe));
        // By take, both in the order given: the first word on a job is the one that counts, and jobs given
        // back from the last to the first keep their order across takes.
        let mut order: Vec<usize> = (0..ends.len()).collect();
        let take = |at: &usize| ends.get(*at).map_or(0, |(lease, _)| take_of(lease.token));
        let mut first = BTreeMap::new();
        for at in 0..ends.len() {
            first.entry(take(&at)).or_insert(at);
        }
        order.sort_by_key(|at| first.get(&take(at)).copied());
        for group in order.chunk_by(|a, b| take(a) == take(b)) {
            let all = || group.iter().filter_map(|at| ends.get(*at));
            // The short form is for groups of which all are simply done.
            let short = all().all(|(_, end)| end.is_plain());
            let (plain, others) = if short { (group.len(), 0) } else { (0, group.len()) };
            call.arg(group.first().map_or(0, take)).arg(plain).arg(others);
            for (lease, end) in all() {
                call.arg(lease.seq).arg(&id_bytes(lease.id)[..]);
                if !short {
                    append(&mut call, end)?;
                }
            }
        }
        let stale: Vec<usize> = self.run(script, &call, Some(queue), Repeat::Never).await?;
        let mut answers = vec![Settled::Applied; ends.len()];
        for at in stale.into_iter().filter_map(|number| order.get(number.checked_sub(1)?)) {
            if let Some(answer) = answers.get_mut(*at) {
                *answer = Settled::Stale;
            }
        }
        Ok(answers)
    }
}

/// The jobs that `settlement` asks for.
pub(crate) fn follow_ups(settlement: &Settlement) -> &[NewJob] {
    match &settlement.outcome {
        Outcome::Done { then } => then,
        Outcome::Retry { .. } | Outcome::Defer { .. } | Outcome::Unknown { .. } | Outcome::Dead { .. } => &[],
    }
}

/// Appends what is said of a lease (settle.lua).
fn append(call: &mut Cmd, end: &End<'_>) -> Result<(), Error> {
    match end {
        End::Released => {
            call.arg("release");
        }
        End::Then(jobs) => {
            call.arg("then").arg(jobs.len());
            for job in jobs {
                job.append(call);
            }
        }
        End::Settled(Outcome::Done { .. }) => {
            call.arg("then").arg(0);
        }
        End::Settled(Outcome::Retry { delay, failure }) => {
            call.arg("retry").arg(millis(*delay)).arg(failure_json(failure)?);
        }
        End::Settled(Outcome::Defer { delay, reason }) => {
            call.arg("defer").arg(millis(*delay)).arg(cut(reason));
        }
        End::Settled(Outcome::Unknown { delay, reason }) => {
            call.arg("unknown").arg(millis(*delay)).arg(cut(reason));
        }
        End::Refused(failure) | End::Settled(Outcome::Dead { failure }) => {
            call.arg("dead").arg(failure_json(failure)?);
        }
    }
    Ok(())
}

/// What is kept of a text for people.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_MESSAGE)).unwrap_or(text)
}

/// The failure as JSON on one line; the scripts put it into the history as it is.
fn failure_json(failure: &Failure) -> Result<Vec<u8>, Error> {
    let mut failure = failure.clone();
    failure.message.truncate(cut(&failure.message).len());
    serde_json::to_vec(&failure).map_err(|e| Error::encoding("a failure", e))
}
