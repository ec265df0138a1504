//! Schedules: jobs that come by the clock, once per tick for the whole fleet.
//!
//! A schedule belongs to the queue of its jobs, so that one script can claim a tick and enqueue its
//! job: no crash comes in between. A job's id is made of the schedule's name and the tick, so even a
//! tick that was fired twice (its record lost with Redis' last second) makes one job while it lives.
//! Which ticks are due is computed by whoever asks, from Redis' clock.
//!
//! ```no_run
//! use payfleet_core::job::{NewJob, QueueName};
//! use payfleet_queue::{Error, Missed, Overlap, Queue, Schedule};
//!
//! # async fn example(queue: Queue, report: NewJob) -> Result<(), Error> {
//! let name = report.queue.clone();
//! let nightly = Schedule {
//!     name: "nightly-report".to_owned(),
//!     cron: "30 2 * * MON-FRI".to_owned(),
//!     zone: "Africa/Lagos".to_owned(),
//!     missed: Missed::Last,
//!     overlap: Overlap::Skip,
//!     job: report,
//! };
//! queue.put_schedule(&nightly).await?;
//! // Every worker does this; each tick is fired by one of them.
//! loop {
//!     let fired = queue.fire_schedules(&name).await?;
//!     tokio::time::sleep(fired.next_in).await;
//! }
//! # }
//! ```

mod when;

use std::time::Duration;

use payfleet_core::job::{NewJob, Origin, QueueName};
use payfleet_core::{JobId, Timestamp};
use redis::Value;
use serde::{Deserialize, Serialize};

use crate::enqueue::prepare;
use crate::queue::{Repeat, millis};
use crate::reply::Fields;
use crate::{Error, Queue, keys};
pub use when::When;

/// Name, definition, last tick (ms).
type Row = (Vec<u8>, Vec<u8>, i64);

/// Ticks remembered per schedule of [`Queue::claim_tick`].
const REMEMBERED: u32 = 1_000;
/// Schedules of one queue.
const MAX_SCHEDULES: u32 = 1_000;
/// Ticks of one schedule that one call fires.
const MAX_TICKS: u32 = 1_000;
/// A tick that is fired later than this was missed.
const GRACE: Duration = Duration::from_mins(1);
/// How long to wait at most before looking again: somebody may put a new schedule.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A job that is enqueued by the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// Unique within its queue: 1 to 128 characters.
    pub name: String,
    /// Minute, hour, day of month, month, day of week; or six fields, of which the first is the
    /// second.
    pub cron: String,
    /// An IANA time zone, `Africa/Lagos`, or `UTC`.
    pub zone: String,
    /// What becomes of ticks at which no worker was there.
    pub missed: Missed,
    /// What becomes of a tick while the job of the last one lives.
    pub overlap: Overlap,
    /// What is enqueued, in whose queue the schedule is kept. Its id and delay are not used.
    pub job: NewJob,
}

/// What becomes of missed ticks: those that are more than a minute late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// The latest of the due ones is fired, the others are passed over.
    Last,
    /// Up to so many of the latest are fired, in their order; at most 1,000.
    All(u32),
}

/// What becomes of a tick while the last job is ready, delayed or at a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is fired all the same.
    Allow,
    /// It is passed over. Of several due ticks the latest is fired.
    Skip,
}

/// A schedule and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Scheduled {
    /// The schedule.
    pub schedule: Schedule,
    /// Up to when its ticks have been dealt with, by Redis' clock.
    pub done_until: Timestamp,
    /// Its next tick; `None` if there is none.
    pub next: Option<Timestamp>,
}

/// A schedule that is kept and cannot be used: another release wrote it, or it rotted. It holds up no
/// other; put it again, or remove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusableSchedule {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The schedules of a queue.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Schedules {
    /// Those that fire, by name.
    pub usable: Vec<Scheduled>,
    /// Those that do not.
    pub unusable: Vec<UnusableSchedule>,
}

/// What [`Queue::fire_schedules`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The jobs it enqueued.
    pub jobs: Vec<JobId>,
    /// Schedules that could not be used; somebody should be told.
    pub unusable: Vec<UnusableSchedule>,
    /// When to ask again: at most 10 s.
    pub next_in: Duration,
}

impl Queue {
    /// Adds a schedule, or replaces the one of its name. Its ticks count from now on; one that keeps
    /// its times keeps its place.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::InvalidJob`], or what Redis' state brings.
    pub async fn put_schedule(&self, schedule: &Schedule) -> Result<(), Error> {
        let refuse = |field, reason: String| Err(Error::InvalidArgument { field, reason });
        if !(1..=128).contains(&schedule.name.len()) {
            return refuse("name", "it must have 1 to 128 characters".to_owned());
        }
        When::parse(&schedule.cron, &schedule.zone)?;
        prepare(self.config(), &schedule.job)?;
        let definition = serde_json::to_vec(schedule).map_err(|e| Error::encoding("a schedule", e))?;
        let script = &self.inner.scripts.schedules;
        let mut call = script.call(&self.tag(&schedule.job.queue));
        call.arg("put").arg(&schedule.name).arg(format!("{} {}", schedule.cron, schedule.zone));
        call.arg(definition).arg(MAX_SCHEDULES);
        if self.run::<bool>(script, &call, Some(&schedule.job.queue), Repeat::Once).await? {
            return Ok(());
        }
        refuse("schedule", format!("a queue has at most {MAX_SCHEDULES}"))
    }

    /// Removes a schedule; `false` if there is none of this name.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn remove_schedule(&self, queue: &QueueName, name: &str) -> Result<bool, Error> {
        let script = &self.inner.scripts.schedules;
        let mut call = script.call(&self.tag(queue));
        call.arg("remove").arg(name);
        self.run(script, &call, Some(queue), Repeat::Once).await
    }

    /// The schedules of a queue.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn schedules(&self, queue: &QueueName) -> Result<Schedules, Error> {
        Ok(self.read_schedules(queue).await?.1)
    }

    /// Enqueues the jobs of all schedules of `queue` that are due. All workers may call this at the
    /// same time.
    ///
    /// # Errors
    /// [`Error::QueueFull`], [`Error::OutOfMemory`], or what Redis' state brings; what was not
    /// fired stays due.
    pub async fn fire_schedules(&self, queue: &QueueName) -> Result<Fired, Error> {
        let (now, Schedules { usable, unusable }) = self.read_schedules(queue).await?;
        let mut fired = Fired { jobs: Vec::new(), unusable, next_in: LOOK_AGAIN };
        for Scheduled { schedule, done_until, next } in usable {
            if next.is_some_and(|next| next <= now) {
                match self.fire(&schedule, done_until, now).await {
                    Ok(jobs) => fired.jobs.extend(jobs),
                    Err(error @ (Error::InvalidJob { .. } | Error::InvalidArgument { .. })) => {
                        fired
                            .unusable
                            .push(UnusableSchedule { name: schedule.name, reason: error.to_string() });
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(next) = When::parse(&schedule.cron, &schedule.zone)?.next_after(now) {
                let wait = next.unix_ms().saturating_sub(now.unix_ms());
                fired.next_in = fired.next_in.min(Duration::from_millis(u64::try_from(wait).unwrap_or(0)));
            }
        }
        Ok(fired)
    }

    /// Fires what is due of one schedule, unless another worker has done so meanwhile.
    async fn fire(&self, schedule: &Schedule, last: Timestamp, now: Timestamp) -> Result<Vec<JobId>, Error> {
        let ticks = due(schedule, last, now)?;
        let queue = &schedule.job.queue;
        let script = &self.inner.scripts.fire;
        let mut call = script.call(&self.tag(queue));
        call.arg(self.config().max_depth).arg(millis(self.config().dedupe));
        call.arg(&schedule.name).arg(last.unix_ms()).arg(now.unix_ms());
        call.arg(u8::from(schedule.overlap == Overlap::Skip));
        let mut jobs = Vec::with_capacity(ticks.len());
        for tick in ticks {
            let about = [queue.as_str().as_bytes(), schedule.name.as_bytes(), &tick.unix_ms().to_be_bytes()];
            let id = JobId::named("scheduled", &about);
            let job =
                NewJob { id, delay_ms: 0, dedupe: None, origin: Origin::Schedule, ..schedule.job.clone() };
            prepare(self.config(), &job)?.append(&mut call);
            jobs.push(id);
        }
        let reply: Vec<Value> = self.run(script, &call, Some(queue), Repeat::Never).await?;
        let was_us = Fields::of(reply).next::<u8>()? == 1;
        Ok(if was_us { jobs } else { Vec::new() })
    }

    async fn read_schedules(&self, queue: &QueueName) -> Result<(Timestamp, Schedules), Error> {
        let script = &self.inner.scripts.schedules;
        let mut call = script.call(&self.tag(queue));
        call.arg("list");
        let (now, rows): (i64, Vec<Row>) = self.run(script, &call, Some(queue), Repeat::Once).await?;
        let mut all = Schedules::default();
        for (name, definition, last) in rows {
            let done_until = Timestamp::from_unix_ms(last);
            match read_schedule(&definition, done_until) {
                Ok(scheduled) => all.usable.push(scheduled),
                Err(error) => all.unusable.push(UnusableSchedule {
                    name: String::from_utf8_lossy(&name).into_owned(),
                    reason: error.to_string(),
                }),
            }
        }
        all.usable.sort_unstable_by(|a, b| a.schedule.name.cmp(&b.schedule.name));
        all.unusable.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok((Timestamp::from_unix_ms(now), all))
    }

    /// `true` exactly once per schedule and tick for the whole fleet, for schedules that are kept
    /// elsewhere. Ticks older than the last 1,000 claimed ones are never given. A claim whose answer
    /// got lost is spent: what it starts must be found missing by other means (a job with an id
    /// derived from the tick can simply be enqueued again).
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn claim_tick(&self, schedule: &str, tick: i64) -> Result<bool, Error> {
        let script = &self.inner.scripts.claim_tick;
        let mut call = script.call(&keys::ticks(&self.config().prefix, schedule));
        call.arg(tick).arg(REMEMBERED);
        self.run(script, &call, None, Repeat::Never).await
    }
}

fn read_schedule(definition: &[u8], done_until: Timestamp) -> Result<Scheduled, Error> {
    let schedule: Schedule =
        serde_json::from_slice(definition).map_err(|e| Error::encoding("a schedule", e))?;
    let next = When::parse(&schedule.cron, &schedule.zone)?.next_after(done_until);
    Ok(Scheduled { schedule, done_until, next })
}

/// The ticks after `last` and up to `now` that are to be fired, the oldest first.
fn due(schedule: &Schedule, last: Timestamp, now: Timestamp) -> Result<Vec<Timestamp>, Error> {
    let when = When::parse(&schedule.cron, &schedule.zone)?;
    let grace = i64::try_from(GRACE.as_millis()).unwrap_or(0);
    let (since, most) = match schedule.missed {
        Missed::Skip => (last.max(now.plus_ms(grace.saturating_neg())), MAX_TICKS),
        Missed::Last => (last, 1),
        Missed::All(most) => (last, most.clamp(1, MAX_TICKS)),
    };
    let most = if schedule.overlap == Overlap::Skip { 1 } else { most };
    let mut ticks = when.before(now, since, most);
    ticks.reverse();
    Ok(ticks)
}
