//! Custodial wallets at TrovoTech: one an investor, so creating it again returns the first.

use payfleet_core::ProviderKey;
use payfleet_core::address::Network;
use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;

use super::answer;
use super::client::Client;
use super::wire::CreateWallet;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::http::Answer;
use crate::json::Object;

/// Whom a wallet is for. Personal data: neither printed nor logged.
#[derive(Clone, Copy)]
pub struct Investor<'a> {
    /// How the provider tells investors apart.
    pub email: &'a str,
    /// Their name.
    pub name: &'a str,
    /// Whether we have checked who they are.
    pub kyc_verified: bool,
}

/// A custodial wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodyWallet {
    /// On Bantu: `G...`, checked.
    pub address: String,
    /// What it holds, as the provider says; it names no asset.
    pub balance: Option<Decimal>,
    /// The trustee's reference.
    pub trustee_ref: Option<String>,
}

impl Client {
    /// The wallet of `investor`: a new one, or the one there is. May be sent again.
    ///
    /// # Errors
    /// [`ProviderError`], also where the answer names no valid address.
    pub async fn create_wallet(
        &self,
        investor: Investor<'_>,
        key: &ProviderKey,
    ) -> Result<CustodyWallet, ProviderError> {
        let body = CreateWallet {
            issuer_id: self.issuer_id(),
            investor_email: investor.email,
            investor_name: investor.name,
            kyc_verified: investor.kyc_verified,
        };
        let answer = self.post(Call::Effect, &["wallet", "create"], Some(key), &body).await?;
        wallet(Call::Effect, &answer)
    }

    /// The wallet with this address or id, where there is one.
    ///
    /// # Errors
    /// [`ProviderError`] where there is no answer that says so.
    pub async fn wallet(&self, id: &str) -> Result<Option<CustodyWallet>, ProviderError> {
        if id.is_empty() {
            return Err(ProviderError::refused("no_id", "a wallet without an id cannot be asked for"));
        }
        let answer = self.get(&["wallet", id]).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        wallet(Call::Read, &answer).map(Some)
    }
}

fn wallet(call: Call, answer: &Answer) -> Result<CustodyWallet, ProviderError> {
    answer::check(call, answer)?;
    let wallet = Object::parse(&answer.body).ok().and_then(|object| {
        let address = object.filled("wallet_address")?;
        Network::Bantu.check_address(&address).ok()?;
        let balance = object.text("balance").and_then(|text| parse_plain_decimal(&text).ok());
        Some(CustodyWallet { address, balance, trustee_ref: object.filled("trustee_ref") })
    });
    wallet.ok_or_else(|| answer.explain(ProviderError::unexpected(call, "the answer names no wallet")))
}
