//! Double entry: a movement is a set of postings that sum to zero per unit. Built only through
//! [`Movement::transfer`] and [`Movement::new`], so an unbalanced one cannot exist; Postgres checks
//! it again with a deferred constraint.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One line of a movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// The account, such as `provider:heleket:default`. docs/ledger.md lists them.
    pub account: String,
    /// What is counted: an asset's code, or `share:ASSET` for percentages of an asset.
    pub unit: String,
    /// Positive: the account receives.
    pub amount: Decimal,
}

/// A ledger transaction. Exists once per (operation, event).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    event: String,
    postings: Vec<Posting>,
}

/// The postings do not sum to zero in this unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the postings of movement {event} do not sum to zero in {unit}")]
pub struct Unbalanced {
    event: String,
    unit: String,
}

impl Movement {
    /// `amount` of `unit` from one account to another.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "negating a Decimal flips its sign and cannot overflow"
    )]
    pub fn transfer(event: &str, unit: &str, amount: Decimal, from: &str, to: &str) -> Self {
        let posting =
            |account: &str, amount| Posting { account: account.to_owned(), unit: unit.to_owned(), amount };
        Self { event: event.to_owned(), postings: vec![posting(from, -amount), posting(to, amount)] }
    }

    /// A movement of several postings.
    ///
    /// # Errors
    /// [`Unbalanced`] names the unit that does not sum to zero.
    pub fn new(event: &str, postings: Vec<Posting>) -> Result<Self, Unbalanced> {
        let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
        for posting in &postings {
            let sum = sums.entry(&posting.unit).or_default();
            // An overflow is no balance either.
            *sum = sum.checked_add(posting.amount).unwrap_or(Decimal::MAX);
        }
        if let Some((unit, _)) = sums.iter().find(|(_, sum)| !sum.is_zero()) {
            return Err(Unbalanced { event: event.to_owned(), unit: (*unit).to_owned() });
        }
        Ok(Self { event: event.to_owned(), postings })
    }

    /// The same the other way round, recording `event`.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "negating a Decimal flips its sign and cannot overflow"
    )]
    pub fn reversed(mut self, event: &str) -> Self {
        event.clone_into(&mut self.event);
        for posting in &mut self.postings {
            posting.amount = -posting.amount;
        }
        self
    }

    /// The event it records, unique within its operation: `settled`, `returned`.
    #[must_use]
    pub fn event(&self) -> &str {
        &self.event
    }

    /// Its lines.
    #[must_use]
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_that_does_not_balance_in_one_unit_cannot_be_built() {
        let posting = |unit: &str, amount: i64| Posting {
            account: "a".to_owned(),
            unit: unit.to_owned(),
            amount: amount.into(),
        };
        let balanced = vec![posting("USD", 5), posting("USD", -5), posting("EUR", 1), posting("EUR", -1)];
        assert!(Movement::new("settled", balanced).is_ok());
        assert!(Movement::new("settled", vec![posting("USD", 5), posting("EUR", -5)]).is_err());
    }
}
