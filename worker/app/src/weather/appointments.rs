//! When those who were turned away are to come back. If all came back for the next free place, one
//! would get it and all others would have come for nothing, over and over: so each is told a time of
//! its own, as far apart as calls may follow each other.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use payfleet_providers::published::Rate;
use tokio::time::Instant;

/// Nobody is sent away for longer than this beyond the first free place: limits change.
const FARTHEST: Duration = Duration::from_mins(1);

/// The times that were given out by this process.
#[derive(Debug)]
pub(super) struct Appointments {
    step: Duration,
    next: Mutex<Instant>,
}

impl Appointments {
    /// One every so often that `rate` is used up.
    pub(super) fn new(rate: Rate) -> Self {
        let step = rate.window.checked_div(rate.count).unwrap_or(rate.window);
        Self { step, next: Mutex::new(Instant::now()) }
    }

    /// How long to wait from `now`, where there is a free place in `wait`.
    pub(super) fn after(&self, wait: Duration, now: Instant) -> Duration {
        let first = now + wait;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = (*next).max(first);
        if at > first + FARTHEST {
            // Round again, between those who were told so before.
            at = first + self.step / 2;
        }
        *next = at + self.step;
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_a_time_of_its_own() {
        let (appointments, now) = (Appointments::new(Rate::per_second(10)), Instant::now());
        let wait = Duration::from_millis(30);
        let told: Vec<u128> = (0..3).map(|_| appointments.after(wait, now).as_millis()).collect();
        assert_eq!(told, [30, 130, 230]);
        let later = now + Duration::from_secs(5);
        assert_eq!(appointments.after(wait, later), wait, "what has passed is forgotten");
    }

    #[test]
    fn nobody_is_sent_away_for_much_more_than_a_minute() {
        let (appointments, now) = (Appointments::new(Rate::per_second(1)), Instant::now());
        let longest = (0..1_000).map(|_| appointments.after(Duration::ZERO, now)).max();
        assert!(longest.is_some_and(|longest| longest <= FARTHEST + Duration::from_secs(1)), "{longest:?}");
    }
}
