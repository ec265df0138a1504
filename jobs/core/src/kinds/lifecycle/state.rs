//! The states. Each variant owns its data.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use serde::{Deserialize, Serialize};

use crate::Money;
use crate::provider::{Facts, hide_secrets};

/// How far an operation has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Known to us; nothing sent.
    Requested,
    /// The intent is saved; the call may be in flight.
    Submitting {
        /// The open intent's number.
        intent: i32,
    },
    /// Proven: no attempt had an effect. It will be called again: under the same key, or, where that
    /// key's answer is a refusal that may pass, under the next one.
    Retrying {
        /// The open intent's number; or the next one's, with none open.
        intent: i32,
    },
    /// The call may or may not have had its effect.
    InDoubt {
        /// The open intent's number.
        intent: i32,
    },
    /// The provider has it; not final there.
    Accepted {
        /// The provider's id of it.
        provider_ref: String,
        /// The transaction on the chain, once known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tx_hash: Option<String>,
        /// What the client needs to go on.
        #[serde(default, skip_serializing_if = "Facts::is_empty")]
        facts: Facts,
        /// What has come in so far, of an order; what has been owed so far, of a payout schedule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        received: Option<Money>,
    },
    /// The provider did something else than was asked. A person decides.
    Quarantined {
        /// The provider's id of it.
        provider_ref: String,
        /// What differs.
        difference: String,
    },
    /// It happened, exactly once; the ledger says so.
    Settled {
        /// The provider's id of it.
        provider_ref: String,
        /// The transaction on the chain, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tx_hash: Option<String>,
        /// What was moved, where the provider says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved: Option<Money>,
        /// What the client needs to go on.
        #[serde(default, skip_serializing_if = "Facts::is_empty")]
        facts: Facts,
    },
    /// It happened, and was taken back afterwards, as banks do; the ledger says both.
    Returned {
        /// The provider's id of it.
        provider_ref: String,
        /// Why.
        reason: String,
    },
    /// It did not happen and will not: a documented refusal or final failure.
    Failed {
        /// Why.
        reason: String,
    },
}

impl State {
    /// The name of every state.
    pub const NAMES: [&str; 9] = [
        "requested",
        "submitting",
        "retrying",
        "in_doubt",
        "accepted",
        "quarantined",
        "settled",
        "returned",
        "failed",
    ];

    /// Its name in tables, URLs and diagrams.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Submitting { .. } => "submitting",
            Self::Retrying { .. } => "retrying",
            Self::InDoubt { .. } => "in_doubt",
            Self::Accepted { .. } => "accepted",
            Self::Quarantined { .. } => "quarantined",
            Self::Settled { .. } => "settled",
            Self::Returned { .. } => "returned",
            Self::Failed { .. } => "failed",
        }
    }

    /// The same as a record holds it: without secrets.
    #[must_use]
    pub fn for_the_record(&self) -> Self {
        let mut state = self.clone();
        match &mut state {
            Self::Accepted { facts, .. } | Self::Settled { facts, .. } => hide_secrets(facts),
            Self::Requested
            | Self::Submitting { .. }
            | Self::Retrying { .. }
            | Self::InDoubt { .. }
            | Self::Quarantined { .. }
            | Self::Returned { .. }
            | Self::Failed { .. } => {}
        }
        state
    }

    /// Whether nothing is left for us to do. (A bank can still return what has settled.)
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Settled { .. } | Self::Returned { .. } | Self::Failed { .. } => true,
            Self::Requested
            | Self::Submitting { .. }
            | Self::Retrying { .. }
            | Self::InDoubt { .. }
            | Self::Accepted { .. }
            | Self::Quarantined { .. } => false,
        }
    }

    /// The provider's id of it, where the provider has given one.
    #[must_use]
    pub fn provider_ref(&self) -> Option<&str> {
        match self {
            Self::Accepted { provider_ref, .. }
            | Self::Quarantined { provider_ref, .. }
            | Self::Settled { provider_ref, .. }
            | Self::Returned { provider_ref, .. } => Some(provider_ref),
            Self::Requested
            | Self::Submitting { .. }
            | Self::Retrying { .. }
            | Self::InDoubt { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// The transaction on the chain, where one is known.
    #[must_use]
    pub fn tx_hash(&self) -> Option<&str> {
        match self {
            Self::Accepted { tx_hash, .. } | Self::Settled { tx_hash, .. } => tx_hash.as_deref(),
            Self::Requested
            | Self::Submitting { .. }
            | Self::Retrying { .. }
            | Self::InDoubt { .. }
            | Self::Quarantined { .. }
            | Self::Returned { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// What was moved, where it has settled and the provider says how much.
    #[must_use]
    pub const fn moved(&self) -> Option<Money> {
        match self {
            Self::Settled { moved, .. } => *moved,
            Self::Requested
            | Self::Submitting { .. }
            | Self::Retrying { .. }
            | Self::InDoubt { .. }
            | Self::Accepted { .. }
            | Self::Quarantined { .. }
            | Self::Returned { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// What the client needs to go on, by our names.
    #[must_use]
    pub const fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Accepted { facts, .. } | Self::Settled { facts, .. } => Some(facts),
            Self::Requested
            | Self::Submitting { .. }
            | Self::Retrying { .. }
            | Self::InDoubt { .. }
            | Self::Quarantined { .. }
            | Self::Returned { .. }
            | Self::Failed { .. } => None,
        }
    }
}
