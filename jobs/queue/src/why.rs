//! Why a job is where it is: one sentence of truth for whoever asks at night.

use std::fmt;
use std::time::Duration;

use payfleet_core::job::{Failure, QueueName};
use payfleet_core::{JobId, Timestamp};
use redis::Value;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use crate::limits::Limiter;
use crate::queue::Repeat;
use crate::record::{id_bytes, id_from, read_death, read_note};
use crate::reply::Fields;
use crate::{Deferral, Error, Queue};

/// So many places of a ready list are counted at most.
const COUNTED: usize = 10_000;

/// What a job waits for, and what else holds it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// What it waits for.
    #[serde(flatten)]
    pub waiting: Waiting,
    /// Its queue is paused.
    pub paused: bool,
    /// A worker gave it back because it does not know its kind or version.
    pub set_aside: bool,
    /// Why it was put off, if that was the last thing a worker did with it.
    pub deferred: Option<Deferral>,
    /// What its queue's workers are held up by, if it waits for its turn
    /// ([`crate::backend::BackendOptions::limiters`]).
    pub limited: Option<Limited>,
}

/// A limiter that grants nothing just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limited {
    /// Its name.
    pub by: String,
    /// Until when, by Redis' clock; `None`: until an operator lifts the stop.
    pub until: Option<Timestamp>,
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "waiting", rename_all = "snake_case")]
pub enum Waiting {
    /// The queue does not have it.
    Unknown,
    /// Its turn.
    Turn {
        /// Jobs before it, counted up to 10,000; `None`: more.
        behind: Option<u64>,
        /// In how many milliseconds its turn comes at the present rate, if jobs are being done.
        estimate_ms: Option<u64>,
    },
    /// Its time.
    Time {
        /// When that is.
        due_at: Timestamp,
    },
    /// Its lane.
    Lane {
        /// Which.
        lane: String,
        /// The job that holds it; `None`: jobs before it wait for their turn.
        holder: Option<JobId>,
        /// How many of the lane are before it.
        behind: u64,
    },
    /// A worker that runs it alone: its lease expired, so it may have ended its worker.
    Suspect,
    /// Nothing: it is at a worker.
    Leased {
        /// Which.
        worker: String,
        /// Since when.
        since: Timestamp,
        /// When the lease expires unless renewed.
        until: Timestamp,
    },
    /// A person: it is dead.
    Dead {
        /// What it died of.
        failure: Failure,
        /// When.
        died_at: Timestamp,
    },
}

impl Queue {
    /// Why the job is where it is. What a breaker has held up was put off by a worker, which has said so
    /// ([`Why::deferred`]).
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn why(&self, queue: &QueueName, id: JobId) -> Result<Why, Error> {
        let script = &self.inner.scripts.why;
        let mut call = script.call(&self.tag(queue));
        call.arg(&id_bytes(id)[..]).arg(COUNTED);
        let reply: Vec<Value> = self.run(script, &call, Some(queue), Repeat::Once).await?;
        let mut fields = Fields::of(reply);
        let Ok(what) = fields.next::<String>() else {
            let waiting = Waiting::Unknown;
            return Ok(Why { waiting, paused: false, set_aside: false, deferred: None, limited: None });
        };
        let waiting = read(&what, &mut fields)?;
        let (paused, set_aside): (bool, bool) = (fields.next()?, fields.next()?);
        let deferred = read_note(&fields.next::<Vec<u8>>()?);
        let (limiters, now): (String, i64) = (fields.next()?, fields.next()?);
        let limited = match waiting {
            Waiting::Turn { .. } => self.limited(&limiters, Timestamp::from_unix_ms(now)).await?,
            _ => None,
        };
        Ok(Why { waiting, paused, set_aside, deferred, limited })
    }

    /// The first of a queue's limiters that grants nothing.
    async fn limited(&self, limiters: &str, now: Timestamp) -> Result<Option<Limited>, Error> {
        for name in limiters.split_whitespace() {
            let limiter = Limiter::as_declared(self, name)?;
            let next_in = limiter.state().await?.next_in;
            if next_in.is_none_or(|wait| !wait.is_zero()) {
                let wait = |wait: Duration| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                let until = next_in.map(|next_in| now.plus_ms(wait(next_in)));
                return Ok(Some(Limited { by: limiter.name().to_owned(), until }));
            }
        }
        Ok(None)
    }
}

fn read(what: &str, fields: &mut Fields) -> Result<Waiting, Error> {
    let time = |ms: i64| Timestamp::from_unix_ms(ms);
    Ok(match what {
        "delayed" => Waiting::Time { due_at: time(fields.next()?) },
        "leased" => Waiting::Leased {
            worker: fields.next()?,
            since: time(fields.next()?),
            until: time(fields.next()?),
        },
        "dead" => {
            let (died_at, failure) = read_death(&fields.next::<Vec<u8>>()?);
            Waiting::Dead { failure, died_at }
        }
        "suspect" => Waiting::Suspect,
        "lane" => {
            let (lane, holder): (String, Vec<u8>) = (fields.next()?, fields.next()?);
            let holder = if holder.is_empty() { None } else { Some(id_from(&holder)?) };
            Waiting::Lane { lane, holder, behind: fields.next()? }
        }
        "ready" => {
            let behind = u64::try_from(fields.next::<i64>()?).ok();
            let (done, over_ms): (u64, u64) = (fields.next()?, fields.next()?);
            let estimate_ms = behind.and_then(|n| n.saturating_mul(over_ms).checked_div(done));
            Waiting::Turn { behind, estimate_ms }
        }
        other => return Err(Error::encoding("a reply of Redis", format!("a job waits for {other:?}"))),
    })
}

/// A moment as people read it.
pub(crate) fn shown(at: Timestamp) -> String {
    time::OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.waiting {
            Waiting::Unknown => {
                write!(f, "the queue does not have it: done, cancelled, archived or never here")?;
            }
            Waiting::Turn { behind: Some(0), .. } => write!(f, "it is the next one")?,
            Waiting::Turn { behind: Some(count), estimate_ms } => {
                write!(f, "it waits behind {count} jobs")?;
                if let Some(ms) = estimate_ms {
                    write!(f, ", about {:?} at the present rate", Duration::from_millis(*ms))?;
                }
            }
            Waiting::Turn { behind: None, .. } => write!(f, "it waits behind more than {COUNTED} jobs")?,
            Waiting::Time { due_at } => write!(f, "it is delayed until {}", shown(*due_at))?,
            Waiting::Lane { lane, holder: Some(holder), .. } => {
                write!(f, "its lane {lane} is held by job {holder}")?;
            }
            Waiting::Lane { lane, holder: None, behind } => {
                write!(f, "it waits behind {behind} jobs of its lane {lane}")?;
            }
            Waiting::Suspect => {
                write!(f, "its worker ended while it ran, so it waits for one that runs it alone")?;
            }
            Waiting::Leased { worker, since, until } => {
                write!(
                    f,
                    "it is at worker {worker} since {}, leased until {}",
                    shown(*since),
                    shown(*until)
                )?;
            }
            Waiting::Dead { failure, died_at } => {
                write!(f, "it is dead since {}: {} ({})", shown(*died_at), failure.message, failure.class)?;
            }
        }
        if self.paused && !matches!(self.waiting, Waiting::Dead { .. } | Waiting::Leased { .. }) {
            write!(f, "; the queue is paused")?;
        }
        if let Some(Deferral { reason, .. }) =
            self.deferred.as_ref().filter(|deferral| !deferral.reason.is_empty())
            && !matches!(self.waiting, Waiting::Leased { .. })
        {
            write!(f, "; a worker put it off: {reason}")?;
        }
        match &self.limited {
            Some(Limited { by, until: Some(until) }) => {
                write!(f, "; limited by {by} until {}", shown(*until))?;
            }
            Some(Limited { by, until: None }) => write!(f, "; an operator has stopped {by}")?,
            None => {}
        }
        if self.set_aside {
            write!(f, "; a worker gave it back, not knowing its kind or version")?;
        }
        Ok(())
    }
}
