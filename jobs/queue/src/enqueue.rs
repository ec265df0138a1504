//! Putting jobs in.

use std::collections::BTreeMap;
use std::time::Duration;

use payfleet_core::job::{NewJob, QueueName};
use redis::Cmd;
use redis::aio::MultiplexedConnection;

use crate::connection::RESPONSE_TIMEOUT;
use crate::queue::{Repeat, millis, run_on};
use crate::record::{encode, id_bytes, id_from};
use crate::{Durability, Enqueued, Error, Queue};

/// Jobs in one script call; more is refused, since the script's work grows with the batch.
const MAX_BATCH: usize = 10_000;

impl Queue {
    /// Enqueues jobs and returns, in their order, what became of each. One round trip per distinct
    /// queue; the jobs of one queue are enqueued all or not at all. Returns once the configured
    /// [`Durability`] holds. Repeating it after an error is safe.
    ///
    /// # Errors
    /// [`Error::InvalidJob`] before anything is sent; [`Error::QueueFull`], [`Error::OutOfMemory`],
    /// [`Error::DurabilityShortfall`], or what Redis' state brings. Queues before the failing one
    /// have their jobs.
    pub async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
        let mut queues: BTreeMap<&QueueName, Vec<(usize, &NewJob)>> = BTreeMap::new();
        for (position, job) in jobs.iter().enumerate() {
            queues.entry(&job.queue).or_default().push((position, job));
        }
        let mut calls = Vec::with_capacity(queues.len());
        for (queue, jobs) in queues {
            calls.push((queue, self.enqueue_call(queue, &jobs)?, jobs));
        }
        let mut answers = vec![None; jobs.len()];
        for (queue, call, jobs) in calls {
            let replies = self.send_durably(queue, &call).await?;
            for ((position, job), reply) in jobs.into_iter().zip(replies) {
                if let Some(answer) = answers.get_mut(position) {
                    *answer = Some(read_answer(job, &reply)?);
                }
            }
        }
        let missing = || Error::encoding("a reply of Redis", "it has fewer answers than jobs");
        answers.into_iter().map(|answer| answer.ok_or_else(missing)).collect()
    }

    fn enqueue_call(&self, queue: &QueueName, jobs: &[(usize, &NewJob)]) -> Result<Cmd, Error> {
        let config = self.config();
        let mut call = self.inner.scripts.enqueue.call(&self.tag(queue));
        call.arg(config.max_depth).arg(millis(config.dedupe));
        for (position, job) in jobs {
            if *position >= MAX_BATCH {
                let reason = format!("a batch has at most {MAX_BATCH} jobs");
                return Err(Error::InvalidJob { id: job.id, reason });
            }
            append_job(&mut call, job)?;
        }
        Ok(call)
    }

    async fn send_durably(&self, queue: &QueueName, call: &Cmd) -> Result<Vec<Vec<u8>>, Error> {
        let script = &self.inner.scripts.enqueue;
        match self.config().durability {
            Durability::Local => self.run(script, call, Some(queue), Repeat::Once).await,
            Durability::Replicas { count, timeout } => {
                let mut connection = self.waiting_connection(timeout).await?;
                let failed = |e: redis::RedisError| Error::from_redis(&e, Some(queue));
                let replies = run_on(&mut connection, script, call).await.map_err(failed)?;
                // WAIT counts the writes of its own connection, and blocks it.
                let mut wait = redis::cmd("WAIT");
                wait.arg(count).arg(millis(timeout).max(1));
                let confirmed: u32 = wait.query_async(&mut connection).await.map_err(failed)?;
                self.give_back(connection);
                if confirmed < count {
                    return Err(Error::DurabilityShortfall { asked: count, confirmed });
                }
                Ok(replies)
            }
        }
    }

    /// A connection nobody else uses. It is given back only after success, so one that failed in
    /// any way is dropped.
    async fn waiting_connection(&self, timeout: Duration) -> Result<MultiplexedConnection, Error> {
        let idle = self.inner.waiting.lock().ok().and_then(|mut pool| pool.pop());
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let response = RESPONSE_TIMEOUT.saturating_add(timeout);
        let connected = self.inner.connector.connect(Some(response)).await;
        connected.map_err(|e| Error::from_redis(&e, None))
    }

    fn give_back(&self, connection: MultiplexedConnection) {
        const IDLE: usize = 16;
        if let Ok(mut pool) = self.inner.waiting.lock()
            && pool.len() < IDLE
        {
            pool.push(connection);
        }
    }
}

/// Appends the seven arguments of a job (insert.lua).
pub(crate) fn append_job(call: &mut Cmd, job: &NewJob) -> Result<(), Error> {
    let refuse = |reason: &str| Err(Error::InvalidJob { id: job.id, reason: reason.to_owned() });
    if job.priority > 2 {
        return refuse("its priority is not 0, 1 or 2");
    }
    let Ok(max_attempts) = u16::try_from(job.max_attempts.max(1)) else {
        return refuse("its maximal attempts are more than 65535");
    };
    let delay = millis(Duration::from_millis(job.delay_ms));
    call.arg(&id_bytes(job.id)[..]).arg(delay).arg(job.priority).arg(max_attempts);
    match &job.dedupe {
        Some(dedupe) if dedupe.key.is_empty() => return refuse("its dedupe key is empty"),
        Some(dedupe) => call.arg(&dedupe.key).arg(&dedupe.body_hash.as_bytes()[..]),
        None => call.arg("").arg(""),
    };
    call.arg(encode(job)?);
    Ok(())
}

fn read_answer(job: &NewJob, reply: &[u8]) -> Result<Enqueued, Error> {
    match reply.split_first() {
        None => Ok(Enqueued::Created(job.id)),
        Some((b'E', id)) => id_from(id).map(Enqueued::Existing),
        Some((b'X', id)) => id_from(id).map(Enqueued::Conflict),
        Some(_) => Err(Error::encoding("a reply of Redis", "an enqueue was answered in an unknown way")),
    }
}
