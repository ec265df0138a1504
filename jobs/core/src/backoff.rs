//! Exponential backoff with full jitter: the delay is drawn evenly from zero to a ceiling that
//! doubles with each attempt. Full jitter spreads a fleet's retries better than a fixed step.

/// How the delay grows. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first delay.
    pub base_ms: u64,
    /// The ceiling no delay passes.
    pub cap_ms: u64,
}

impl Backoff {
    /// The largest delay after `attempt` failures (1 = the first).
    #[must_use]
    pub fn ceiling_ms(self, attempt: u32) -> u64 {
        let doublings = attempt.saturating_sub(1).min(63);
        self.base_ms.saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX)).min(self.cap_ms)
    }

    /// A delay after `attempt` failures, drawn evenly from 0 to the ceiling.
    #[must_use]
    pub fn delay_ms(self, attempt: u32, rng: &mut fastrand::Rng) -> u64 {
        rng.u64(0..=self.ceiling_ms(attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_never_overflows() {
        let backoff = Backoff { base_ms: 200, cap_ms: 60_000 };
        assert_eq!(backoff.ceiling_ms(1), 200);
        assert_eq!(backoff.ceiling_ms(4), 1_600);
        assert_eq!(backoff.ceiling_ms(u32::MAX), 60_000);
        let mut rng = fastrand::Rng::with_seed(7);
        for attempt in 1..200 {
            assert!(backoff.delay_ms(attempt, &mut rng) <= backoff.ceiling_ms(attempt));
        }
    }
}
