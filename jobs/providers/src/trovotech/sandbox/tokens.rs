//! Tokens: shares of assets, and what is asked for to have one minted.

use payfleet_core::Timestamp;
use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::book::Refusal;
use super::wire::{hash_of, number, time_of};
use crate::sandbox::Happened;

/// `POST /token/mint`.
#[derive(Deserialize)]
pub(super) struct Mint {
    issuer_id: String,
    asset_type: String,
    asset_metadata: Metadata,
    investor_wallet: String,
    fraction_owned: Box<RawValue>,
    invest_amount: Box<RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(rename = "type")]
    model: String,
}

/// One token, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) number: usize,
    reference: String,
    pub(super) wallet: String,
    /// What it is a share of: the asset's name and model, which is all a request names it by.
    pub(super) asset: String,
    pub(super) percent: Decimal,
    invested: Decimal,
    created_ms: i64,
    /// Whether its transaction succeeds.
    pub(super) succeeds: bool,
}

impl Mint {
    /// The token it would be, whatever else of the asset is owned.
    pub(super) fn token(
        self,
        number: usize,
        reference: &str,
        wrong: bool,
        succeeds: bool,
        now: Timestamp,
    ) -> Result<Token, Refusal> {
        let percent = decimal(&self.fraction_owned).filter(|percent| *percent > Decimal::ZERO);
        let percent = percent.ok_or(Refusal::Invalid("fraction_owned must be above 0"))?;
        let invested = decimal(&self.invest_amount).ok_or(Refusal::Invalid("invest_amount"))?;
        if self.issuer_id.is_empty() || self.asset_type.is_empty() || self.investor_wallet.is_empty() {
            return Err(Refusal::Invalid("issuer_id, asset_type and investor_wallet are required"));
        }
        Ok(Token {
            number,
            reference: reference.to_owned(),
            wallet: self.investor_wallet,
            asset: format!("{} {}", self.asset_metadata.name, self.asset_metadata.model),
            percent,
            invested: if wrong { invested.saturating_add(Decimal::ONE) } else { invested },
            created_ms: now.unix_ms(),
            succeeds,
        })
    }
}

impl Token {
    /// A made-up one: all of an asset of its own.
    pub(super) fn filled(number: usize, reference: &str, at: Timestamp) -> Self {
        Self {
            number,
            reference: reference.get(..32).unwrap_or_default().to_owned(),
            wallet: "GFILLED".to_owned(),
            asset: format!("filled {number}"),
            percent: Decimal::ONE_HUNDRED,
            invested: Decimal::ONE_HUNDRED,
            created_ms: at.unix_ms(),
            succeeds: true,
        }
    }

    pub(super) fn id(&self) -> String {
        format!("TKN_{:06}", self.number)
    }

    pub(super) fn transaction(&self) -> String {
        hash_of(&format!("transaction {}", self.number))
    }

    pub(super) fn is_in_ledger(&self, settle_after_ms: i64, now: Timestamp) -> bool {
        now.unix_ms().saturating_sub(self.created_ms) >= settle_after_ms
    }

    pub(super) fn answer(&self) -> Value {
        json!({
            "token_id": self.id(),
            "chain": "bantu",
            "metadata_hash": hash_of(&self.asset),
            "trustee_ref": format!("TR-{}", self.number),
            "tx_hash": self.transaction(),
        })
    }

    pub(super) fn listed(&self) -> Value {
        json!({
            "tokenId": self.id(),
            "assetModel": self.asset,
            "fractionOwned": number(self.percent),
            "investmentAmount": number(self.invested),
            "currentValue": number(self.invested),
            "totalReturns": 0,
            "chain": "bantu",
            "metadataHash": hash_of(&self.asset),
            "trusteeRef": format!("TR-{}", self.number),
            "txHash": self.transaction(),
            "mintedAt": time_of(self.created_ms),
        })
    }

    pub(super) fn event(&self) -> String {
        let mut data = self.answer();
        if let Some(members) = data.as_object_mut() {
            members.insert("investor_wallet".to_owned(), json!(self.wallet));
            members.insert("fraction_owned".to_owned(), number(self.percent));
            members.insert("investment_amount".to_owned(), number(self.invested));
            members.insert("minted_at".to_owned(), json!(time_of(self.created_ms)));
        }
        json!({ "event_type": "token.minted", "data": data }).to_string()
    }

    /// What really happened.
    pub(super) fn effect(&self, is_in_ledger: bool) -> Happened {
        Happened {
            reference: self.reference.clone(),
            kind: "mint",
            amount: self.percent.normalize().to_string(),
            asset: self.asset.clone(),
            destination: self.wallet.clone(),
            at: self.created_ms,
            id: self.id(),
            status: match (is_in_ledger, self.succeeds) {
                (false, _) => "submitted",
                (true, true) => "minted",
                (true, false) => "failed",
            }
            .to_owned(),
        }
    }
}

/// A JSON number, exactly.
fn decimal(raw: &RawValue) -> Option<Decimal> {
    parse_plain_decimal(raw.get()).ok()
}
