//! The fleet-wide circuit breaker.

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::Timestamp;
use redis::{Cmd, FromRedisValue};

use super::names::{Named, cut};
use super::{BreakerPolicy, BreakerState, Circuit, Forced, ForcedBreaker, Note};
use crate::queue::{Repeat, millis};
use crate::{Error, Queue, keys};

/// A circuit breaker that the whole fleet shares, by Redis' clock. Cheap to clone.
///
/// Closed, everything goes through; when too many calls in the window fail it opens, and nothing
/// does; after a while one call at a time goes through as a probe, until enough have succeeded to
/// close it or one has failed, which opens it again for longer.
#[derive(Clone, Debug)]
pub struct Breaker {
    queue: Queue,
    named: Arc<Named>,
    policy: BreakerPolicy,
}

/// The leave to make one call; [`Breaker::report`] wants it back.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "how the call ended has to be reported"]
pub struct Pass {
    /// 0 unless the call is a probe.
    probe: u64,
}

/// Whether a call may be made.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admitted(Pass),
    /// Not now: park the job, which costs it no attempt.
    Open {
        /// Until when, by Redis' clock; `None`: until an operator lifts it.
        until: Option<Timestamp>,
        /// How long that is from now.
        wait: Option<Duration>,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The other side works, whatever it answered.
    Success,
    /// It does not: no answer, or one that says so.
    Failure,
    /// The call was not made, or its end says nothing about the other side.
    Neither,
}

/// What a report has caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The breaker has opened.
    Opened,
    /// It has closed.
    Closed,
}

/// state, since (ms), reason, until (ms), openings, successes, failures, (forced, since, reason).
type StateReply = (String, i64, String, i64, u32, u64, u64, Option<(String, i64, String)>);

impl Queue {
    /// The breaker of this name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]: the name is not 1 to 128 characters of a-z, A-Z, 0-9, `_`, `-`,
    /// `.`, `:`, or the policy is out of range.
    pub fn breaker(&self, name: &str, policy: BreakerPolicy) -> Result<Breaker, Error> {
        policy.check()?;
        let named = Named::new(self, keys::Shared::Breaker, name)?;
        Ok(Breaker { queue: self.clone(), named: Arc::new(named), policy })
    }
}

impl Breaker {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.named.name
    }

    /// Whether a call may be made now.
    ///
    /// # Errors
    /// What Redis' state brings. A probe whose leave got lost that way is given up after
    /// [`BreakerPolicy::probe`].
    pub async fn admit(&self) -> Result<Admission, Error> {
        let reply: Vec<i64> = self.run(&self.call("admit"), Repeat::Never).await?;
        match *reply.as_slice() {
            [1, probe] => Ok(Admission::Admitted(Pass { probe: u64::try_from(probe).unwrap_or(0) })),
            [0, wait, until] => {
                let wait = u64::try_from(wait).ok().map(Duration::from_millis);
                let until = wait.map(|_| Timestamp::from_unix_ms(until));
                Ok(Admission::Open { until, wait })
            }
            _ => Err(Error::encoding("a reply of Redis", "an admission was answered in an unknown way")),
        }
    }

    /// Says how the call ended, `reason` for people (no payload, no secret). Reports of calls that
    /// were let through before the breaker opened change nothing any more.
    ///
    /// # Errors
    /// What Redis' state brings; a lost report is worth no more than one call.
    pub async fn report(
        &self,
        pass: Pass,
        verdict: Verdict,
        reason: &str,
    ) -> Result<Option<Transition>, Error> {
        if pass.probe == 0 && verdict == Verdict::Neither {
            return Ok(None);
        }
        let mut call = self.call("report");
        call.arg(pass.probe);
        call.arg(match verdict {
            Verdict::Success => "success",
            Verdict::Failure => "failure",
            Verdict::Neither => "neither",
        });
        call.arg(cut(reason));
        let caused: String = self.run(&call, Repeat::Never).await?;
        Ok(match caused.as_str() {
            "opened" => Some(Transition::Opened),
            "closed" => Some(Transition::Closed),
            _ => None,
        })
    }

    /// Forces it open or closed for the whole fleet, until this is lifted (`None`).
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn force(&self, to: Option<ForcedBreaker>, reason: &str) -> Result<(), Error> {
        let mut call = self.call("force");
        call.arg(match to {
            Some(ForcedBreaker::Open) => "open",
            Some(ForcedBreaker::Closed) => "closed",
            None => "",
        });
        call.arg(cut(reason));
        self.run::<i64>(&call, Repeat::Once).await.map(|_| ())
    }

    /// The breaker as it is now.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn state(&self) -> Result<BreakerState, Error> {
        let reply: StateReply = self.run(&self.call("state"), Repeat::Once).await?;
        let (state, since, reason, until, openings, successes, failures, forced) = reply;
        let circuit = match state.as_str() {
            "open" => Circuit::Open { until: Timestamp::from_unix_ms(until) },
            "half_open" => Circuit::HalfOpen,
            _ => Circuit::Closed,
        };
        let forced = forced.map(|(to, at, reason)| {
            let to = if to == "open" { ForcedBreaker::Open } else { ForcedBreaker::Closed };
            Forced { to, note: Note::from_reply((at, reason)) }
        });
        let note = (since > 0).then(|| Note::from_reply((since, reason)));
        let name = self.named.name.clone();
        Ok(BreakerState { name, circuit, note, openings, successes, failures, forced })
    }

    fn call(&self, operation: &str) -> Cmd {
        let policy = &self.policy;
        let mut call = self.queue.inner.scripts.breaker.call(&self.named.key);
        call.arg(operation).arg(millis(policy.window)).arg(policy.min_volume).arg(policy.failure_percent);
        call.arg(millis(policy.open))
            .arg(millis(policy.open_max))
            .arg(millis(policy.probe))
            .arg(policy.probes);
        call
    }

    async fn run<T: FromRedisValue>(&self, call: &Cmd, repeat: Repeat) -> Result<T, Error> {
        let answer = self.queue.run(&self.queue.inner.scripts.breaker, call, None, repeat).await;
        self.named.list(&self.queue).await;
        answer
    }
}
