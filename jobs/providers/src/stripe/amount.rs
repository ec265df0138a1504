//! Stripe's amounts: positive integers in the minor unit of a currency it knows.
//!
//! The minor unit has the currency's own decimals, but ISK and UGX, which have none, are sent with two.
//! The last digit of a three-decimal amount must be 0, and payouts in HUF and TWD are of whole units.
//! Source: docs.stripe.com, page "currencies".

use payfleet_core::{Asset, Money};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// The currencies we take through Stripe: what of `Asset::ALL` is no crypto asset.
pub const CURRENCIES: &[&str] = &[
    "AED", "AUD", "BHD", "BIF", "BRL", "CAD", "CHF", "CLP", "CZK", "DJF", "DKK", "EUR", "GBP", "GHS", "GNF",
    "HKD", "HUF", "INR", "ISK", "JOD", "JPY", "KES", "KMF", "KRW", "KWD", "MGA", "MXN", "NGN", "NOK", "NZD",
    "OMR", "PLN", "PYG", "RON", "RWF", "SEK", "SGD", "THB", "TND", "TWD", "UGX", "USD", "VND", "VUV", "XAF",
    "XOF", "XPF", "ZAR",
];

/// The largest charge in minor units: eight digits.
const MOST_CHARGED: i64 = 99_999_999;

/// What an amount is for: payouts are coarser in some currencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Anything but a payout.
    Payment,
    /// A payout to a bank account or card.
    Payout,
}

/// An amount that Stripe cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSendable {
    /// No currency of Stripe's.
    #[error("Stripe does not move this asset")]
    NotACurrency,
    /// Zero or less.
    #[error("an amount must be greater than zero")]
    NotPositive,
    /// Finer than Stripe takes for this purpose.
    #[error("Stripe takes no amount as fine as this in this currency")]
    TooFine,
    /// Less than a card is charged.
    #[error("a card is charged no less than {0} in this currency")]
    TooSmall(Decimal),
    /// More than Stripe takes.
    #[error("the amount is larger than Stripe can be sent")]
    TooLarge,
}

/// The currency's code as Stripe writes it, lower case.
#[cfg(feature = "client")]
#[must_use]
pub(crate) fn currency(asset: Asset) -> Option<String> {
    CURRENCIES.contains(&asset.code()).then(|| asset.code().to_ascii_lowercase())
}

/// The asset of a currency as Stripe writes it, where it is one of ours.
#[must_use]
pub(crate) fn asset(currency: &str) -> Option<Asset> {
    let code = currency.to_ascii_uppercase();
    // Upper case is not Stripe's writing.
    let is_ours = code != currency && CURRENCIES.contains(&code.as_str());
    is_ours.then(|| code.parse().ok()).flatten()
}

/// `money` in minor units.
///
/// # Errors
/// [`NotSendable`] where Stripe would refuse the number, or take another amount for it.
pub fn to_minor(money: &Money, purpose: Purpose) -> Result<i64, NotSendable> {
    let asset = money.asset();
    if !CURRENCIES.contains(&asset.code()) {
        return Err(NotSendable::NotACurrency);
    }
    let factor = Decimal::from(10_u32.saturating_pow(decimals(asset)));
    let minor = money.amount().checked_mul(factor).ok_or(NotSendable::TooLarge)?;
    if minor <= Decimal::ZERO {
        return Err(NotSendable::NotPositive);
    }
    if !(minor % Decimal::from(step(asset, purpose))).is_zero() {
        return Err(NotSendable::TooFine);
    }
    minor.to_i64().ok_or(NotSendable::TooLarge)
}

/// Whether a card can be charged `money`: eight digits at most, and in the currencies for which Stripe
/// documents it, no less than about half a dollar.
///
/// # Errors
/// [`NotSendable`], as [`to_minor`], or too small or too large for a charge.
pub fn chargeable(money: &Money) -> Result<(), NotSendable> {
    let minor = to_minor(money, Purpose::Payment)?;
    let least = match money.asset().code() {
        "USD" | "EUR" => 50,
        "GBP" => 30,
        _ => 1,
    };
    if minor < least {
        return Err(NotSendable::TooSmall(Decimal::new(least, decimals(money.asset())).normalize()));
    }
    if minor > MOST_CHARGED { Err(NotSendable::TooLarge) } else { Ok(()) }
}

/// The money that `minor` units of `currency` are: exact, or `None`. May be zero or negative, as in
/// balances.
#[must_use]
pub fn from_minor(minor: i64, currency: &str) -> Option<Money> {
    let asset = asset(currency)?;
    Money::new(Decimal::new(minor, decimals(asset)), asset).ok()
}

fn decimals(asset: Asset) -> u32 {
    match asset.code() {
        "ISK" | "UGX" => 2,
        _ => asset.scale(),
    }
}

/// Of what the minor units must be a multiple.
fn step(asset: Asset, purpose: Purpose) -> u32 {
    match (asset.code(), purpose) {
        ("ISK" | "UGX", _) | ("HUF" | "TWD", Purpose::Payout) => 100,
        _ if asset.scale() == 3 => 10,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str, code: &str) -> Money {
        Money::new(text.parse().unwrap(), code.parse().unwrap()).unwrap()
    }

    #[test]
    fn amounts_are_written_in_the_currencys_own_minor_unit() {
        use Purpose::{Payment, Payout};
        for (text, code, purpose, want) in [
            ("19.99", "USD", Payment, Ok(1999)),
            ("500", "JPY", Payment, Ok(500)),
            ("1.23", "KWD", Payment, Ok(1230)),
            ("1.234", "KWD", Payment, Err(NotSendable::TooFine)),
            ("5", "ISK", Payment, Ok(500)),
            ("5", "UGX", Payment, Ok(500)),
            ("10.45", "HUF", Payment, Ok(1045)),
            ("10.45", "HUF", Payout, Err(NotSendable::TooFine)),
            ("10", "HUF", Payout, Ok(1000)),
            ("10.45", "TWD", Payment, Ok(1045)),
            ("10.45", "TWD", Payout, Err(NotSendable::TooFine)),
            ("800", "TWD", Payout, Ok(80_000)),
            ("0", "USD", Payment, Err(NotSendable::NotPositive)),
            ("-1", "USD", Payment, Err(NotSendable::NotPositive)),
            ("15", "USDT", Payment, Err(NotSendable::NotACurrency)),
            ("9999999999999999999", "JPY", Payment, Err(NotSendable::TooLarge)),
        ] {
            assert_eq!(to_minor(&money(text, code), purpose), want, "{text} {code} {purpose:?}");
        }
    }

    #[test]
    fn a_card_is_charged_neither_too_little_nor_too_much() {
        let half = "0.5".parse().unwrap();
        for (text, code, want) in [
            ("0.50", "USD", Ok(())),
            ("0.49", "USD", Err(NotSendable::TooSmall(half))),
            ("0.30", "GBP", Ok(())),
            ("1", "JPY", Ok(())),
            ("999999.99", "USD", Ok(())),
            ("1000000", "USD", Err(NotSendable::TooLarge)),
            ("1.234", "KWD", Err(NotSendable::TooFine)),
        ] {
            assert_eq!(chargeable(&money(text, code)), want, "{text} {code}");
        }
    }

    #[test]
    fn what_stripe_writes_is_read_exactly_or_not_at_all() {
        assert_eq!(from_minor(1999, "usd"), Some(money("19.99", "USD")));
        assert_eq!(from_minor(-30, "usd"), Some(money("-0.3", "USD")));
        assert_eq!(from_minor(1234, "kwd"), Some(money("1.234", "KWD")));
        assert_eq!(from_minor(500, "ugx"), Some(money("5", "UGX")));
        assert_eq!(from_minor(550, "isk"), None, "there is no half krona");
        for unknown in ["USD", "usdt", "xxx", ""] {
            assert_eq!(from_minor(1, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_asset_that_is_no_crypto_asset_is_a_currency() {
        let crypto = ["USDT", "USDC", "TRX", "XBN", "BTC", "ETH", "MATIC", "BNB"];
        for asset in Asset::ALL {
            assert_ne!(CURRENCIES.contains(&asset.code()), crypto.contains(&asset.code()), "{asset}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_of_every_currency_survives_the_wire(
            index in 0..CURRENCIES.len(),
            steps in 1_i64..100_000_000_000,
            is_payout in any::<bool>(),
        ) {
            let asset: Asset = CURRENCIES[index].parse().unwrap();
            let purpose = if is_payout { Purpose::Payout } else { Purpose::Payment };
            let minor = steps * i64::from(step(asset, purpose));
            let read = from_minor(minor, &currency(asset).unwrap()).unwrap();
            prop_assert_eq!(read.asset(), asset);
            prop_assert_eq!(to_minor(&read, purpose), Ok(minor));
        }

        #[test]
        fn no_amount_is_ever_rounded(index in 0..CURRENCIES.len(), units in 1_i64..1_000_000_000, scale in 0_u32..4) {
            let asset: Asset = CURRENCIES[index].parse().unwrap();
            if let Ok(money) = Money::new(Decimal::new(units, scale), asset)
                && let Ok(minor) = to_minor(&money, Purpose::Payment)
            {
                prop_assert_eq!(from_minor(minor, &currency(asset).unwrap()), Some(money));
            }
        }
    }
}
