//! What an outcome means for money: the four classes every error that can leave a handler is in.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use serde::{Deserialize, Serialize};

/// The longest pause a provider can ask of us; a longer `Retry-After` is cut to this.
pub const LONGEST_RETRY_AFTER_MS: u64 = 3_600_000;

/// What is known about money after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// Proven: nothing happened there. May be tried again on our schedule; costs an attempt.
    Retryable,
    /// Answered "not executed, slow down". Costs no attempt.
    RateLimited {
        /// How long the provider asked us to wait, in milliseconds, if it said.
        retry_after_ms: Option<u64>,
    },
    /// A documented refusal: trying again unchanged is pointless.
    Terminal,
    /// Money may have moved. Only a look-up, the same key inside its window, the same signed bytes,
    /// or a person can tell.
    Ambiguous,
}

impl OutcomeClass {
    /// The class as a label for logs, metrics and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::RateLimited { .. } => "rate_limited",
            Self::Terminal => "terminal",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// Implemented by every error that can leave a handler.
pub trait Classify {
    /// What this error says about money.
    fn class(&self) -> OutcomeClass;
}
