//! The life of an operation: one call at a provider under one key. All kinds share it, because they
//! differ in what they ask and compare, not in how money gets safely from asked to settled.
//!
//! `plan` and `apply` are pure. An event may come early, late, twice or never; every order of
//! arrival ends in the same state, and no final state is left.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

mod afterwards;
mod answers;
mod apply;
mod by_hand;
mod event;
mod incoming;
mod standing;
mod state;

pub use apply::{Applied, Illegal, Outcome};
pub use event::Event;
use serde::{Deserialize, Serialize};
pub use state::State;

use crate::ids::{AccountId, OperationId, TenantId};
use crate::kinds::{NewOperation, Request, Reservation, Standing};
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
    /// The address that is allotted to it, where it needs one and has it.
    pub address: Option<String>,
    /// How far what it builds on has come, where it builds on something that is known.
    pub subject: Option<Standing>,
    /// How far it has come.
    pub state: State,
}

impl Operation {
    /// One that was asked for, and of which nothing else is known yet.
    #[must_use]
    pub fn asked(id: OperationId, first: &NewOperation) -> Self {
        Self {
            id,
            tenant: first.tenant.clone(),
            account: first.account.clone(),
            request: first.request.clone(),
            address: None,
            subject: None,
            state: State::Requested,
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Save a new intent, then call the provider.
    Open {
        /// The call.
        effect: Effect,
    },
    /// Call again: proven that nothing happened so far.
    Again {
        /// The open intent, or the next one where the provider has refused the last for good.
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
    /// Allot an address to it.
    Allot,
    /// Wait for what comes in, until its time is over.
    Await {
        /// How long it has from its beginning, in milliseconds.
        lifetime_ms: u64,
    },
    /// Turn it into operations of its own.
    Divide,
    /// See whether all that it became have ended.
    Gather,
    /// Pay what is owed if a moment of its schedule has come, and wait for the next.
    Tick,
    /// What it builds on has not come far enough.
    Wait {
        /// Whether there is such a thing at all, as far as we know.
        known: bool,
    },
    /// Our own rules forbid it.
    Refuse {
        /// Which rule.
        reason: String,
    },
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
    /// The provider has had it for long without saying anything final, and is not asked any more.
    NotFinal,
    /// Nobody has heard of what it builds on. Nothing was sent.
    SubjectUnknown,
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
            Self::NotFinal => "not_final",
            Self::SubjectUnknown => "subject_unknown",
        }
    }
}

/// What an operation builds on, as far as it concerns us.
enum Ground {
    /// Nothing, or something whose id at the provider is known.
    Firm(Option<String>),
    /// Something that is still on its way.
    NotYet,
    /// Something that will never carry it.
    Never(String),
}

impl Operation {
    /// What to do next in this state.
    #[must_use]
    pub fn plan(&self) -> Plan {
        match &self.state {
            State::Requested if self.request.is_divided() => Plan::Divide,
            State::Requested if self.request.is_awaited() && self.address.is_none() => Plan::Allot,
            State::Accepted { .. } if self.request.is_awaited() => {
                Plan::Await { lifetime_ms: self.request.lifetime_ms() }
            }
            State::Accepted { .. } if self.request.is_divided() => Plan::Gather,
            State::Accepted { .. } if self.request.is_standing() => Plan::Tick,
            State::Requested => match self.ground() {
                Ground::Firm(_) if self.request.is_standing() => Plan::Tick,
                Ground::Firm(on) => match self.objection() {
                    Some(reason) => Plan::Refuse { reason },
                    None => Plan::Open { effect: self.effect(on) },
                },
                Ground::NotYet => Plan::Wait { known: self.subject.is_some() },
                Ground::Never(reason) => Plan::Refuse { reason },
            },
            State::Retrying { intent } => Plan::Again { intent: *intent, effect: self.effect(self.on()) },
            // A claimer that finds an open intent never calls first.
            State::Submitting { intent } | State::InDoubt { intent } => {
                Plan::Resolve { intent: *intent, effect: self.effect(self.on()) }
            }
            State::Accepted { .. } => Plan::Confirm,
            State::Quarantined { difference, .. } => Plan::Park { reason: difference.clone() },
            State::Settled { .. } | State::Returned { .. } | State::Failed { .. } => Plan::Rest,
        }
    }

    /// What must be set aside with the intent.
    #[must_use]
    pub fn reservation(&self) -> Option<Reservation> {
        self.request.reservation(self.subject.as_ref())
    }

    fn objection(&self) -> Option<String> {
        self.request.objection(self.subject.as_ref()?)
    }

    fn effect(&self, on: Option<String>) -> Effect {
        Effect { asked: self.request.clone(), on }
    }

    /// What it builds on: an address, or the provider's id of something.
    fn on(&self) -> Option<String> {
        if self.address.is_some() {
            return self.address.clone();
        }
        self.subject.as_ref()?.provider_ref.clone()
    }

    fn ground(&self) -> Ground {
        let Some(needed) = self.request.subject() else { return Ground::Firm(self.address.clone()) };
        let Some(subject) = &self.subject else { return Ground::NotYet };
        // What belongs to somebody else does not exist.
        if subject.kind != needed.kind || subject.tenant != self.tenant {
            return Ground::Never(format!("there is no {} with the id that was given", needed.kind));
        }
        match &subject.state {
            State::Settled { provider_ref, .. } => Ground::Firm(Some(provider_ref.clone())),
            State::Accepted { provider_ref, .. } if !self.request.needs_settled_subject() => {
                Ground::Firm(Some(provider_ref.clone()))
            }
            State::Failed { reason } | State::Returned { reason, .. } => {
                Ground::Never(format!("the {} it is about has failed: {reason}", needed.kind))
            }
            State::Requested
            | State::Submitting { .. }
            | State::Retrying { .. }
            | State::InDoubt { .. }
            | State::Accepted { .. }
            | State::Quarantined { .. } => Ground::NotYet,
        }
    }
}

#[cfg(test)]
mod tests;
