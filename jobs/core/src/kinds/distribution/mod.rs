//! A distribution: a revenue split over the holders of an asset by ownership, by us or by TrovoTech.
//!
//! What we split becomes one payout a holder, or one transfer to a connected account, each an operation of
//! its own with all its guarantees. A holder gets at most one part a period. A part below the minimum is
//! not paid but carried over.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

mod payee;
mod split;

use std::collections::BTreeMap;

pub use payee::Payee;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
pub use split::{NotSplittable, split};

use super::asked::{Asked, Reservation, Settled, Standing, other_money};
use crate::Money;
use crate::address::Network;
use crate::kinds::OperationKind;
use crate::ledger::Movement;
use crate::provider::{Action, Provider, Report};

/// A revenue to be split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// The client's id of the asset that earned it.
    pub asset_id: String,
    /// The period it was earned in, in the client's words: `2026-05`.
    pub period: String,
    /// All of it.
    pub money: Money,
    /// Who splits it.
    pub by: Splitter,
}

/// Who splits a revenue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Splitter {
    /// We do, into payouts or transfers.
    Us {
        /// 1 to [`Distribution::MOST_HOLDERS`], each once.
        holders: Vec<Holder>,
        /// Parts below this are carried over to the holder's next one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<Decimal>,
        /// How many holders there are, where others follow; at most [`Distribution::MOST_IN_ALL`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_all: Option<u32>,
    },
    /// TrovoTech does, over the holders of its tokens.
    TrovoTech {
        /// The provider's ids of the tokens, each once.
        token_ids: Vec<String>,
        /// For people.
        description: String,
    },
}

/// Somebody who owns a part of the asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The client's id of them.
    pub holder: String,
    /// How much they own, in any unit that all holders share.
    pub weight: Decimal,
    /// Where they are paid.
    pub to: Payee,
}

impl Distribution {
    /// The most holders, or tokens, that one request names: more would not fit into a job.
    pub const MOST_HOLDERS: usize = 1_000;
    /// The most holders of one distribution, however many requests name them.
    pub const MOST_IN_ALL: u32 = 20_000;

    /// What a part must reach to be paid.
    #[must_use]
    pub fn minimum(&self) -> Decimal {
        match &self.by {
            Splitter::Us { minimum, .. } => minimum.unwrap_or(Decimal::ZERO),
            Splitter::TrovoTech { .. } => Decimal::ZERO,
        }
    }

    /// The kind of what pays its holders, where we do.
    #[must_use]
    pub fn part_kind(&self) -> OperationKind {
        match &self.by {
            Splitter::Us { holders, .. } => {
                holders.first().map_or(OperationKind::Payout, |holder| holder.to.kind())
            }
            Splitter::TrovoTech { .. } => OperationKind::Payout,
        }
    }

    /// The part of each of `holders`, who are all there are, in their order.
    ///
    /// # Errors
    /// [`NotSplittable`].
    pub fn parts(&self, holders: &[Holder]) -> Result<Vec<Decimal>, NotSplittable> {
        let weights: Vec<Decimal> = holders.iter().map(|holder| holder.weight).collect();
        split(self.money.amount(), &weights, self.money.asset().scale())
    }
}

/// How many holders there are, those who follow included.
fn all(holders: &[Holder], in_all: Option<u32>) -> usize {
    in_all.and_then(|count| usize::try_from(count).ok()).unwrap_or(holders.len())
}

impl Asked for Distribution {
    fn kind(&self) -> OperationKind {
        OperationKind::Distribution
    }

    fn provider(&self) -> Provider {
        match &self.by {
            // Of what it becomes.
            Splitter::Us { holders, .. } => {
                holders.first().map_or(Provider::Heleket, |holder| holder.to.provider())
            }
            Splitter::TrovoTech { .. } => Provider::TrovoTech,
        }
    }

    fn action(&self) -> Action {
        Action::Distribution
    }

    fn money(&self) -> Option<Money> {
        Some(self.money)
    }

    fn network(&self) -> Option<Network> {
        match self.by {
            Splitter::Us { .. } => None,
            Splitter::TrovoTech { .. } => Some(Network::Bantu),
        }
    }

    fn is_divided(&self) -> bool {
        matches!(self.by, Splitter::Us { .. })
    }

    fn is_added_to(&self) -> bool {
        matches!(self.by, Splitter::Us { in_all: Some(_), .. })
    }

    /// TrovoTech splits over tokens that we cannot see into: one distribution an asset and period.
    /// Ours are counted by holder.
    fn reservation(&self, _subject: Option<&Standing>) -> Option<Reservation> {
        let pool = || format!("period:{}:{}", self.asset_id, self.period);
        match self.by {
            Splitter::Us { .. } => None,
            Splitter::TrovoTech { .. } => {
                Some(Reservation { pool: pool(), amount: Decimal::ONE, whole: Decimal::ONE })
            }
        }
    }

    fn difference(&self, report: &Report) -> Option<String> {
        other_money(self.money, report)
    }

    /// What we split is posted by its payouts.
    fn settlement(&self, settled: &Settled<'_>) -> Option<Movement> {
        match self.by {
            Splitter::Us { .. } => None,
            Splitter::TrovoTech { .. } => {
                let from = settled.ours_at(Provider::TrovoTech);
                Some(Settled::moves(self.money, &from, &settled.tenants("payouts")))
            }
        }
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        let (by, over) = match &self.by {
            Splitter::Us { holders, in_all, .. } => ("payfleet", all(holders, *in_all)),
            Splitter::TrovoTech { token_ids, .. } => ("trovotech", token_ids.len()),
        };
        BTreeMap::from([
            ("asset_id", json!(self.asset_id)),
            ("period", json!(self.period)),
            ("split_by", json!(by)),
            ("holders", json!(over)),
        ])
    }
}
