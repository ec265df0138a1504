//! What a person's word adds to the life of an operation: it happened, or it never did. Author and reason
//! stay with the operation.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use serde_json::Value;

use super::{Applied, Operation, Outcome, State};
use crate::provider::{Facts, Progress, Report};

/// The facts that a person's word leaves: who has said it, and why.
pub(super) const BY_HAND: [&str; 2] = ["confirmed_by", "confirmation_reason"];

impl Operation {
    /// An order is paid, whatever we have seen; what nobody could find out has happened, as it was asked.
    pub(super) fn confirmed_by_hand(&self, author: &str, reason: &str, said: Option<&str>) -> Applied {
        let words = [author, reason].map(Value::from);
        let names = BY_HAND.map(str::to_owned);
        let words: Facts = names.into_iter().zip(words).collect();
        match (&self.state, said) {
            (State::Accepted { provider_ref, tx_hash, facts, received }, _) if self.request.is_awaited() => {
                State::Settled {
                    provider_ref: provider_ref.clone(),
                    tx_hash: tx_hash.clone(),
                    moved: *received,
                    facts: facts.clone().into_iter().chain(words).collect(),
                }
                .into()
            }
            (State::Failed { .. }, _) if self.request.is_awaited() => State::Settled {
                provider_ref: format!("by hand:{}", self.id),
                tx_hash: None,
                moved: None,
                facts: words,
            }
            .into(),
            (State::InDoubt { .. }, Some(provider_ref)) => self.happened(provider_ref, words),
            (State::Quarantined { provider_ref, .. }, said) => {
                self.happened(said.unwrap_or(provider_ref), words)
            }
            (
                State::Requested
                | State::Submitting { .. }
                | State::Retrying { .. }
                | State::InDoubt { .. }
                | State::Accepted { .. }
                | State::Settled { .. }
                | State::Returned { .. }
                | State::Failed { .. },
                _,
            ) => self.came_too_late(author, "confirmed"),
        }
    }

    /// It never happened and never will, or was undone at the provider.
    pub(super) fn denied_by_hand(&self, author: &str, reason: &str) -> Applied {
        match self.state {
            State::InDoubt { .. } | State::Quarantined { .. } => {
                self.failed(&format!("it never happened, says {author}: {reason}"))
            }
            State::Requested
            | State::Submitting { .. }
            | State::Retrying { .. }
            | State::Accepted { .. }
            | State::Settled { .. }
            | State::Returned { .. }
            | State::Failed { .. } => self.came_too_late(author, "denied"),
        }
    }

    /// As if the provider had said so.
    fn happened(&self, provider_ref: &str, words: Facts) -> Applied {
        let money = self.request.money();
        self.taken(&Report {
            money,
            facts: words,
            ..Report::of(provider_ref, Progress::Succeeded, "confirmed by hand")
        })
    }

    /// What is known by now is better than what was said before.
    fn came_too_late(&self, author: &str, what: &str) -> Applied {
        // An order that was paid meanwhile is what was said.
        if self.request.is_awaited() {
            return self.unchanged();
        }
        let discrepancy = format!("it was {what} by {author} when it was {} already", self.state.name());
        let outcome = Outcome { discrepancy: Some(discrepancy), ..Outcome::default() };
        Applied { state: self.state.clone(), outcome }
    }
}
