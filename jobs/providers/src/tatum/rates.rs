//! What a coin is worth, for showing and for judging limits; never for booking.

use payfleet_core::money::parse_plain_decimal;
use payfleet_core::{Asset, Timestamp};
use rust_decimal::Decimal;

use super::answer;
use super::client::Client;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::json::Object;

/// The price of one unit of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In units of the base.
    pub value: Decimal,
    /// As of when.
    pub at: Timestamp,
    /// Whose price it is, where named.
    pub source: Option<String>,
}

impl Client {
    /// What one `asset` is worth in `base`. Costs 20 credits.
    ///
    /// # Errors
    /// [`ProviderError`], also where the answer is about another pair.
    pub async fn rate(&self, asset: Asset, base: Asset) -> Result<Rate, ProviderError> {
        let symbol = if asset.code() == "TRX" { "TRON" } else { asset.code() };
        let query = [("symbol", symbol), ("basePair", base.code())];
        let answer = self.get(&["v4", "data", "rate", "symbol"], &query).await?;
        let rate = Object::parse(&answer.body).ok().and_then(|object| {
            let is = |name, want: &str| object.filled(name).is_none_or(|named| named == want);
            if !is("id", symbol) || !is("basePair", base.code()) {
                return None;
            }
            let value = parse_plain_decimal(&object.text("value")?).ok()?;
            let at = Timestamp::from_unix_ms(object.text("timestamp")?.parse().ok()?);
            (!value.is_zero()).then(|| Rate { value, at, source: object.filled("source") })
        });
        rate.ok_or_else(|| answer::unexpected(Call::Read, &answer, "the answer is not that rate"))
    }
}
