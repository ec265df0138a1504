//! What an order adds to the life of an operation: deposits, an end in time, and a person's word.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use super::{Applied, Operation, Outcome, State};
use crate::Money;
use crate::ledger::Movement;

impl Operation {
    /// A transfer to the order's address is final: the money is in the ledger whatever the order's state.
    pub(super) fn deposited(&self, transaction: &str, money: Money) -> Applied {
        let received = self.received().map_or(Some(money), |before| before.plus(money));
        // Another asset than was asked for, or more than can be held: a person's business.
        let Some(received) = received.filter(|received| self.is_asked_asset(*received)) else {
            return self.noted(transaction, money, "is of another asset than was asked for");
        };
        match &self.state {
            State::Accepted { provider_ref, facts, .. } => {
                let asked = self.request.money();
                let is_paid = asked.is_some_and(|asked| received.amount() >= asked.amount());
                let mut facts = facts.clone();
                facts.insert("received".to_owned(), received.amount().to_string().into());
                let (provider_ref, tx_hash) = (provider_ref.clone(), Some(transaction.to_owned()));
                let state = if is_paid {
                    State::Settled { provider_ref, tx_hash, moved: Some(received), facts }
                } else {
                    State::Accepted { provider_ref, tx_hash, facts, received: Some(received) }
                };
                let is_over = asked.is_some_and(|asked| received.amount() > asked.amount());
                let discrepancy =
                    (is_paid && is_over).then(|| format!("{received} was paid, more than asked"));
                let movement = Some(self.deposit(transaction, money));
                Applied { state, outcome: Outcome { movement, discrepancy, ..Outcome::default() } }
            }
            State::Settled { provider_ref, tx_hash, facts, .. } => {
                let (provider_ref, tx_hash) = (provider_ref.clone(), tx_hash.clone());
                let mut facts = facts.clone();
                facts.insert("received".to_owned(), received.amount().to_string().into());
                let state = State::Settled { provider_ref, tx_hash, moved: Some(received), facts };
                let outcome = self.noted(transaction, money, "came after the order was paid").outcome;
                Applied { state, outcome }
            }
            State::Requested
            | State::Submitting { .. }
            | State::Retrying { .. }
            | State::InDoubt { .. }
            | State::Quarantined { .. }
            | State::Returned { .. } => {
                self.noted(transaction, money, "came before its address was given out")
            }
            State::Failed { .. } => self.noted(transaction, money, "came late: the order had ended"),
        }
    }

    /// Its time is over. What was paid by then is told in the reason.
    pub(super) fn expired(&self) -> Applied {
        match self.state {
            State::Accepted { received, .. } => self.ended("expired", received),
            State::Requested
            | State::Submitting { .. }
            | State::Retrying { .. }
            | State::InDoubt { .. }
            | State::Quarantined { .. }
            | State::Settled { .. }
            | State::Returned { .. }
            | State::Failed { .. } => self.state.clone().into(),
        }
    }

    /// The client does not want it any more: only what is still ours ends by that. So is what is tried again,
    /// for it is proven that nothing has happened so far.
    pub(super) fn cancelled(&self) -> Applied {
        match self.state {
            State::Requested | State::Retrying { .. } => self.ended("cancelled", None),
            State::Accepted { .. } if self.request.is_standing() => self.ended("cancelled", None),
            State::Accepted { received, .. } if self.request.is_awaited() => {
                self.ended("cancelled", received)
            }
            State::Accepted { .. }
            | State::Submitting { .. }
            | State::InDoubt { .. }
            | State::Quarantined { .. }
            | State::Settled { .. }
            | State::Returned { .. }
            | State::Failed { .. } => self.state.clone().into(),
        }
    }

    fn ended(&self, how: &str, received: Option<Money>) -> Applied {
        let paid =
            received.map_or_else(|| "nothing was paid".to_owned(), |money| format!("{money} was paid"));
        let reason = if self.request.is_awaited() { format!("{how}; {paid}") } else { how.to_owned() };
        let discrepancy = received.map(|money| format!("{how}, and {money} was paid: too little"));
        let releases_reservation = self.reservation().is_some();
        let outcome = Outcome { discrepancy, releases_reservation, ..Outcome::default() };
        Applied { state: State::Failed { reason }, outcome }
    }

    /// The money is posted, and a person decides about it.
    fn noted(&self, transaction: &str, money: Money, what: &str) -> Applied {
        let outcome = Outcome {
            movement: Some(self.deposit(transaction, money)),
            discrepancy: Some(format!("{money} in transaction {transaction} {what}")),
            ..Outcome::default()
        };
        Applied { state: self.state.clone(), outcome }
    }

    /// From the payers to the wallet that our addresses belong to.
    fn deposit(&self, transaction: &str, money: Money) -> Movement {
        let (from, to) = (format!("deposits:{}", self.tenant), format!("wallet:{}", self.account));
        let event = format!("deposited:{transaction}");
        Movement::transfer(&event, money.asset().code(), money.amount(), &from, &to)
    }

    /// What has come in so far.
    fn received(&self) -> Option<Money> {
        match self.state {
            State::Accepted { received, .. } => received,
            State::Settled { moved, .. } => moved,
            State::Requested
            | State::Submitting { .. }
            | State::Retrying { .. }
            | State::InDoubt { .. }
            | State::Quarantined { .. }
            | State::Returned { .. }
            | State::Failed { .. } => None,
        }
    }

    fn is_asked_asset(&self, money: Money) -> bool {
        self.request.money().is_some_and(|asked| asked.asset() == money.asset())
    }
}
