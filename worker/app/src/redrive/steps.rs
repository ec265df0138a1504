//! What a step of a plan decides: how a released letter ended, how many go next, when the plan stops.
//! Pure; the step itself is the `redrive` handler.
//!
//! The first letter is the canary: until one has ended well, at most one is out. Then so many a minute.

use payfleet_store::{Fate, ItemOutcome};

/// How many letters are out at most: each is looked for at every step.
pub const MOST_OUT: usize = 500;
/// Between two looks, in milliseconds, and between two releases at least.
pub const LOOK_MS: u64 = 1_000;
/// By how many the ratio goes, the last that became known: what went well long ago excuses nothing now.
pub const RATIO_OF: i64 = 50;
/// How many must have ended before their ratio means something.
const RATIO_FROM: i64 = 5;

/// What is known of a released letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is still under way.
    Open,
    /// Its job is in Redis no more and nobody has run it: Redis has lost it.
    Lost,
    /// It has ended.
    Known(ItemOutcome, String),
}

/// How a letter ended whose job is not in Redis any more.
#[must_use]
pub fn end_of(fate: &Fate) -> End {
    let died = |of: &str| End::Known(ItemOutcome::DiedAgain, of.to_owned());
    if let Some(of) = &fate.died_of {
        return died(of);
    }
    if !fate.advances {
        return End::Known(ItemOutcome::Done, "its job is over".to_owned());
    }
    match (fate.state.as_deref(), &fate.parked) {
        // A job that advances an operation makes its row before anything else.
        (None, _) => End::Lost,
        (Some("failed"), _) => End::Known(ItemOutcome::Failed, "its operation has failed".to_owned()),
        (Some("settled" | "returned" | "accepted"), None) => {
            let state = fate.state.as_deref().unwrap_or_default();
            End::Known(ItemOutcome::Done, format!("its operation is {state}"))
        }
        (Some(_), Some(_)) if fate.is_untouched => End::Lost,
        (Some(_), Some(parked)) => died(&format!("its operation stands still again: {parked}")),
        (Some(_), None) => fate.other_died_of.as_deref().map_or(End::Open, died),
    }
}

/// How many may be released now: a second's worth, the canary alone before it has ended well.
#[must_use]
pub fn batch(per_minute: i32, good: i64, out: usize, out_that_count: usize) -> usize {
    if good == 0 {
        return usize::from(out_that_count == 0);
    }
    let a_second = u32::try_from(per_minute).unwrap_or(1).div_ceil(60).max(1);
    usize::try_from(a_second).unwrap_or(MOST_OUT).min(MOST_OUT.saturating_sub(out))
}

/// When the next step is due after `released` were released.
#[must_use]
pub fn pause_ms(per_minute: i32, released: usize) -> u64 {
    let per_minute = u64::try_from(per_minute).unwrap_or(1).max(1);
    let released = u64::try_from(released).unwrap_or(u64::MAX);
    released.saturating_mul(60_000).div_ceil(per_minute).max(LOOK_MS)
}

/// Why the plan must release nothing more, if it must not. `good` is of all; of the last that became known
/// so many ended well and so many did not.
#[must_use]
pub fn stops(good: i64, (well, not_well): (i64, i64), stop_percent: i32) -> Option<String> {
    let known = well.saturating_add(not_well);
    if good == 0 && not_well > 0 {
        return Some("the canary did not end well: nothing else is released".to_owned());
    }
    let is_too_much = not_well.saturating_mul(100) > known.saturating_mul(i64::from(stop_percent));
    (known >= RATIO_FROM && is_too_much).then(|| {
        format!(
            "{not_well} of the last {known} released letters did not end well, more than {stop_percent} in 100"
        )
    })
}

#[cfg(test)]
mod tests {
    use payfleet_core::JobId;

    use super::*;

    fn fate(state: Option<&str>, parked: Option<&str>) -> Fate {
        Fate {
            job: JobId::named("test", &[]),
            advances: true,
            state: state.map(str::to_owned),
            parked: parked.map(str::to_owned),
            is_untouched: false,
            died_of: None,
            other_died_of: None,
        }
    }

    #[test]
    fn one_goes_first_and_then_a_second_s_worth_while_not_too_many_are_out() {
        assert_eq!(batch(600, 0, 0, 0), 1);
        assert_eq!(batch(600, 0, 1, 1), 0);
        assert_eq!(batch(600, 0, 7, 0), 1, "those of before a stop are no canaries");
        assert_eq!(batch(600, 1, 3, 3), 10);
        assert_eq!(batch(6, 1, 3, 3), 1);
        assert_eq!(batch(i32::MAX, 1, MOST_OUT - 2, 0), 2);
        assert_eq!(batch(600, 1, MOST_OUT, MOST_OUT), 0);
    }

    #[test]
    fn a_slow_pace_waits_for_longer_and_a_fast_one_looks_each_second() {
        assert_eq!(pause_ms(6, 1), 10_000);
        assert_eq!(pause_ms(600, 10), 1_000);
        assert_eq!(pause_ms(90, 2), 1_334);
        assert_eq!(pause_ms(90, 0), LOOK_MS);
    }

    #[test]
    fn a_canary_stops_alone_and_others_by_their_ratio() {
        assert!(stops(0, (0, 1), 100).is_some());
        assert_eq!(stops(3, (3, 1), 20), None, "four say too little");
        assert_eq!(stops(4, (4, 1), 20), None, "a fifth is not more than a fifth");
        assert!(stops(4, (4, 2), 20).is_some());
        assert!(stops(5_000, (39, 11), 20).is_some(), "many that went well before change nothing");
        assert_eq!(stops(1, (0, 50), 100), None, "whoever says so has all of them go");
        assert_eq!(stops(0, (0, 0), 0), None);
    }

    #[test]
    fn a_letter_ends_as_its_operation_does_and_is_lost_where_nobody_touched_it() {
        let known = |fate: &Fate| match end_of(fate) {
            End::Known(outcome, _) => Some(outcome),
            End::Open | End::Lost => None,
        };
        assert_eq!(known(&fate(Some("settled"), None)), Some(ItemOutcome::Done));
        assert_eq!(known(&fate(Some("accepted"), None)), Some(ItemOutcome::Done));
        assert_eq!(known(&fate(Some("failed"), None)), Some(ItemOutcome::Failed));
        assert_eq!(known(&fate(Some("retrying"), Some("attempts_exhausted"))), Some(ItemOutcome::DiedAgain));
        assert_eq!(end_of(&fate(Some("in_doubt"), None)), End::Open);
        assert_eq!(end_of(&fate(None, None)), End::Lost);
        let untouched = Fate { is_untouched: true, ..fate(Some("retrying"), Some("job_died")) };
        assert_eq!(end_of(&untouched), End::Lost);
        let again = Fate { died_of: Some("x: y".to_owned()), ..fate(Some("settled"), None) };
        assert_eq!(known(&again), Some(ItemOutcome::DiedAgain));
        let look = Fate { advances: false, ..fate(None, None) };
        assert_eq!(known(&look), Some(ItemOutcome::Done));
    }
}
