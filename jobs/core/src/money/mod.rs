//! Exact money: a decimal and the asset it is of. Never a float; on the wire a string.
//!
//! A provider's own encoding (minor units, decimal string, JSON number) lives in that provider's
//! folder; here is only the amount and the rule that it fits its asset's scale.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

mod asset;

use std::fmt;
use std::str::FromStr;

pub use asset::{Asset, UnknownAsset};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The longest amount that is parsed at all: more digits than any asset can hold.
const LONGEST_AMOUNT: usize = 40;

/// An amount of one asset, with at most as many decimals as the asset has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Money {
    amount: Decimal,
    asset: Asset,
}

/// Why an amount was refused. Says what to send instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal number.
    #[error("must be a plain decimal string such as \"15.50\", without sign, exponent or spaces")]
    NotADecimal,
    /// Zero.
    #[error("must be greater than zero")]
    NotPositive,
    /// More decimals than the asset has.
    #[error("{asset} has {scale} decimals, this amount has {given}")]
    TooPrecise {
        /// The asset asked for.
        asset: Asset,
        /// How many decimals it has.
        scale: u32,
        /// How many the amount has.
        given: u32,
    },
    /// More digits than can be held exactly.
    #[error("is larger than can be held exactly (28 digits)")]
    TooLarge,
}

impl Money {
    /// An amount that came from our own arithmetic or a provider; may be zero or negative.
    ///
    /// # Errors
    /// [`AmountError::TooPrecise`] where the asset cannot hold it.
    pub fn new(amount: Decimal, asset: Asset) -> Result<Self, AmountError> {
        let amount = amount.normalize();
        if amount.scale() > asset.scale() {
            return Err(AmountError::TooPrecise { asset, scale: asset.scale(), given: amount.scale() });
        }
        Ok(Self { amount, asset })
    }

    /// A positive amount from the text a client or provider sent: digits, optionally a point and
    /// more digits. No sign, exponent, thousands mark or space.
    ///
    /// # Errors
    /// [`AmountError`], which names what is wrong with it.
    pub fn parse_positive(text: &str, asset: Asset) -> Result<Self, AmountError> {
        let money = Self::new(parse_plain_decimal(text)?, asset)?;
        if money.amount.is_zero() { Err(AmountError::NotPositive) } else { Ok(money) }
    }

    /// Both together; `None` where they are of different assets or more than can be held.
    #[must_use]
    pub fn plus(&self, other: Self) -> Option<Self> {
        let is_same = self.asset == other.asset;
        let amount = self.amount.checked_add(other.amount).filter(|_| is_same)?;
        Self::new(amount, self.asset).ok()
    }

    /// The amount in units of the asset.
    #[must_use]
    pub const fn amount(&self) -> Decimal {
        self.amount
    }

    /// The asset.
    #[must_use]
    pub const fn asset(&self) -> Asset {
        self.asset
    }
}

/// Reads digits, optionally followed by a point and digits.
///
/// # Errors
/// [`AmountError::NotADecimal`] or [`AmountError::TooLarge`].
pub fn parse_plain_decimal(text: &str) -> Result<Decimal, AmountError> {
    if text.len() > LONGEST_AMOUNT {
        return Err(AmountError::TooLarge);
    }
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return Err(AmountError::NotADecimal);
    }
    Decimal::from_str_exact(text).map_err(|_| AmountError::TooLarge)
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.asset)
    }
}

/// `{"amount": "15.5", "asset": "USDT"}`.
#[derive(Serialize, Deserialize)]
struct Wire {
    amount: String,
    asset: Asset,
}

impl From<Money> for Wire {
    fn from(money: Money) -> Self {
        Self { amount: money.amount.to_string(), asset: money.asset }
    }
}

impl TryFrom<Wire> for Money {
    type Error = AmountError;

    fn try_from(wire: Wire) -> Result<Self, AmountError> {
        let amount = Decimal::from_str(&wire.amount).map_err(|_| AmountError::NotADecimal)?;
        Self::new(amount, wire.asset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usdt() -> Asset {
        "USDT".parse().unwrap()
    }

    #[test]
    fn amounts_that_are_not_plain_positive_decimals_are_refused() {
        for bad in ["", "-1", "+1", "1e3", "1,5", " 1", "1 ", ".5", "5.", "0x1", "NaN", "１"] {
            assert_eq!(Money::parse_positive(bad, usdt()), Err(AmountError::NotADecimal), "{bad:?}");
        }
        assert_eq!(Money::parse_positive("0.00", usdt()), Err(AmountError::NotPositive));
        assert!(matches!(
            Money::parse_positive("1.1234567", usdt()),
            Err(AmountError::TooPrecise { given: 7, scale: 6, .. })
        ));
        assert_eq!(Money::parse_positive(&"9".repeat(39), usdt()), Err(AmountError::TooLarge));
    }

    #[test]
    fn trailing_zeros_change_nothing() {
        assert_eq!(Money::parse_positive("15.50", usdt()), Money::parse_positive("15.5", usdt()));
        assert_eq!(Money::parse_positive("1.10000000", usdt()).unwrap().to_string(), "1.1 USDT");
    }

    proptest! {
        #[test]
        fn every_amount_of_every_asset_survives_the_wire(index in 0..Asset::ALL.len(), units in 1_u64..) {
            let asset = Asset::ALL[index];
            let money = Money::new(Decimal::from_i128_with_scale(i128::from(units), asset.scale()), asset).unwrap();
            let text = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
            prop_assert_eq!(Money::parse_positive(&money.amount().to_string(), asset).unwrap(), money);
        }
    }
}
