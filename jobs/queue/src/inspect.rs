//! What operators and the archiver ask and do.

use std::time::Duration;

use payfleet_core::job::{DeadJob, QueueName};
use payfleet_core::{JobId, Timestamp};
use redis::Value;

use crate::queue::{Repeat, millis};
use crate::record::{Stored, id_bytes, id_from, read_death, read_note};
use crate::reply::Fields;
use crate::scripts::Script;
use crate::{Error, JobView, Place, Queue, QueueStats};

/// Dead jobs of one read, and ids of one removal.
const MAX_DEAD: usize = 1_000;
/// A read of dead jobs stops at this many bytes of records.
const MAX_DEAD_BYTES: usize = 4 * 1024 * 1024;

/// record, history, note.
type PeekReply = (Vec<u8>, Vec<u8>, Vec<u8>);
/// id, record, history, time of death (ms), death.
type DeadReply = (Vec<u8>, Vec<u8>, Vec<u8>, i64, Vec<u8>);

impl Queue {
    /// The job and where it is; `None` if it is unknown (done, cancelled, archived, never here).
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn find(&self, queue: &QueueName, id: JobId) -> Result<Option<JobView>, Error> {
        let script = &self.inner.scripts.find;
        let reply: Vec<Value> = self.run_with_id(script, queue, id).await?;
        let mut fields = Fields::of(reply);
        let Ok(record) = fields.next::<Vec<u8>>() else {
            return Ok(None);
        };
        let history: Vec<u8> = fields.next()?;
        let deferred = read_note(&fields.next::<Vec<u8>>()?);
        let place = read_place(&mut fields)?;
        let mut job = Stored { queue, record: &record, history: &history }.decode_or_raw(id)?;
        if matches!(place, Place::Leased { .. }) {
            job.deliveries = job.deliveries.saturating_add(1);
        }
        Ok(Some(JobView { job, deferred, place }))
    }

    /// Makes a delayed job ready now; `false` if it is not delayed.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn promote(&self, queue: &QueueName, id: JobId) -> Result<bool, Error> {
        self.run_with_id(&self.inner.scripts.promote, queue, id).await
    }

    /// Removes a ready or delayed job; `false` if it is elsewhere or unknown.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn cancel(&self, queue: &QueueName, id: JobId) -> Result<bool, Error> {
        self.run_with_id(&self.inner.scripts.cancel, queue, id).await
    }

    /// Moves a ready or delayed job to a time so far from now; `false` if it is elsewhere or unknown,
    /// or suspected of ending its workers.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn reschedule(&self, queue: &QueueName, id: JobId, delay: Duration) -> Result<bool, Error> {
        let script = &self.inner.scripts.reschedule;
        let mut call = script.call(&self.tag(queue));
        call.arg(&id_bytes(id)[..]).arg(millis(delay));
        self.run(script, &call, Some(queue), Repeat::Once).await
    }

    /// Up to `max` jobs (at most 1,000, and 4 MiB) that would be handed out next, without taking them;
    /// of each lane the first. Those whose records cannot be read are left out.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn peek(&self, queue: &QueueName, max: usize) -> Result<Vec<JobView>, Error> {
        let script = &self.inner.scripts.peek;
        let mut call = script.call(&self.tag(queue));
        call.arg(max.clamp(1, MAX_DEAD)).arg(MAX_DEAD_BYTES);
        let jobs: Vec<PeekReply> = self.run(script, &call, Some(queue), Repeat::Once).await?;
        let read = |(record, history, note): &PeekReply| {
            let job = Stored { queue, record, history }.decode().ok()?;
            Some(JobView { job, deferred: read_note(note), place: Place::Ready })
        };
        Ok(jobs.iter().filter_map(read).collect())
    }

    /// The queues in numbers, in the order given. Each is read in constant time.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>, Error> {
        futures::future::try_join_all(queues.iter().map(|queue| self.stats_of(queue))).await
    }

    async fn stats_of(&self, queue: &QueueName) -> Result<QueueStats, Error> {
        let script = &self.inner.scripts.stats;
        let call = script.call(&self.tag(queue));
        let reply: Vec<Value> = self.run(script, &call, Some(queue), Repeat::Once).await?;
        let mut fields = Fields::of(reply);
        let mut stats = QueueStats {
            queue: queue.clone(),
            ready: fields.next()?,
            running: fields.next()?,
            delayed: fields.next()?,
            dead: fields.next()?,
            done: fields.next()?,
            oldest_age_ms: u64::try_from(fields.next::<i64>()?).ok(),
            paused: fields.next()?,
            suspects: fields.next()?,
            unknown: fields.next()?,
            idle_ms: u64::try_from(fields.next::<i64>()?).ok(),
            done_per_minute: fields.next()?,
            enqueued_per_minute: fields.next()?,
        };
        let over_ms: u64 = fields.next()?;
        let per_minute = |count: u64| count.saturating_mul(60_000).checked_div(over_ms).unwrap_or(0);
        stats.done_per_minute = per_minute(stats.done_per_minute);
        stats.enqueued_per_minute = per_minute(stats.enqueued_per_minute);
        Ok(stats)
    }

    /// Stops handing out the queue's jobs, fleet-wide; those at workers finish.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn pause(&self, queue: &QueueName) -> Result<(), Error> {
        self.set_paused(queue, true).await
    }

    /// Hands out the queue's jobs again.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn resume(&self, queue: &QueueName) -> Result<(), Error> {
        self.set_paused(queue, false).await
    }

    async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Error> {
        let script = &self.inner.scripts.pause;
        let mut call = script.call(&self.tag(queue));
        call.arg(u8::from(paused));
        self.run::<i64>(script, &call, Some(queue), Repeat::Once).await.map(|_| ())
    }

    /// Up to `max` dead jobs (at most 1,000, and 4 MiB), the oldest first. One whose record cannot
    /// be read is of kind `undecodable` and has the raw bytes in its payload, none if it is missing;
    /// its id is made up where its own is not known.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn dead(&self, queue: &QueueName, max: usize) -> Result<Vec<DeadJob>, Error> {
        let script = &self.inner.scripts.dead;
        let mut call = script.call(&self.tag(queue));
        call.arg(max.clamp(1, MAX_DEAD)).arg(MAX_DEAD_BYTES);
        let jobs: Vec<DeadReply> = self.run(script, &call, Some(queue), Repeat::Once).await?;
        let read = |(id, record, history, died_ms, death): &DeadReply| {
            let died_at = Timestamp::from_unix_ms(*died_ms);
            Stored { queue, record, history }.dead(id_from(id)?, died_at, death)
        };
        jobs.iter().map(read).collect()
    }

    /// Removes dead jobs once they have been archived, and says how many were there. Who died, and
    /// when ([`DeadJob::died_at`]): a job that was released meanwhile and died again is left there.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn remove_dead(&self, queue: &QueueName, dead: &[(JobId, Timestamp)]) -> Result<u64, Error> {
        let script = &self.inner.scripts.remove_dead;
        let mut removed = 0_u64;
        for batch in dead.chunks(MAX_DEAD) {
            let mut call = script.call(&self.tag(queue));
            for (id, died_at) in batch {
                call.arg(&id_bytes(*id)[..]).arg(died_at.unix_ms());
            }
            let count: u64 = self.run(script, &call, Some(queue), Repeat::Once).await?;
            removed = removed.saturating_add(count);
        }
        Ok(removed)
    }

    async fn run_with_id<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        queue: &QueueName,
        id: JobId,
    ) -> Result<T, Error> {
        let mut call = script.call(&self.tag(queue));
        call.arg(&id_bytes(id)[..]);
        self.run(script, &call, Some(queue), Repeat::Once).await
    }
}

fn read_place(fields: &mut Fields) -> Result<Place, Error> {
    let place: String = fields.next()?;
    Ok(match place.as_str() {
        "delayed" => Place::Delayed { due_at: Timestamp::from_unix_ms(fields.next()?) },
        "leased" => {
            let worker = fields.next()?;
            Place::Leased { worker, until: Timestamp::from_unix_ms(fields.next()?) }
        }
        "dead" => {
            let death: Vec<u8> = fields.next()?;
            let (died_at, failure) = read_death(&death);
            Place::Dead { failure, died_at }
        }
        _ => Place::Ready,
    })
}
