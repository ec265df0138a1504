//! What the chains say, through Tatum: a transaction, the height, how deep a transaction is, and
//! broadcasting one. There is no field of confirmations: they are height − block + 1.

use reqwest::Method;
use serde::Serialize;

use payfleet_core::{Classify, OutcomeClass};

use super::answer::{self, ALREADY_KNOWN};
use super::chain::Chain;
use super::client::Client;
use super::payments::Payments;
use super::signed::SignedTransaction;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::http::Exchanged;
use crate::json::Object;

/// A transaction as its chain shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainTransaction {
    /// Its hash, as the provider writes it.
    pub hash: String,
    /// In which block; `None` while it is in none.
    pub block: Option<u64>,
    /// Whether it took effect, where the chain says so (Bitcoin's always do).
    pub succeeded: Option<bool>,
    /// What it paid to whom, as far as the chain shows it.
    pub payments: Payments,
}

/// How deep a transaction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The transaction.
    pub transaction: ChainTransaction,
    /// The height it was compared with.
    pub height: u64,
    /// Blocks from its own to the last, both counted; 0 while it is in none.
    pub confirmations: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Broadcast<'a> {
    tx_data: &'a str,
}

/// How many blocks a transaction in `block` has, when the last one is `height`. A block above the
/// height (another node answered) counts for nothing.
#[must_use]
pub fn confirmations(height: u64, block: u64) -> u64 {
    height.checked_sub(block).map_or(0, |above| above.saturating_add(1))
}

impl Client {
    /// The transaction with this hash, where the chain shows one.
    ///
    /// # Errors
    /// [`ProviderError`] where there is no answer that says so.
    pub async fn transaction(
        &self,
        chain: Chain,
        hash: &str,
    ) -> Result<Option<ChainTransaction>, ProviderError> {
        let query = [("chain", chain.name(self.mode())), ("hash", hash)];
        let answer = match self.get(&["v4", "data", "blockchains", "transaction"], &query).await {
            Ok(answer) => answer,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let transaction = Object::parse(&answer.body).ok().and_then(|object| read(chain, &object));
        let transaction = transaction.filter(|found| same_hash(chain, &found.hash, hash));
        let unexpected = || answer::unexpected(Call::Read, &answer, "the answer is not that transaction");
        transaction.ok_or_else(unexpected).map(Some)
    }

    /// The number of the chain's last block.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn height(&self, chain: Chain) -> Result<u64, ProviderError> {
        let query = [("chain", chain.name(self.mode()))];
        let answer = self.get(&["v4", "data", "blockchains", "block", "current"], &query).await?;
        let object = Object::parse(&answer.body).ok();
        let height = object.and_then(|object| object.text("blockNumber")?.parse().ok());
        height.ok_or_else(|| answer::unexpected(Call::Read, &answer, "the answer names no block"))
    }

    /// How deep a transaction is. The height is asked for after it, so that it is never too deep.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn depth(&self, chain: Chain, hash: &str) -> Result<Option<Depth>, ProviderError> {
        let Some(transaction) = self.transaction(chain, hash).await? else { return Ok(None) };
        let height = self.height(chain).await?;
        let confirmations = transaction.block.map_or(0, |block| confirmations(height, block));
        Ok(Some(Depth { transaction, height, confirmations }))
    }

    /// Broadcasts `signed`. Its hash was known before, and the same bytes may be sent at any time: a
    /// transaction that the chain has is a success, whoever sent it.
    ///
    /// # Errors
    /// [`ProviderError`]: ambiguous where it may still come, terminal where it was refused and the
    /// chain does not have it.
    pub async fn broadcast(&self, signed: &SignedTransaction) -> Result<(), ProviderError> {
        let path = ["v3", signed.chain().path(), "broadcast"];
        let body = Broadcast { tx_data: signed.data() };
        let error = match self.write(Call::Effect, Method::POST, &path, &body).await {
            Ok(answer) => return is_ours(signed, &answer),
            Err(error) => error,
        };
        if matches!(error.class(), OutcomeClass::RateLimited { .. } | OutcomeClass::Retryable) {
            // It never left, or was not looked at.
            return Err(error);
        }
        match self.transaction(signed.chain(), signed.hash()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) if error.code() != ALREADY_KNOWN => Err(error),
            Ok(None) | Err(_) => Err(ProviderError::new(
                OutcomeClass::Ambiguous,
                error.code(),
                "it was not taken now, and whether it was before cannot be seen yet",
            )),
        }
    }
}

fn is_ours(signed: &SignedTransaction, answer: &Exchanged) -> Result<(), ProviderError> {
    let named = Object::parse(&answer.body).ok().and_then(|object| object.filled("txId"));
    match named {
        Some(named) if same_hash(signed.chain(), &named, signed.hash()) => Ok(()),
        Some(_) => Err(answer::explain(
            answer,
            ProviderError::new(OutcomeClass::Ambiguous, "other_transaction", "it names another transaction"),
        )),
        None => Err(answer::unexpected(Call::Effect, answer, "the answer names no transaction")),
    }
}

fn is_not_found(error: &ProviderError) -> bool {
    let code = error.code();
    error.http_status() == Some(404) && error.class() == OutcomeClass::Terminal || code == "tx.not.found"
}

fn same_hash(chain: Chain, one: &str, other: &str) -> bool {
    let bare = |hash: &str| match chain {
        Chain::Ethereum | Chain::Polygon => hash.strip_prefix("0x").unwrap_or(hash).to_ascii_lowercase(),
        Chain::Bitcoin | Chain::Tron => hash.to_ascii_lowercase(),
    };
    bare(one) == bare(other)
}

fn read(chain: Chain, object: &Object<'_>) -> Option<ChainTransaction> {
    let hash = object.filled("hash").or_else(|| object.filled("txID")).or_else(|| object.filled("txId"))?;
    let block = match object.text("blockNumber") {
        // Bitcoin's nodes say -1 or nothing of what is in no block.
        None => None,
        Some(text) if text.starts_with('-') => None,
        Some(text) => Some(text.parse().ok()?),
    };
    let payments = Payments::read(chain, object)?;
    Some(ChainTransaction { hash, block, succeeded: succeeded(object), payments })
}

/// EVM chains have a flag, TRON a word for each contract that ran.
fn succeeded(object: &Object<'_>) -> Option<bool> {
    object.flag("status").or_else(|| {
        let ran = object.objects("ret")?;
        ran.first()?.text("contractRet").map(|word| word == "SUCCESS")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_itself_is_the_first_confirmation() {
        assert_eq!(confirmations(100, 100), 1);
        assert_eq!(confirmations(105, 100), 6);
        assert_eq!(confirmations(99, 100), 0);
        assert_eq!(confirmations(u64::MAX, 0), u64::MAX);
    }

    fn of(chain: Chain, body: &str) -> Option<ChainTransaction> {
        read(chain, &Object::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn each_chains_transaction_says_in_which_block_it_is_and_whether_it_took_effect() {
        let evm = of(
            Chain::Ethereum,
            r#"{"hash":"0xAB","blockNumber":7,"status":true,"to":"0x1","value":"50000000000000000"}"#,
        )
        .unwrap();
        assert_eq!((evm.block, evm.succeeded), (Some(7), Some(true)));
        let bitcoin = of(Chain::Bitcoin, r#"{"hash":"ab","blockNumber":-1,"outputs":[]}"#).unwrap();
        assert_eq!((bitcoin.block, bitcoin.succeeded), (None, None));
        let tron =
            of(Chain::Tron, r#"{"txID":"ab","blockNumber":9,"ret":[{"contractRet":"OUT_OF_ENERGY"}]}"#);
        assert_eq!(tron.unwrap().succeeded, Some(false));
        assert_eq!(of(Chain::Ethereum, r#"{"hash":"0xAB","blockNumber":"many"}"#), None);
        assert_eq!(of(Chain::Ethereum, r#"{"hash":"0xAB","to":"0x1","value":"1e18"}"#), None);
    }
}
