//! The fleet-wide limiter.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue};

use super::names::{Named, cut};
use super::{Forced, ForcedLimiter, Limit, LimiterState, Note};
use crate::queue::{Repeat, millis};
use crate::{Error, Queue, keys};

/// The longest that [`Limiter::acquire`] holds its caller.
const MAX_WAIT: Duration = Duration::from_millis(100);
/// No answer of the other side stops a fleet for longer.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// Permits of one reservation.
const MAX_RESERVE: u32 = 10_000;

/// A limiter that the whole fleet shares: GCRA in Redis, by Redis' clock. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limiter {
    queue: Queue,
    named: Arc<Named>,
    limit: Limit,
}

/// Permits that were granted. They may be used at once, or given back.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "permits that are not used should be given back"]
pub struct Reserved {
    /// How many, from none to all that were asked for.
    pub granted: u32,
    /// In how many milliseconds the next one will be granted, where fewer were granted than asked
    /// for, else 0. `None`: when an operator lifts the stop.
    pub wait_ms: Option<u64>,
    ticket: u64,
    step_us: u64,
}

/// What became of asking for one permit.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It was granted, and its time has come.
    Granted(Reserved),
    /// Not within 100 ms; ask again after this. `None`: when an operator lifts the stop.
    Later(Option<Duration>),
}

/// A permit with a time of its own.
#[derive(Debug, PartialEq, Eq)]
pub enum Booked {
    /// It was granted for this long from now (at most 100 ms), and is not to be used before.
    At(Duration, Reserved),
    /// Not within 100 ms; ask again after this. `None`: when an operator lifts the stop.
    Later(Option<Duration>),
}

/// granted, wait, ticket, microseconds per permit.
type Reply = (u32, i64, u64, u64);
/// Since when (ms), why.
type NoteReply = Option<(i64, String)>;
/// To what, since when (ms), why.
type ForcedReply = Option<(String, i64, String)>;
/// count, window (ms), burst, burst at present, step (us), factor in millionths, available, next
/// (ms), resumes (ms), lowered, set, forced.
#[rustfmt::skip]
type StateReply = (u32, u64, u32, u32, u64, u32, u32, i64, u64, NoteReply, NoteReply, ForcedReply);

impl Queue {
    /// The limiter of this name, with the limit that holds unless an operator sets another.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]: the name is not 1 to 128 characters of a-z, A-Z, 0-9, `_`, `-`,
    /// `.`, `:`, or the limit is out of range.
    pub fn limiter(&self, name: &str, limit: Limit) -> Result<Limiter, Error> {
        limit.check()?;
        let named = Named::new(self, keys::Shared::Limiter, name)?;
        Ok(Limiter { queue: self.clone(), named: Arc::new(named), limit })
    }

    /// The limiter of this name with the limit that its callers declared: for those who look at it, or
    /// change it for all.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], as for [`Queue::limiter`].
    pub fn known_limiter(&self, name: &str) -> Result<Limiter, Error> {
        Limiter::as_declared(self, name)
    }
}

impl Limiter {
    /// The limiter of this name for those who only look: with the limit that its callers declared.
    pub(crate) fn as_declared(queue: &Queue, name: &str) -> Result<Self, Error> {
        let named = Named::new(queue, keys::Shared::Limiter, name)?;
        let limit = Limit { count: 0, window: Duration::ZERO, burst: 0 };
        Ok(Self { queue: queue.clone(), named: Arc::new(named), limit })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.named.name
    }

    /// Takes up to `n` permits (at most 10,000) that may be used now.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn reserve(&self, n: u32) -> Result<Reserved, Error> {
        if n == 0 {
            return Ok(Reserved { granted: 0, wait_ms: Some(0), ticket: 0, step_us: 0 });
        }
        self.take(n.min(MAX_RESERVE), Duration::ZERO).await
    }

    /// Gives back `unused` of the permits of `reserved`. They are granted to others as far as that
    /// keeps the limit: what nobody could have used since is lost.
    ///
    /// # Errors
    /// What Redis' state brings; the permits are lost then, which makes nothing faster.
    pub async fn give_back(&self, reserved: Reserved, unused: u32) -> Result<(), Error> {
        let unused = unused.min(reserved.granted);
        if unused == 0 {
            return Ok(());
        }
        let mut call = self.call("give_back");
        call.arg(reserved.ticket).arg(reserved.step_us.saturating_mul(u64::from(unused)));
        self.run::<i64>(&call, Repeat::Never).await.map(|_| ())
    }

    /// One permit, for a call that is made as soon as this returns: waits for it if its time comes
    /// within 100 ms, else says when to ask again. Callers that wait are served in turn.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn acquire(&self) -> Result<Acquired, Error> {
        match self.book().await? {
            Booked::At(wait, permit) => {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                Ok(Acquired::Granted(permit))
            }
            Booked::Later(wait) => Ok(Acquired::Later(wait)),
        }
    }

    /// What [`Limiter::acquire`] does, without the waiting: for callers that wait in their own way.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn book(&self) -> Result<Booked, Error> {
        let reserved = self.take(1, MAX_WAIT).await?;
        let wait = reserved.wait_ms.map(Duration::from_millis);
        Ok(if reserved.granted == 1 {
            Booked::At(wait.unwrap_or_default(), reserved)
        } else {
            Booked::Later(wait)
        })
    }

    /// Says that the other side asked to slow down (a 429): the whole fleet pauses for
    /// `retry_after` (at most 1 h), then goes on at half its rate, which grows back to the full
    /// within a minute. Repetitions within a second count as one.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn lowered(&self, retry_after: Option<Duration>, reason: &str) -> Result<(), Error> {
        let pause = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let mut call = self.call("lower");
        call.arg(millis(pause)).arg(cut(reason));
        self.run::<i64>(&call, Repeat::Once).await.map(|_| ())
    }

    /// Sets another limit for the whole fleet, or (`None`) goes back to the declared one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], or what Redis' state brings.
    pub async fn set(&self, limit: Option<Limit>, reason: &str) -> Result<(), Error> {
        let mut call = self.call("set");
        match limit {
            Some(limit) => {
                limit.check()?;
                call.arg(limit.count).arg(millis(limit.window)).arg(limit.burst).arg(cut(reason));
            }
            None => {
                call.arg(0);
            }
        }
        self.run::<i64>(&call, Repeat::Once).await.map(|_| ())
    }

    /// Stops the whole fleet, or lets it go at the full rate, until this is lifted (`None`).
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn force(&self, to: Option<ForcedLimiter>, reason: &str) -> Result<(), Error> {
        let mut call = self.call("force");
        call.arg(match to {
            Some(ForcedLimiter::Stop) => "stop",
            Some(ForcedLimiter::FullRate) => "full",
            None => "",
        });
        call.arg(cut(reason));
        self.run::<i64>(&call, Repeat::Once).await.map(|_| ())
    }

    /// The limiter as it is now.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn state(&self) -> Result<LimiterState, Error> {
        let reply: StateReply = self.run(&self.call("state"), Repeat::Once).await?;
        let (
            count,
            window,
            burst,
            burst_now,
            step_us,
            factor,
            available,
            next,
            resumes,
            lowered,
            set,
            forced,
        ) = reply;
        Ok(LimiterState {
            name: self.named.name.clone(),
            limit: Limit { count, window: Duration::from_millis(window), burst },
            permits_per_s: Duration::from_micros(step_us).as_secs_f64().recip(),
            burst_now,
            percent: u8::try_from(factor / 10_000).unwrap_or(100),
            available,
            next_in: u64::try_from(next).ok().map(Duration::from_millis),
            resumes_in: Duration::from_millis(resumes),
            lowered: lowered.map(Note::from_reply),
            set: set.map(Note::from_reply),
            forced: forced.map(|(to, at, reason)| {
                let to = if to == "stop" { ForcedLimiter::Stop } else { ForcedLimiter::FullRate };
                Forced { to, note: Note::from_reply((at, reason)) }
            }),
        })
    }

    async fn take(&self, n: u32, max_wait: Duration) -> Result<Reserved, Error> {
        let mut call = self.call("reserve");
        call.arg(n).arg(millis(max_wait));
        let (granted, wait, ticket, step_us): Reply = self.run(&call, Repeat::Never).await?;
        Ok(Reserved { granted, wait_ms: u64::try_from(wait).ok(), ticket, step_us })
    }

    fn call(&self, operation: &str) -> Cmd {
        let mut call = self.queue.inner.scripts.limit.call(&self.named.key);
        call.arg(operation).arg(self.limit.count).arg(millis(self.limit.window)).arg(self.limit.burst);
        call
    }

    async fn run<T: FromRedisValue>(&self, call: &Cmd, repeat: Repeat) -> Result<T, Error> {
        let answer = self.queue.run(&self.queue.inner.scripts.limit, call, None, repeat).await;
        self.named.list(&self.queue).await;
        answer
    }
}
