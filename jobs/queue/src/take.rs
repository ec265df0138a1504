//! Taking jobs out, and holding on to them.

use payfleet_core::Timestamp;
use payfleet_core::job::{Failure, QueueName};

use crate::queue::{Repeat, millis};
use crate::record::{Stored, UNDECODABLE, id_bytes, id_from};
use crate::{Error, LeaseRef, Leased, Outcome, Queue, Settlement, Taken};

/// The most jobs of one take.
const MAX_TAKE: usize = 1_000;
/// A take stops at this many bytes of records.
const MAX_BYTES: usize = 1024 * 1024;
/// Expired leases that one take gives back, and due jobs that it promotes: they bound its time,
/// and with every take a backlog of either still shrinks.
const REAP: usize = 128;
const PROMOTE: usize = 256;
/// A job whose lease expired more often than this is dead.
const MAX_EXPIRIES: u32 = 3;
/// Leases in one call.
const MAX_RENEW: usize = 1_000;

/// now, next due, paused, buried, (id, token, record, history) per job.
type Reply = (i64, i64, bool, usize, Vec<(Vec<u8>, u64, Vec<u8>, Vec<u8>)>);

impl Queue {
    /// Leases up to `max` jobs (at most 1,000, and 1 MiB) to `worker`: smaller priorities first,
    /// first come first served within one. Jobs that became due and leases that expired are brought
    /// back first, a bounded number of each.
    ///
    /// # Errors
    /// What Redis' state brings. Jobs leased by a call whose answer got lost come back when their
    /// leases expire.
    pub async fn take(&self, queue: &QueueName, worker: &str, max: usize) -> Result<Taken, Error> {
        let script = &self.inner.scripts.take;
        let mut call = script.call(&self.tag(queue));
        call.arg(max.min(MAX_TAKE)).arg(millis(self.config().lease)).arg(worker);
        call.arg(MAX_BYTES).arg(REAP).arg(PROMOTE).arg(MAX_EXPIRIES);
        let (now, next_due, paused, buried, jobs): Reply =
            self.run(script, &call, Some(queue), Repeat::Never).await?;
        let leased_at = Timestamp::from_unix_ms(now);
        let mut taken = Taken {
            jobs: Vec::with_capacity(jobs.len()),
            next_due_ms: u64::try_from(next_due).ok(),
            paused,
            undecodable: buried,
        };
        let mut unreadable = Vec::new();
        for (id, token, record, history) in jobs {
            let lease = LeaseRef { id: id_from(&id)?, token };
            let stored = Stored { id: lease.id, queue, record: &record, history: &history };
            match stored.decode() {
                Ok(mut job) => {
                    job.deliveries = job.deliveries.saturating_add(1);
                    taken.jobs.push(Leased { job, lease, leased_at });
                }
                Err(error) => unreadable.push(dead_of(lease, &error)),
            }
        }
        self.bury(queue, &unreadable, &mut taken).await;
        Ok(taken)
    }

    /// If this fails the leases expire and the jobs are met again; the good ones go on meanwhile.
    async fn bury(&self, queue: &QueueName, unreadable: &[Settlement], taken: &mut Taken) {
        if unreadable.is_empty() {
            return;
        }
        taken.undecodable = taken.undecodable.saturating_add(unreadable.len());
        if let Err(error) = self.settle(queue, unreadable).await {
            tracing::warn!(queue.name = %queue, %error, "unreadable jobs could not be buried yet");
        }
    }

    /// Extends leases by one [`crate::Config::lease`] from now. Answers in the order given: `false` where
    /// the lease has ended.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn renew(&self, queue: &QueueName, leases: &[LeaseRef]) -> Result<Vec<bool>, Error> {
        let script = &self.inner.scripts.renew;
        let mut held = Vec::with_capacity(leases.len());
        for batch in leases.chunks(MAX_RENEW) {
            let mut call = script.call(&self.tag(queue));
            call.arg(millis(self.config().lease));
            for lease in batch {
                call.arg(&id_bytes(lease.id)[..]).arg(lease.token);
            }
            let answers: Vec<bool> = self.run(script, &call, Some(queue), Repeat::Once).await?;
            held.extend(answers);
        }
        Ok(held)
    }
}

fn dead_of(lease: LeaseRef, error: &Error) -> Settlement {
    let failure =
        Failure { class: UNDECODABLE.to_owned(), code: "record".to_owned(), message: error.to_string() };
    Settlement { lease, outcome: Outcome::Dead { failure } }
}
