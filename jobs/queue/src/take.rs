//! Taking jobs out, and holding on to them.

use std::collections::BTreeMap;
use std::time::Duration;

use payfleet_core::Timestamp;
use payfleet_core::job::{Failure, Job, QueueName};
use redis::Cmd;

use crate::queue::{Repeat, millis};
use crate::record::{Stored, UNDECODABLE, id_in};
use crate::why::shown;
use crate::{Error, LeaseRef, Leased, Outcome, Queue, Settlement, Taken};

/// The most jobs of one take; a set of so many numbers is one block of memory in Redis.
const MAX_TAKE: usize = 500;
/// Enough for a place among them.
const PLACE_BITS: u32 = 9;
/// A take stops at this many bytes of records.
const MAX_BYTES: usize = 1024 * 1024;
/// Expired leases that one take gives back, and due jobs that it promotes: they bound its time,
/// and with every take a backlog of either still shrinks.
const REAP: usize = 128;
const PROMOTE: usize = 512;
/// A job that ended so many workers while it ran alone is dead.
const MAX_CRASHES: usize = 3;
/// Leases in one call, but for the last take's.
const MAX_RENEW: usize = 1_000;

/// When a job that only newer workers can read is offered again.
const FOREIGN: Duration = Duration::from_secs(5);

/// now, next due, paused, buried, suspects, token, (seq, record in two parts) flat, histories.
pub(crate) type Reply = (i64, i64, bool, usize, usize, u64, Vec<Vec<u8>>, Vec<Option<Vec<u8>>>);

impl Queue {
    /// Leases up to `max` jobs (at most 500, and 1 MiB) to `worker`: suspects, then smaller
    /// priorities first, first come first served within one. Jobs that became due and leases that
    /// expired are brought back first, a bounded number of each.
    ///
    /// # Errors
    /// What Redis' state brings. Jobs leased by a call whose answer got lost come back when their
    /// leases expire.
    pub async fn take(&self, queue: &QueueName, worker: &str, max: usize) -> Result<Taken, Error> {
        self.take_with(queue, worker, max, max).await
    }

    /// As [`Queue::take`], with at most so many suspects.
    pub(crate) async fn take_with(
        &self,
        queue: &QueueName,
        worker: &str,
        max: usize,
        suspects: usize,
    ) -> Result<Taken, Error> {
        let call = self.take_call(queue, worker, max, suspects);
        let reply = self.run(&self.inner.scripts.take, &call, Some(queue), Repeat::Never).await?;
        self.taken(queue, &reply).await
    }

    /// The call of the script.
    pub(crate) fn take_call(&self, queue: &QueueName, worker: &str, max: usize, suspects: usize) -> Cmd {
        let config = self.config();
        let mut call = self.inner.scripts.take.call(&self.tag(queue));
        call.arg(max.min(MAX_TAKE)).arg(millis(config.lease)).arg(worker);
        call.arg(MAX_BYTES).arg(REAP).arg(PROMOTE).arg(suspects).arg(millis(config.grace)).arg(MAX_CRASHES);
        call
    }

    /// What its reply says. Jobs that cannot be read are turned away.
    pub(crate) async fn taken(&self, queue: &QueueName, reply: &Reply) -> Result<Taken, Error> {
        let (taken, away) = read_taken(queue, reply)?;
        self.turn_away(queue, &away).await;
        Ok(taken)
    }

    /// If this fails the leases expire and the jobs are met again; the good ones go on meanwhile.
    async fn turn_away(&self, queue: &QueueName, away: &[Settlement]) {
        if away.is_empty() {
            return;
        }
        if let Err(error) = self.settle(queue, away).await {
            tracing::warn!(queue.name = %queue, %error, "jobs that are unreadable or too late could not be settled yet");
        }
    }

    /// Says that a suspect begins to run, alone in its process: if its worker ends now, that counts
    /// against the job. `false`: its lease has ended.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn start(&self, queue: &QueueName, lease: LeaseRef) -> Result<bool, Error> {
        let script = &self.inner.scripts.start;
        let mut call = script.call(&self.tag(queue));
        call.arg(take_of(lease.token)).arg(lease.seq);
        self.run(script, &call, Some(queue), Repeat::Once).await
    }

    /// Extends leases by one [`crate::Config::lease`] from now. Answers in the order given: `false` where
    /// the lease has ended. Leases that were taken together are best renewed together.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn renew(&self, queue: &QueueName, leases: &[LeaseRef]) -> Result<Vec<bool>, Error> {
        let mut tokens: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (position, lease) in leases.iter().enumerate() {
            tokens.entry(take_of(lease.token)).or_default().push(position);
        }
        let mut held = vec![true; leases.len()];
        let mut tokens = tokens.into_iter().peekable();
        while tokens.peek().is_some() {
            let script = &self.inner.scripts.renew;
            let mut call = script.call(&self.tag(queue));
            call.arg(millis(self.config().lease));
            let mut sent = Vec::new();
            while sent.len() < MAX_RENEW
                && let Some((token, positions)) = tokens.next()
            {
                call.arg(token).arg(positions.len());
                for lease in positions.iter().filter_map(|position| leases.get(*position)) {
                    call.arg(lease.seq);
                }
                sent.extend(positions);
            }
            let ended: Vec<usize> = self.run(script, &call, Some(queue), Repeat::Once).await?;
            for position in ended.into_iter().filter_map(|number| sent.get(number.checked_sub(1)?)) {
                if let Some(answer) = held.get_mut(*position) {
                    *answer = false;
                }
            }
        }
        Ok(held)
    }
}

/// The token of the job at this place of a take: unique, and growing with both. The scripts know the
/// number of the take alone, which the jobs of one take share.
fn token_of(take: u64, place: usize) -> u64 {
    (take << PLACE_BITS) | u64::try_from(place).unwrap_or(0)
}

/// The number of the take in which this token was given.
pub(crate) const fn take_of(token: u64) -> u64 {
    token >> PLACE_BITS
}

/// The jobs of a reply, and settlements for those that nobody is to run.
fn read_taken(queue: &QueueName, reply: &Reply) -> Result<(Taken, Vec<Settlement>), Error> {
    let (now, next_due, paused, buried, suspects, number, jobs, histories) = reply;
    let leased_at = Timestamp::from_unix_ms(*now);
    let mut taken = Taken {
        jobs: Vec::with_capacity(jobs.len() / 3),
        next_due_ms: u64::try_from(*next_due).ok(),
        paused: *paused,
        undecodable: *buried,
        overdue: 0,
        suspects: *suspects,
    };
    let mut away = Vec::new();
    for (place, parts) in jobs.chunks_exact(3).enumerate() {
        let [seq, head, rest] = parts else { continue };
        let record = &[&head[..], rest].concat();
        let history = histories.get(place).and_then(Option::as_deref).unwrap_or_default();
        let seq = std::str::from_utf8(seq).ok().and_then(|seq| seq.parse().ok());
        let (Some(seq), Some(id)) = (seq, id_in(record)) else {
            return Err(Error::encoding("a reply of Redis", "a job has no number or id"));
        };
        let lease = LeaseRef { id, token: token_of(*number, place), seq };
        let stored = Stored { queue, record, history };
        let outcome = match stored.decode() {
            Ok(job) if job.envelope.deadline.is_some_and(|deadline| deadline < leased_at) => {
                taken.overdue = taken.overdue.saturating_add(1);
                too_late(&job)
            }
            Ok(mut job) => {
                job.deliveries = job.deliveries.saturating_add(1);
                taken.jobs.push(Leased { job, lease, leased_at, suspect: stored.is_suspect() });
                continue;
            }
            Err(_) if stored.is_foreign() => Outcome::Unknown {
                delay: FOREIGN,
                reason: "its record has something that only a newer release knows".to_owned(),
            },
            Err(error) => {
                taken.undecodable = taken.undecodable.saturating_add(1);
                Outcome::Dead { failure: failure(UNDECODABLE, "record", error.to_string()) }
            }
        };
        away.push(Settlement { lease, outcome });
    }
    Ok((taken, away))
}

fn too_late(job: &Job) -> Outcome {
    let deadline = job.envelope.deadline.map(shown).unwrap_or_default();
    let message = format!("it was not to be started after {deadline}");
    Outcome::Dead { failure: failure("deadline", "not_started", message) }
}

fn failure(class: &str, code: &str, message: String) -> Failure {
    Failure { class: class.to_owned(), code: code.to_owned(), message }
}
