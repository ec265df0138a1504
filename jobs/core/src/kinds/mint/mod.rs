//! A mint: a share of a real-world asset, as a token in an investor's custodial wallet.
//!
//! The shares of one asset never pass 100 %. That cannot be checked here: it is a reservation that
//! the store makes together with the intent.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::{Asked, Reservation, Settled, Standing};
use crate::Money;
use crate::address::Network;
use crate::kinds::OperationKind;
use crate::ledger::Movement;
use crate::money::{AmountError, parse_plain_decimal};
use crate::provider::{Action, Provider, Report};

/// What kind of thing is shared. The provider's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssetType {
    /// An electric vehicle.
    #[serde(rename = "EV")]
    Ev,
    /// A battery.
    Battery,
    /// A battery-swap cabinet.
    SwapCabinet,
    /// A biogas site.
    BiogasSite,
}

/// A percentage above 0 and up to 100, with at most four decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(Decimal);

/// Why a percentage was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// Not a number as we write them.
    #[error("{0}")]
    NotADecimal(#[from] AmountError),
    /// Out of range.
    #[error("must be above 0, at most 100, with at most 4 decimals")]
    OutOfRange,
}

impl Percent {
    /// How many decimals a percentage may have.
    pub const SCALE: u32 = 4;

    /// The number, in percent.
    #[must_use]
    pub const fn value(self) -> Decimal {
        self.0
    }
}

impl TryFrom<String> for Percent {
    type Error = PercentError;

    fn try_from(text: String) -> Result<Self, PercentError> {
        let value = parse_plain_decimal(&text)?.normalize();
        let in_range = value > Decimal::ZERO && value <= Decimal::ONE_HUNDRED;
        if in_range && value.scale() <= Self::SCALE { Ok(Self(value)) } else { Err(PercentError::OutOfRange) }
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        percent.0.to_string()
    }
}

/// What the provider records about the asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetMetadata {
    /// The asset's name.
    pub name: String,
    /// Its model or make.
    #[serde(rename = "type")]
    pub model: String,
    /// `YYYY-MM-DD`.
    pub purchase_date: String,
    /// A decimal string.
    pub purchase_price: String,
    /// Years it is expected to serve.
    pub lifespan_years: u16,
}

/// A share to be minted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The client's id of the asset; shares of one asset sum to at most 100 %.
    pub asset_id: String,
    /// What kind of thing it is.
    pub asset_type: AssetType,
    /// What the provider records about it.
    pub metadata: AssetMetadata,
    /// The investor's wallet on Bantu.
    pub wallet: String,
    /// How much of the asset.
    pub percent: Percent,
    /// What the investor paid for it.
    pub invested: Money,
}

impl Asked for Share {
    fn kind(&self) -> OperationKind {
        OperationKind::Mint
    }

    fn provider(&self) -> Provider {
        Provider::TrovoTech
    }

    fn action(&self) -> Action {
        Action::Mint
    }

    fn money(&self) -> Option<Money> {
        Some(self.invested)
    }

    fn network(&self) -> Option<Network> {
        Some(Network::Bantu)
    }

    /// The shares of one asset, the whole of which is 100 %.
    fn reservation(&self, _subject: Option<&Standing>) -> Option<Reservation> {
        Some(Reservation { pool: self.unit(), amount: self.percent.value(), whole: Decimal::ONE_HUNDRED })
    }

    fn difference(&self, report: &Report) -> Option<String> {
        (report.destination.as_deref().is_some_and(|wallet| wallet != self.wallet))
            .then(|| "the provider names another wallet than was asked for".to_owned())
    }

    /// Issues the share: from the asset's `issued` account to its `held` account, in percent.
    fn settlement(&self, settled: &Settled<'_>) -> Option<Movement> {
        let (from, to) = (settled.tenants("shares:issued"), settled.tenants("shares:held"));
        Some(Movement::transfer("settled", &self.unit(), self.percent.value(), &from, &to))
    }

    fn is_listed(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("network", json!(Network::Bantu)),
            ("asset_id", json!(self.asset_id)),
            ("asset_type", json!(self.asset_type)),
            ("asset_metadata", json!(self.metadata)),
            ("investor_wallet", json!(self.wallet)),
            ("fraction_owned", json!(self.percent)),
        ])
    }
}

impl Share {
    fn unit(&self) -> String {
        format!("share:{}", self.asset_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_outside_of_the_range_are_refused() {
        for bad in ["0", "100.0001", "101", "-1", "0.00001", "ten"] {
            assert!(Percent::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        for good in ["100", "0.0001", "12.50"] {
            assert!(Percent::try_from(good.to_owned()).is_ok(), "{good}");
        }
    }
}
