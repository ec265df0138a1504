//! Limits that a whole fleet keeps together: how often something may be called ([`Limiter`]), and
//! whether it is worth calling at all ([`Breaker`]).
//!
//! Both live in Redis under a name that the caller chooses (`mail-api:default:send`), in a slot of
//! their own, so they hold for all queues and on a Redis Cluster. Neither knows what is called.
//!
//! ```no_run
//! use payfleet_queue::limits::{Acquired, Admission, BreakerPolicy, Limit, Verdict};
//! # use payfleet_queue::{Error, Outcome, Queue};
//! # use std::time::Duration;
//! # async fn send() -> bool { true }
//! # fn defer(delay: Duration) -> Outcome { Outcome::Defer { delay, reason: "not now".to_owned() } }
//!
//! async fn handle(queue: &Queue) -> Result<Outcome, Error> {
//!     let limiter = queue.limiter("mail-api:default:send", Limit::per_second(10))?;
//!     let breaker = queue.breaker("mail-api:send", BreakerPolicy::default())?;
//!     let pass = match breaker.admit().await? {
//!         Admission::Admitted(pass) => pass,
//!         Admission::Open { wait, .. } => return Ok(defer(wait.unwrap_or(Duration::from_secs(60)))),
//!     };
//!     if let Acquired::Later(wait) = limiter.acquire().await? {
//!         breaker.report(pass, Verdict::Neither, "").await?;
//!         return Ok(defer(wait.unwrap_or(Duration::from_secs(60))));
//!     }
//!     let verdict = if send().await { Verdict::Success } else { Verdict::Failure };
//!     breaker.report(pass, verdict, "no answer").await?;
//!     Ok(Outcome::done())
//! }
//! ```

mod breaker;
mod limiter;
mod names;
mod policy;
mod state;

pub use breaker::{Admission, Breaker, Pass, Transition, Verdict};
pub use limiter::{Acquired, Booked, Limiter, Reserved};
pub use policy::{BreakerPolicy, ForcedBreaker, ForcedLimiter, Limit};
pub use state::{BreakerState, Circuit, Forced, LimiterState, Note};
