//! A payout: one payment to one beneficiary.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use serde::{Deserialize, Serialize};

use crate::Money;
use crate::address::Network;
use crate::ids::{AccountId, TenantId};
use crate::ledger::Movement;
use crate::provider::{Effect, Provider, Report};

/// What a client asked to have paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// How much of what.
    pub money: Money,
    /// On which chain.
    pub network: Network,
    /// To whom.
    pub address: String,
    /// The client's own words for it, shown to people, sent to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Payout {
    /// The call that pays it.
    #[must_use]
    pub fn effect(&self) -> Effect {
        Effect::Payout { money: self.money, network: self.network, address: self.address.clone() }
    }

    /// Compares amount, asset, network and destination of a report with what was asked.
    #[must_use]
    pub fn difference(&self, report: &Report) -> Option<String> {
        if let Some(money) = report.money.filter(|money| *money != self.money) {
            return Some(format!("asked to pay {}, the provider says {money}", self.money));
        }
        if let Some(network) = report.network.as_deref().filter(|name| *name != self.network.as_str()) {
            return Some(format!("asked for network {}, the provider says {network}", self.network));
        }
        let elsewhere = |destination: &str| !self.network.same_address(destination, &self.address);
        if report.destination.as_deref().is_some_and(elsewhere) {
            return Some("the provider names another destination than was asked for".to_owned());
        }
        None
    }

    /// `provider` pays, the tenant's `payouts` receive. The provider's fee is not known to be ours
    /// (see docs/ledger.md), so it is not posted here.
    #[must_use]
    pub fn settlement(&self, tenant: &TenantId, account: &AccountId, _report: &Report) -> Movement {
        Movement::transfer(
            "settled",
            self.money.asset().code(),
            self.money.amount(),
            &format!("provider:{}:{account}", Provider::Heleket),
            &format!("payouts:{tenant}"),
        )
    }
}
