//! What a limiter and a breaker are declared with. Workers declare it in code; what an operator
//! sets at run time wins over it, for the whole fleet.

use std::time::Duration;

use serde::Serialize;

use crate::Error;

/// What the other side has published: so many calls in so long. A limiter stays at or under 0.9 of
/// it in any window of that length, bursts included, because calls arrive there less evenly than
/// they were granted here. (One call per window cannot be shared out further: it is granted whole,
/// once in 1.1 windows.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// How many calls.
    pub count: u32,
    /// In how long: 1 ms to 24 h.
    pub window: Duration,
    /// How many may be granted at once after a pause; they are taken out of `count`, so a larger
    /// burst means a lower steady rate. At least 1.
    pub burst: u32,
}

impl Limit {
    /// `count` calls a second, a tenth of them as a burst.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self::per(count, Duration::from_secs(1))
    }

    /// `count` calls in `window`, a tenth of them as a burst.
    #[must_use]
    pub const fn per(count: u32, window: Duration) -> Self {
        let tenth = count / 10;
        Self { count, window, burst: if tenth == 0 { 1 } else { tenth } }
    }

    /// The same limit with another burst.
    #[must_use]
    pub const fn with_burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        const DAY: Duration = Duration::from_hours(24);
        let refuse = |field, reason: &str| Err(Error::InvalidArgument { field, reason: reason.to_owned() });
        if !(1..=1_000_000).contains(&self.count) {
            return refuse("count", "it must be 1 to 1,000,000");
        }
        if !(Duration::from_millis(1)..=DAY).contains(&self.window) {
            return refuse("window", "it must be 1 ms to 24 h");
        }
        if self.burst == 0 || self.burst > self.count {
            return refuse("burst", "it must be 1 to count");
        }
        Ok(())
    }
}

/// What an operator may force on a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForcedLimiter {
    /// Nothing is granted.
    Stop,
    /// The full rate is granted, whatever the other side has said about slowing down.
    FullRate,
}

/// When a breaker opens, and how it finds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// How far back calls count. Default 10 s.
    pub window: Duration,
    /// It does not open on fewer calls than this in the window. Default 10.
    pub min_volume: u32,
    /// It opens when so many of a hundred calls in the window failed. Default 50.
    pub failure_percent: u8,
    /// How long it first stays open. Default 5 s.
    pub open: Duration,
    /// How long it stays open at most: each opening soon after another lasts twice as long.
    /// Default 5 min.
    pub open_max: Duration,
    /// A probe that has not reported after this is given up, and the next one is let through.
    /// Default 60 s.
    pub probe: Duration,
    /// How many probes, one after the other, must succeed to close it. Default 2.
    pub probes: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            min_volume: 10,
            failure_percent: 50,
            open: Duration::from_secs(5),
            open_max: Duration::from_mins(5),
            probe: Duration::from_mins(1),
            probes: 2,
        }
    }
}

impl BreakerPolicy {
    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |field, reason: &str| Err(Error::InvalidArgument { field, reason: reason.to_owned() });
        let range = Duration::from_millis(100)..=Duration::from_hours(24);
        if !range.contains(&self.window) {
            return refuse("window", "it must be 100 ms to 24 h");
        }
        if self.min_volume == 0 {
            return refuse("min_volume", "it must be at least 1");
        }
        if !(1..=100).contains(&self.failure_percent) {
            return refuse("failure_percent", "it must be 1 to 100");
        }
        if !range.contains(&self.open) || !range.contains(&self.open_max) || self.open > self.open_max {
            return refuse("open", "it must be 100 ms to 24 h, and at most open_max");
        }
        if !range.contains(&self.probe) {
            return refuse("probe", "it must be 100 ms to 24 h");
        }
        if self.probes == 0 {
            return refuse("probes", "it must be at least 1");
        }
        Ok(())
    }
}

/// What an operator may force on a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForcedBreaker {
    /// Nothing is let through.
    Open,
    /// Everything is let through.
    Closed,
}
