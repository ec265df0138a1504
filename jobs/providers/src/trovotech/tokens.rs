//! Our own tokens, as TrovoTech lists them: all at once, in camel case, without a reference of ours.

use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;

use super::answer;
use super::client::Client;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::json::Object;

/// A share of an asset, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The provider's id.
    pub token_id: String,
    /// The asset it is a share of, where named.
    pub asset_id: Option<String>,
    /// Percent of the asset.
    pub fraction_owned: Option<Decimal>,
    /// What was paid for it.
    pub invested: Option<Decimal>,
    /// What it is said to be worth.
    pub current_value: Option<Decimal>,
    /// What it has earned.
    pub total_returns: Option<Decimal>,
    /// The transaction that minted it.
    pub tx_hash: Option<String>,
    /// When, as the provider writes it.
    pub minted_at: Option<String>,
}

impl Client {
    /// Whether our key is let in, by the list of our tokens.
    pub(crate) async fn test(&self) -> Result<u16, ProviderError> {
        let answer = self.get(&["tokens", "my"]).await?;
        answer::tokens(&answer).map(|_| answer.status)
    }

    /// Every token of ours.
    ///
    /// # Errors
    /// [`ProviderError`], also where one has no id: a part is never taken for the whole.
    pub async fn own_tokens(&self) -> Result<Vec<Token>, ProviderError> {
        let answer = self.get(&["tokens", "my"]).await?;
        let tokens: Option<Vec<Token>> = answer::tokens(&answer)?.iter().map(token).collect();
        tokens
            .ok_or_else(|| answer.explain(ProviderError::unexpected(Call::Read, "a listed token has no id")))
    }
}

fn token(object: &Object<'_>) -> Option<Token> {
    let decimal = |name| object.text(name).and_then(|text| parse_plain_decimal(&text).ok());
    Some(Token {
        token_id: object.filled("tokenId")?,
        asset_id: object.filled("assetId"),
        fraction_owned: decimal("fractionOwned"),
        invested: decimal("investmentAmount"),
        current_value: decimal("currentValue"),
        total_returns: decimal("totalReturns"),
        tx_hash: object.filled("txHash"),
        minted_at: object.filled("mintedAt"),
    })
}
