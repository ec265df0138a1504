//! How long ago an operation was claimed. A worker that stood still meanwhile (stopped, swapped out, its
//! machine asleep) knows nothing of what others have found out since, and must not send anything.

use std::time::{Duration, Instant};

use payfleet_core::OutcomeClass;
use payfleet_core::provider::CallOutcome;
use payfleet_core::{Clock, Timestamp};
use payfleet_process::SystemClock;
use payfleet_providers::gate::{NOT_NOW, NotNow};

/// What is sent leaves within this after its claim. With half a minute for the answer it has ended when the
/// call is not young any more, and others may find out about it.
const SENT_WITHIN: Duration = Duration::from_mins(1);

const STOOD_STILL: &str = "this worker stood still between its claim and its call; nothing was sent";

/// A moment, by both clocks: one does not run while a machine sleeps, the other can be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    monotonic: Instant,
    wall: Timestamp,
}

impl Since {
    pub(super) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemClock.now() }
    }

    /// How long ago that is, by the clock that says longer.
    pub(super) fn age(self) -> Duration {
        self.until(Self::now())
    }

    fn until(self, now: Self) -> Duration {
        let wall_ms = now.wall.unix_ms().saturating_sub(self.wall.unix_ms());
        let by_the_wall = Duration::from_millis(u64::try_from(wall_ms).unwrap_or(0));
        now.monotonic.saturating_duration_since(self.monotonic).max(by_the_wall)
    }

    /// Why nothing may be sent any more on the strength of a claim of this moment.
    pub(super) fn too_long(self) -> Option<NotNow> {
        too_long(self.age())
    }

    /// `age_ms`, as it was at this moment, by now.
    pub(super) fn older(self, age_ms: i64) -> i64 {
        age_ms.saturating_add(i64::try_from(self.age().as_millis()).unwrap_or(i64::MAX))
    }
}

fn too_long(age: Duration) -> Option<NotNow> {
    (age > SENT_WITHIN).then(|| NotNow { wait: Duration::ZERO, reason: STOOD_STILL.to_owned() })
}

/// How a call ended that was not made.
pub(super) fn not_sent(not_now: NotNow) -> CallOutcome {
    let class = OutcomeClass::RateLimited { retry_after_ms: Some(0) };
    CallOutcome::Failed { class, code: NOT_NOW.to_owned(), message: not_now.reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_says_longer_counts_and_one_that_was_set_back_does_not() {
        let then = Since::now();
        let later = |monotonic_s: u64, wall_ms: i64| Since {
            monotonic: then.monotonic + Duration::from_secs(monotonic_s),
            wall: Timestamp::from_unix_ms(then.wall.unix_ms() + wall_ms),
        };
        assert_eq!(then.until(later(70, 0)), Duration::from_secs(70), "stopped");
        assert_eq!(then.until(later(0, 70_000)), Duration::from_secs(70), "asleep");
        assert_eq!(then.until(later(1, -600_000)), Duration::from_secs(1), "set back");
    }

    #[test]
    fn nothing_is_sent_a_minute_after_its_claim_and_that_costs_no_attempt() {
        assert_eq!(too_long(Duration::from_secs(59)), None);
        let outcome = not_sent(too_long(Duration::from_secs(61)).unwrap());
        let CallOutcome::Failed { class, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(class, OutcomeClass::RateLimited { retry_after_ms: Some(0) });
    }
}
