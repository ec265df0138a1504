//! The life of an operation that moves money with one call: payout and mint share it, because they
//! differ in what they ask and compare, not in how money gets safely from asked to settled.
//!
//! `plan` and `apply` are pure. An event may come early, late, twice or never; every order of
//! arrival ends in the same state, and no final state is left.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

mod apply;
mod event;
mod state;

pub use apply::{Applied, Illegal, Outcome};
pub use event::Event;
use serde::{Deserialize, Serialize};
pub use state::State;

use crate::ids::{AccountId, OperationId, TenantId};
use crate::kinds::Request;
use crate::provider::Effect;

/// An operation as a worker holds it: what was asked, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which one.
    pub id: OperationId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Our account at the provider.
    pub account: AccountId,
    /// What was asked.
    pub request: Request,
    /// How far it has come.
    pub state: State,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Save a new intent, then call the provider.
    Open {
        /// The call.
        effect: Effect,
    },
    /// Call again under the same intent: proven that nothing happened so far.
    Again {
        /// The open intent.
        intent: i32,
        /// The call.
        effect: Effect,
    },
    /// Find out what became of the open intent before anything else.
    Resolve {
        /// The open intent.
        intent: i32,
        /// The call it made.
        effect: Effect,
    },
    /// Ask the provider until it says something final.
    Confirm,
    /// Only a person can go on.
    Park {
        /// Why.
        reason: String,
    },
    /// Nothing is left to do.
    Rest,
}

/// Why an operation stands still until a person acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parked {
    /// The intent's attempts are used up; nothing happened there.
    AttemptsExhausted,
    /// Unknown whether money moved, and no automatic way to find out is left.
    InDoubt,
    /// The provider did something else than was asked.
    Quarantined,
    /// Its job died before it could do its work: a bug, or a row that cannot be read.
    JobDied,
    /// The provider refuses us (credentials, permissions); every operation there waits.
    ProviderRefusesUs,
}

impl Parked {
    /// Its name in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::InDoubt => "in_doubt",
            Self::Quarantined => "quarantined",
            Self::JobDied => "job_died",
            Self::ProviderRefusesUs => "provider_refuses_us",
        }
    }
}

impl Operation {
    /// What to do next in this state.
    #[must_use]
    pub fn plan(&self) -> Plan {
        match &self.state {
            State::Requested => Plan::Open { effect: self.request.effect() },
            State::Retrying { intent } => Plan::Again { intent: *intent, effect: self.request.effect() },
            // A claimer that finds an open intent never calls first.
            State::Submitting { intent } | State::InDoubt { intent } => {
                Plan::Resolve { intent: *intent, effect: self.request.effect() }
            }
            State::Accepted { .. } => Plan::Confirm,
            State::Quarantined { difference, .. } => Plan::Park { reason: difference.clone() },
            State::Settled { .. } | State::Failed { .. } => Plan::Rest,
        }
    }
}

#[cfg(test)]
mod tests;
