//! What a webhook of Tatum says happened on a chain, in either of its two templates. The unit of the
//! amount depends on the template: whole units in the legacy one, the smallest in the enriched one.
//!
//! A token is known by its contract, never by its name: anybody can call theirs USDT.

use payfleet_core::{Asset, Classify, Money, OutcomeClass};
use rust_decimal::Decimal;

use super::chain::{Chain, Mode, whole};
use super::webhook::stage;
use crate::json::Object;

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Seen, in no block yet.
    Mempool,
    /// In a block.
    Confirmed,
    /// Its block is no longer part of the chain.
    Reorg,
}

/// A movement that a webhook tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// On which chain, where it is one of ours.
    pub chain: Option<Chain>,
    /// Whether it is of a test network, where that is said.
    pub mode: Option<Mode>,
    /// In which transaction.
    pub transaction: String,
    /// Which one of that transaction's, where it is a token's.
    pub log_index: Option<String>,
    /// In which block, where in any.
    pub block: Option<u64>,
    /// How far it has come.
    pub stage: Stage,
    /// Whose subscription it was (enriched template only).
    pub subscription: Option<String>,
    /// To whom; legacy webhooks about money that left name nobody here.
    pub to: Option<String>,
    /// From whom, where named.
    pub from: Option<String>,
    /// How much of what, where it is an asset of ours and the amount can be held exactly.
    pub money: Option<Money>,
    /// The token's contract, where it is a token.
    pub contract: Option<String>,
    /// Whether it is the fee of a transaction, not a payment.
    pub is_fee: bool,
}

/// A webhook that tells of no movement that can be read. Says which field, not what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// No JSON object, or one that repeats a key.
    #[error("the event is not a JSON object, or one with a repeated key")]
    NotAnObject,
    /// A field that it must have, and is absent or cannot be read.
    #[error("the event has no readable {0}")]
    Missing(&'static str),
}

impl Classify for TransferError {
    fn class(&self) -> OutcomeClass {
        OutcomeClass::Terminal
    }
}

/// Reads the body of a verified delivery.
///
/// # Errors
/// [`TransferError`], which names the field.
pub fn read_transfer(body: &[u8]) -> Result<Transfer, TransferError> {
    let top = Object::parse(body).map_err(|_| TransferError::NotAnObject)?;
    match top.object("data") {
        Some(data) => enriched(&data),
        None => legacy(&top),
    }
}

fn legacy(event: &Object<'_>) -> Result<Transfer, TransferError> {
    let named = event.filled("chain").and_then(|name| Chain::from_name(&name));
    let (chain, mode) = (named.map(|named| named.0), named.and_then(|named| named.1));
    let text = event.text("amount").ok_or(TransferError::Missing("amount"))?;
    let amount = decimal(&text).ok_or(TransferError::Missing("amount"))?;
    let (address, counter) = (event.filled("address"), event.filled("counterAddress"));
    let address = address.ok_or(TransferError::Missing("address"))?;
    let kind = event.filled("type").unwrap_or_default();
    let currency = event.filled("asset").unwrap_or_default();
    let contract = (kind != "native" && kind != "fee" && !currency.is_empty()).then(|| currency.clone());
    let asset = chain.and_then(|chain| asset(chain, mode, contract.as_deref(), &currency));
    let outgoing = amount.is_sign_negative();
    let (to, from) = if outgoing { (counter, Some(address)) } else { (Some(address), counter) };
    Ok(Transfer {
        money: asset.and_then(|asset| Money::new(amount.abs(), asset).ok()),
        is_fee: kind == "fee",
        ..common(event, chain, mode, to, from, contract)?
    })
}

fn enriched(event: &Object<'_>) -> Result<Transfer, TransferError> {
    let currency = event.filled("currency").unwrap_or_default();
    let metadata = event.object("tokenMetadata");
    let named = event.filled("chain").and_then(|name| Chain::from_name(&name));
    let named = named.or_else(|| Chain::from_name(if currency == "TRX" { "TRON" } else { &currency }));
    let (chain, mode) = (named.map(|named| named.0), named.and_then(|named| named.1));
    let contract = event.filled("contractAddress");
    let asset = chain.and_then(|chain| asset(chain, mode, contract.as_deref(), &currency));
    // The scale of an asset of ours is ours to say; of any other the amount is nobody's business.
    let units = event.text("value").ok_or(TransferError::Missing("value"))?;
    let money = match asset {
        Some(asset) => {
            let decimals = metadata.as_ref().and_then(|metadata| metadata.text("decimals")?.parse().ok());
            if decimals.is_some_and(|decimals: u32| decimals != asset.scale()) {
                return Err(TransferError::Missing("decimals of its asset"));
            }
            let amount = whole(&units, asset.scale()).ok_or(TransferError::Missing("value"))?;
            Money::new(amount, asset).ok()
        }
        None => None,
    };
    let (to, from) = (event.filled("to"), event.filled("from"));
    let is_fee = event.text("kind").as_deref() == Some("fee");
    Ok(Transfer { money, is_fee, ..common(event, chain, mode, to, from, contract)? })
}

fn common(
    event: &Object<'_>,
    chain: Option<Chain>,
    mode: Option<Mode>,
    to: Option<String>,
    from: Option<String>,
    contract: Option<String>,
) -> Result<Transfer, TransferError> {
    let block = match event.text("blockNumber") {
        Some(text) => Some(text.parse().map_err(|_| TransferError::Missing("blockNumber"))?),
        None => None,
    };
    Ok(Transfer {
        chain,
        mode,
        transaction: event.filled("txId").ok_or(TransferError::Missing("txId"))?,
        log_index: event.text("logIndex"),
        block,
        stage: stage(event),
        subscription: event.filled("subscriptionId"),
        to,
        from,
        money: None,
        contract,
        is_fee: false,
    })
}

/// The asset of ours that this is. Contracts are known on the main networks only.
fn asset(chain: Chain, mode: Option<Mode>, contract: Option<&str>, currency: &str) -> Option<Asset> {
    match contract {
        Some(contract) if mode != Some(Mode::Testnet) => chain.asset_of_contract(contract),
        Some(_) => None,
        None => (currency == chain.currency() || currency == chain.coin())
            .then(|| chain.coin().parse().ok())
            .flatten(),
    }
}

/// A decimal that may be negative, without an exponent.
fn decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let amount = payfleet_core::money::parse_plain_decimal(digits).ok()?;
    Some(if digits.len() == text.len() { amount } else { -amount })
}

#[cfg(test)]
mod tests;
