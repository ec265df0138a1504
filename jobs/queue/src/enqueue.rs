//! Putting jobs in.

use std::collections::BTreeMap;
use std::time::Duration;

use payfleet_core::JobId;
use payfleet_core::job::{NewJob, QueueName};
use redis::Cmd;

use crate::queue::{Repeat, millis};
use crate::record::{encode, id_from};
use crate::{Config, Durability, Enqueued, Error, Queue};

/// Jobs in one call; more is refused, since the script's work grows with the batch.
pub(crate) const MAX_BATCH: usize = 10_000;

/// A job as the scripts want it.
pub(crate) struct Prepared {
    id: JobId,
    record: Vec<u8>,
    delay_ms: u64,
    /// The dedupe key, and its bucket and half of its body hash.
    dedupe: Option<(String, [u8; 18])>,
}

impl Queue {
    /// Enqueues jobs and returns, in their order, what became of each. One round trip per distinct
    /// queue, which calls made at the same time share; the jobs of one queue and call are enqueued
    /// all or not at all. Returns once the configured [`Durability`] holds. Repeating it after an
    /// error is safe.
    ///
    /// # Errors
    /// [`Error::InvalidJob`] and [`Error::InvalidArgument`] (a batch of more than 10,000) before
    /// anything is sent; [`Error::QueueFull`], [`Error::OutOfMemory`],
    /// [`Error::DurabilityShortfall`], or what Redis' state brings. Queues before the failing one
    /// have their jobs.
    pub async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
        if jobs.len() > MAX_BATCH {
            let reason = format!("a batch has at most {MAX_BATCH} jobs, not {}", jobs.len());
            return Err(Error::InvalidArgument { field: "jobs", reason });
        }
        if let [job] = jobs {
            let prepared = prepare(self.config(), job)?;
            return self.enqueue_together(&job.queue, vec![prepared]).await;
        }
        let mut queues: BTreeMap<&QueueName, (Vec<usize>, Vec<Prepared>)> = BTreeMap::new();
        for (position, job) in jobs.iter().enumerate() {
            let (positions, prepared) = queues.entry(&job.queue).or_default();
            positions.push(position);
            prepared.push(prepare(self.config(), job)?);
        }
        let mut answers = vec![None; jobs.len()];
        for (queue, (positions, prepared)) in queues {
            let replies = self.enqueue_together(queue, prepared).await?;
            for (position, reply) in positions.into_iter().zip(replies) {
                if let Some(answer) = answers.get_mut(position) {
                    *answer = Some(reply);
                }
            }
        }
        let missing = || Error::encoding("a reply of Redis", "it has fewer answers than jobs");
        answers.into_iter().map(|answer| answer.ok_or_else(missing)).collect()
    }

    /// One script call for jobs of one queue.
    pub(crate) async fn enqueue_now(
        &self,
        queue: &QueueName,
        jobs: &[Prepared],
    ) -> Result<Vec<Enqueued>, Error> {
        let config = self.config();
        let mut call = self.inner.scripts.enqueue.call(&self.tag(queue));
        call.arg(config.max_depth).arg(millis(config.dedupe));
        for job in jobs {
            job.append(&mut call);
        }
        let replies = self.send_durably(queue, &call).await?;
        if replies.len() != jobs.len() {
            return Err(Error::encoding("a reply of Redis", "it has not one answer per job"));
        }
        jobs.iter().zip(replies).map(|(job, reply)| read_answer(job.id, &reply)).collect()
    }

    async fn send_durably(&self, queue: &QueueName, call: &Cmd) -> Result<Vec<Vec<u8>>, Error> {
        let script = &self.inner.scripts.enqueue;
        match self.config().durability {
            Durability::Local => self.run(script, call, Some(queue), Repeat::Once).await,
            Durability::Replicas { count, timeout } => {
                self.run_for_replicas(script, call, queue, (count, timeout)).await
            }
        }
    }
}

/// Turns a job into what the scripts want, or says what is wrong with it.
pub(crate) fn prepare(config: &Config, job: &NewJob) -> Result<Prepared, Error> {
    if config.queues.as_ref().is_some_and(|queues| !queues.contains(&job.queue)) {
        let reason = format!("there is no queue {}", job.queue);
        return Err(Error::InvalidJob { id: job.id, field: "queue", reason });
    }
    let record = encode(job, config.strict_lanes.get(&job.kind).copied())?;
    let dedupe = job.dedupe.as_ref().map(|dedupe| {
        let mut hash = [0; 18];
        let (bucket, body) = hash.split_at_mut(2);
        bucket.copy_from_slice(&bucket_of(&dedupe.key));
        // Half of it tells one body from another as well, and every key keeps it for a day.
        body.copy_from_slice(dedupe.body_hash.as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
        (dedupe.key.clone(), hash)
    });
    Ok(Prepared { id: job.id, record, delay_ms: millis(Duration::from_millis(job.delay_ms)), dedupe })
}

impl Prepared {
    /// Appends the four arguments of a job (insert.lua).
    pub(crate) fn append(&self, call: &mut Cmd) {
        call.arg(&self.record[..]).arg(self.delay_ms);
        match &self.dedupe {
            Some((key, hash)) => call.arg(key).arg(&hash[..]),
            None => call.arg("").arg(""),
        };
    }

    pub(crate) fn size(&self) -> usize {
        self.record.len()
    }
}

/// 12 bits of the key's FNV-1a hash. All processes of a fleet must agree on it for ever.
fn bucket_of(key: &str) -> [u8; 2] {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = hash ^ (hash >> 32);
    let [.., high, low] = folded.to_be_bytes();
    [high & 15, low]
}

fn read_answer(id: JobId, reply: &[u8]) -> Result<Enqueued, Error> {
    match reply.split_first() {
        None => Ok(Enqueued::Created(id)),
        Some((b'E', id)) => id_from(id).map(Enqueued::Existing),
        Some((b'X', id)) => id_from(id).map(Enqueued::Conflict),
        Some(_) => Err(Error::encoding("a reply of Redis", "an enqueue was answered in an unknown way")),
    }
}
