//! The states. Each variant owns its data.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use serde::{Deserialize, Serialize};

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
    /// Proven: no attempt of this intent had an effect. It will be called again under the same key.
    Retrying {
        /// The open intent's number.
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
    },
    /// It did not happen and will not: a documented refusal or final failure.
    Failed {
        /// Why.
        reason: String,
    },
}

impl State {
    /// The name of every state.
    pub const NAMES: [&str; 8] =
        ["requested", "submitting", "retrying", "in_doubt", "accepted", "quarantined", "settled", "failed"];

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
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether nothing will change it any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Settled { .. } | Self::Failed { .. } => true,
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
            | Self::Settled { provider_ref } => Some(provider_ref),
            Self::Requested
            | Self::Submitting { .. }
            | Self::Retrying { .. }
            | Self::InDoubt { .. }
            | Self::Failed { .. } => None,
        }
    }
}
