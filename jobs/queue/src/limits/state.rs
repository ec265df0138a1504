//! What operators see of limiters and breakers.

use std::time::Duration;

use payfleet_core::Timestamp;
use serde::Serialize;

use super::{ForcedBreaker, ForcedLimiter, Limit};

/// Why, and since when by Redis' clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
}

impl Note {
    /// From milliseconds and text.
    pub(super) fn from_reply((since, reason): (i64, String)) -> Self {
        Self { since: Timestamp::from_unix_ms(since), reason }
    }
}

/// What an operator has forced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forced<T> {
    /// What it is forced to.
    pub to: T,
    /// Why, and since when.
    #[serde(flatten)]
    pub note: Note,
}

/// A limiter as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimiterState {
    /// Its name.
    pub name: String,
    /// The limit in force.
    pub limit: Limit,
    /// Permits a second that are granted at present, once the burst is used up.
    pub permits_per_s: f64,
    /// Permits granted at once after a pause at present.
    pub burst_now: u32,
    /// How much of the full rate is granted at present, 0 to 100.
    pub percent: u8,
    /// Permits that would be granted at once.
    pub available: u32,
    /// When the next one is granted; `None` while it is stopped.
    pub next_in: Option<Duration>,
    /// Nothing is granted for so long, because the other side said so.
    pub resumes_in: Duration,
    /// The other side has asked to slow down and it has not fully recovered: the last reason, and
    /// since when.
    pub lowered: Option<Note>,
    /// The limit was set by an operator.
    pub set: Option<Note>,
    /// What an operator has forced.
    pub forced: Option<Forced<ForcedLimiter>>,
}

/// The three states of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "circuit", rename_all = "snake_case")]
pub enum Circuit {
    /// Calls go through.
    Closed,
    /// None goes through.
    Open {
        /// Until when, by Redis' clock.
        until: Timestamp,
    },
    /// One call at a time goes through, to see.
    HalfOpen,
}

/// A breaker as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerState {
    /// Its name.
    pub name: String,
    /// Its state, but for what is forced.
    #[serde(flatten)]
    pub circuit: Circuit,
    /// Since when and why; `None`: it has never opened.
    pub note: Option<Note>,
    /// How often it has opened without staying closed in between.
    pub openings: u32,
    /// Calls that succeeded within the window.
    pub successes: u64,
    /// Calls that failed within the window.
    pub failures: u64,
    /// What an operator has forced.
    pub forced: Option<Forced<ForcedBreaker>>,
}
