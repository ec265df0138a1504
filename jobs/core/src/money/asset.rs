//! The assets we move and how finely each divides.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An asset by its code, one of [`Asset::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset {
    code: &'static str,
    scale: u32,
}

impl Asset {
    /// Every asset, with its number of decimals.
    pub const ALL: &'static [Self] = &[
        Self::new("USD", 2),
        Self::new("EUR", 2),
        Self::new("GBP", 2),
        Self::new("NGN", 2),
        Self::new("JPY", 0),
        Self::new("KWD", 3),
        // What else Stripe charges and pays out in.
        Self::new("AED", 2),
        Self::new("AUD", 2),
        Self::new("BHD", 3),
        Self::new("BIF", 0),
        Self::new("BRL", 2),
        Self::new("CAD", 2),
        Self::new("CHF", 2),
        Self::new("CLP", 0),
        Self::new("CZK", 2),
        Self::new("DJF", 0),
        Self::new("DKK", 2),
        Self::new("GHS", 2),
        Self::new("GNF", 0),
        Self::new("HKD", 2),
        Self::new("HUF", 2),
        Self::new("INR", 2),
        Self::new("ISK", 0),
        Self::new("JOD", 3),
        Self::new("KES", 2),
        Self::new("KMF", 0),
        Self::new("KRW", 0),
        Self::new("MGA", 0),
        Self::new("MXN", 2),
        Self::new("NOK", 2),
        Self::new("NZD", 2),
        Self::new("OMR", 3),
        Self::new("PLN", 2),
        Self::new("PYG", 0),
        Self::new("RON", 2),
        Self::new("RWF", 0),
        Self::new("SEK", 2),
        Self::new("SGD", 2),
        Self::new("THB", 2),
        Self::new("TND", 3),
        Self::new("TWD", 2),
        Self::new("UGX", 0),
        Self::new("VND", 0),
        Self::new("VUV", 0),
        Self::new("XAF", 0),
        Self::new("XOF", 0),
        Self::new("XPF", 0),
        Self::new("ZAR", 2),
        Self::new("USDT", 6),
        Self::new("USDC", 6),
        Self::new("TRX", 6),
        Self::new("XBN", 7),
        Self::new("BTC", 8),
        Self::new("ETH", 18),
        Self::new("MATIC", 18),
        Self::new("BNB", 18),
    ];

    const fn new(code: &'static str, scale: u32) -> Self {
        Self { code, scale }
    }

    /// Its code, upper case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// How many decimals an amount of it may have.
    #[must_use]
    pub const fn scale(self) -> u32 {
        self.scale
    }
}

/// No asset has this code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an asset we move; known codes are {}", known_codes())]
pub struct UnknownAsset;

fn known_codes() -> String {
    Asset::ALL.iter().map(|asset| asset.code).collect::<Vec<_>>().join(", ")
}

impl FromStr for Asset {
    type Err = UnknownAsset;

    fn from_str(code: &str) -> Result<Self, UnknownAsset> {
        Self::ALL.iter().copied().find(|asset| asset.code == code).ok_or(UnknownAsset)
    }
}

impl Serialize for Asset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Asset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}
