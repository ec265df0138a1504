//! A payout: one payment to one beneficiary, on a chain or from a connected account to its bank.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::{Asked, DAY_MS, Settled, Subject, other_money};
use crate::address::Network;
use crate::ids::OperationId;
use crate::kinds::OperationKind;
use crate::ledger::Movement;
use crate::provider::{Action, Provider, Report};
use crate::{Asset, Money};

/// What a client asked to have paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// How much of what.
    pub money: Money,
    /// To whom.
    pub to: Destination,
    /// The client's own words for it, shown to people, sent to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why it is made.
    #[serde(default, skip_serializing_if = "Origin::is_manual")]
    pub origin: Origin,
}

/// Why a payout or a transfer is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A client asked for it.
    #[default]
    Manual,
    /// A client asked for it, as a bonus.
    Bonus,
    /// A schedule made it.
    Scheduled {
        /// Which operation that is.
        schedule: OperationId,
    },
    /// A distribution made it.
    Distribution {
        /// Which operation that is.
        distribution: OperationId,
    },
}

impl Origin {
    /// The name of every origin.
    pub const NAMES: [&str; 4] = ["manual", "bonus", "scheduled", "distribution"];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Bonus => "bonus",
            Self::Scheduled { .. } => "scheduled",
            Self::Distribution { .. } => "distribution",
        }
    }

    /// The operation that made it, if one did.
    #[must_use]
    pub const fn made_by(self) -> Option<OperationId> {
        match self {
            Self::Manual | Self::Bonus => None,
            Self::Scheduled { schedule: made_by } | Self::Distribution { distribution: made_by } => {
                Some(made_by)
            }
        }
    }

    pub(super) fn is_manual(&self) -> bool {
        *self == Self::Manual
    }
}

/// To whom a payout goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// To an address on a chain, by Heleket.
    Crypto {
        /// On which chain.
        network: Network,
        /// To whom.
        address: String,
    },
    /// From a connected account's balance to its own bank account or card, by Stripe.
    Bank {
        /// The operation that made the connected account.
        account: OperationId,
        /// How fast.
        speed: Speed,
    },
}

impl Destination {
    /// Whether `asset` can get there. A bank takes currencies; which, its account says.
    #[must_use]
    pub fn carries(&self, asset: Asset) -> bool {
        match self {
            Self::Crypto { network, .. } => network.carries(asset),
            Self::Bank { .. } => true,
        }
    }

    /// Who pays there.
    pub(crate) const fn provider(&self) -> Provider {
        match self {
            Self::Crypto { .. } => Provider::Heleket,
            Self::Bank { .. } => Provider::Stripe,
        }
    }

    /// On which chain it is, if on one.
    pub(crate) const fn network(&self) -> Option<Network> {
        match self {
            Self::Crypto { network, .. } => Some(*network),
            Self::Bank { .. } => None,
        }
    }

    /// The account whose bank it is.
    pub(crate) const fn subject(&self) -> Option<Subject> {
        match self {
            Self::Crypto { .. } => None,
            Self::Bank { account, .. } => Some(Subject { operation: *account, kind: OperationKind::Account }),
        }
    }

    /// In the words of the API.
    pub(crate) fn shown(&self) -> [(&'static str, Value); 2] {
        match self {
            Self::Crypto { network, address } => [("network", json!(network)), ("address", json!(address))],
            Self::Bank { account, speed } => [("account", json!(account)), ("speed", json!(speed))],
        }
    }
}

/// How fast a bank payout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// In days, to a bank account.
    Standard,
    /// In minutes, where bank or card allow it; at a fee.
    Instant,
}

impl Asked for Payout {
    fn kind(&self) -> OperationKind {
        OperationKind::Payout
    }

    fn provider(&self) -> Provider {
        self.to.provider()
    }

    fn action(&self) -> Action {
        Action::Payout
    }

    /// Chains take hours, banks some working days.
    fn polled_for_ms(&self) -> u64 {
        match self.to {
            Destination::Crypto { .. } => 3 * DAY_MS,
            Destination::Bank { .. } => 10 * DAY_MS,
        }
    }

    fn money(&self) -> Option<Money> {
        Some(self.money)
    }

    fn network(&self) -> Option<Network> {
        self.to.network()
    }

    fn origin(&self) -> Option<Origin> {
        Some(self.origin)
    }

    fn subject(&self) -> Option<Subject> {
        self.to.subject()
    }

    fn difference(&self, report: &Report) -> Option<String> {
        if let Some(difference) = other_money(self.money, report) {
            return Some(difference);
        }
        // Where a bank payout goes is the account holder's business.
        let Destination::Crypto { network, address } = &self.to else { return None };
        if let Some(said) = report.network.as_deref().filter(|name| *name != network.as_str()) {
            return Some(format!("asked for network {network}, the provider says {said}"));
        }
        let elsewhere = |destination: &str| !network.same_address(destination, address);
        if report.destination.as_deref().is_some_and(elsewhere) {
            return Some("the provider names another destination than was asked for".to_owned());
        }
        None
    }

    /// Whoever holds the money pays, the tenant's `payouts` receive. The provider's fee is not known
    /// to be ours (see docs/ledger.md), so it is not posted here.
    fn settlement(&self, settled: &Settled<'_>) -> Option<Movement> {
        let from = match self.to {
            Destination::Crypto { .. } => settled.ours_at(Provider::Heleket),
            Destination::Bank { .. } => settled.theirs_at(Provider::Stripe),
        };
        Some(Settled::moves(self.money, &from, &settled.tenants("payouts")))
    }

    /// A bank can send a payout back days after it was paid.
    fn may_return(&self) -> bool {
        matches!(self.to, Destination::Bank { .. })
    }

    /// A first payout to a bank takes up to two weeks.
    fn patience_ms(&self) -> Option<u64> {
        let days = if matches!(self.to, Destination::Bank { .. }) { 15 } else { 1 };
        DAY_MS.checked_mul(days)
    }

    fn is_listed(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        let own = [
            ("reference", json!(self.reference)),
            ("origin", json!(self.origin.name())),
            ("origin_id", json!(self.origin.made_by())),
        ];
        self.to.shown().into_iter().chain(own).collect()
    }
}
