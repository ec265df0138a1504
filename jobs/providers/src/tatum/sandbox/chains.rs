//! The sandbox's chains: transactions wait in a pool, blocks take them in, a reorganisation gives the
//! last blocks' transactions back, and what is finalised stays. Only the control paths and time move
//! them; what happened is told block by block, so that every webhook has its stage.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::tatum::chain::Chain;
use crate::tatum::payments::TRANSFER;
use crate::tatum::transfer::Stage;

/// The height at which each chain begins, far from zero so that a reorganisation has room.
const FIRST_HEIGHT: u64 = 1_000;

/// A payment on a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payment {
    pub(super) hash: String,
    pub(super) from: Option<String>,
    pub(super) to: String,
    /// In whole units.
    pub(super) amount: Decimal,
    /// A token's contract.
    pub(super) contract: Option<String>,
    pub(super) at_ms: i64,
    /// The bytes that were broadcast, if it came that way.
    pub(super) broadcast: bool,
}

/// One thing that happens to a chain, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// A transaction enters the pool.
    Enter(Payment),
    /// A block takes in what is in the pool.
    Block,
    /// The last blocks are undone; their transactions go back to the pool, or vanish.
    Reorganise { depth: u64, vanish: bool },
    /// Nothing up to here can be undone any more.
    Finalise,
}

/// What a change means for whoever watches.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) payment: Payment,
    pub(super) stage: Stage,
    pub(super) block: Option<u64>,
}

/// One chain.
#[derive(Debug)]
pub(super) struct Ledger {
    height: u64,
    finalised: u64,
    pool: Vec<Payment>,
    blocks: BTreeMap<u64, Vec<Payment>>,
    block_of: HashMap<String, u64>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            height: FIRST_HEIGHT,
            finalised: FIRST_HEIGHT,
            pool: Vec::new(),
            blocks: BTreeMap::new(),
            block_of: HashMap::new(),
        }
    }
}

impl Ledger {
    pub(super) fn height(&self) -> u64 {
        self.height
    }

    pub(super) fn has_pool(&self) -> bool {
        !self.pool.is_empty()
    }

    /// Whether a reorganisation of this depth would undo what is finalised.
    pub(super) fn can_reorganise(&self, depth: u64) -> bool {
        depth > 0 && self.height.checked_sub(depth).is_some_and(|left| left >= self.finalised)
    }

    /// Carries `change` out, and says what of it watchers see.
    pub(super) fn apply(&mut self, change: Change) -> Vec<Seen> {
        match change {
            Change::Enter(payment) => {
                self.pool.push(payment.clone());
                vec![Seen { payment, stage: Stage::Mempool, block: None }]
            }
            Change::Block => {
                self.height = self.height.saturating_add(1);
                let block = self.height;
                let payments = std::mem::take(&mut self.pool);
                self.block_of.extend(payments.iter().map(|payment| (payment.hash.clone(), block)));
                let seen = payments.iter().cloned();
                let seen = seen.map(|payment| Seen { payment, stage: Stage::Confirmed, block: Some(block) });
                let seen = seen.collect();
                self.blocks.insert(block, payments);
                seen
            }
            Change::Reorganise { depth, vanish } => {
                let left = self.height.saturating_sub(depth);
                let undone = self.blocks.split_off(&left.saturating_add(1));
                self.height = left;
                let mut seen = Vec::new();
                for (block, payments) in undone {
                    for payment in payments {
                        self.block_of.remove(&payment.hash);
                        if !vanish {
                            self.pool.push(payment.clone());
                        }
                        seen.push(Seen { payment, stage: Stage::Reorg, block: Some(block) });
                    }
                }
                seen
            }
            Change::Finalise => {
                self.finalised = self.height;
                Vec::new()
            }
        }
    }

    pub(super) fn find(&self, hash: &str) -> Option<(&Payment, Option<u64>)> {
        if let Some(block) = self.block_of.get(hash) {
            let payment = self.blocks.get(block)?.iter().find(|payment| payment.hash == hash)?;
            return Some((payment, Some(*block)));
        }
        self.pool.iter().find(|payment| payment.hash == hash).map(|payment| (payment, None))
    }

    /// Every payment that is on the chain or in its pool, with its block.
    pub(super) fn payments(&self) -> impl Iterator<Item = (&Payment, Option<u64>)> {
        let blocks = self.blocks.iter();
        let included = blocks.flat_map(|(block, payments)| payments.iter().map(|p| (p, Some(*block))));
        included.chain(self.pool.iter().map(|payment| (payment, None)))
    }

    pub(super) fn show(&self) -> Value {
        let pool: Vec<&str> = self.pool.iter().map(|payment| payment.hash.as_str()).collect();
        json!({ "height": self.height, "finalised": self.finalised, "mempool": pool })
    }
}

/// A transaction as the v4 API shows it.
pub(super) fn show(chain: Chain, payment: &Payment, block: Option<u64>) -> Value {
    let units = units(payment.amount, chain.decimals());
    match chain {
        Chain::Bitcoin => json!({
            "hash": payment.hash,
            "blockNumber": block,
            "outputs": [{ "value": units.parse::<u64>().unwrap_or_default(), "address": payment.to }],
        }),
        Chain::Tron => json!({
            "txID": payment.hash,
            "blockNumber": block,
            "ret": [{ "contractRet": "SUCCESS" }],
            "rawData": { "contract": [contract(payment, &units)] },
            "log": logs(chain, payment),
        }),
        Chain::Ethereum | Chain::Polygon => {
            let value = if payment.contract.is_none() { units } else { "0".to_owned() };
            json!({
                "hash": payment.hash,
                "blockNumber": block,
                "status": true,
                "from": payment.from,
                "to": payment.contract.as_deref().unwrap_or(&payment.to),
                "value": value,
                "logs": logs(chain, payment),
            })
        }
    }
}

/// What TRON was asked to run.
fn contract(payment: &Payment, units: &str) -> Value {
    let (kind, value) = if let Some(contract) = &payment.contract {
        ("TriggerSmartContract", json!({ "contractAddressBase58": contract }))
    } else {
        let amount = units.parse::<u64>().unwrap_or_default();
        ("TransferContract", json!({ "amount": amount, "toAddressBase58": payment.to }))
    };
    json!({ "type": kind, "parameter": { "value": value } })
}

/// What a token's contract logs of a transfer.
fn logs(chain: Chain, payment: &Payment) -> Vec<Value> {
    let Some(contract) = &payment.contract else { return Vec::new() };
    let account = |address: &str| account(chain, address).unwrap_or_else(|| "0".repeat(40));
    let word = |hex: &str| format!("{hex:0>64}");
    let mark = if chain == Chain::Tron { "" } else { "0x" };
    let units: u128 = units(payment.amount, 6).parse().unwrap_or_default();
    let from = payment.from.as_deref().map(account).unwrap_or_default();
    let topics = [TRANSFER.to_owned(), word(&from), word(&account(&payment.to))];
    vec![json!({
        "address": format!("{mark}{}", account(contract)),
        "topics": topics.map(|topic| format!("{mark}{topic}")),
        "data": format!("{mark}{units:064x}"),
        "logIndex": 0,
    })]
}

/// The twenty bytes of an address, in hex.
fn account(chain: Chain, address: &str) -> Option<String> {
    let account = match chain {
        Chain::Tron => hex::encode(bs58::decode(address).with_check(None).into_vec().ok()?.get(1..)?),
        Chain::Ethereum | Chain::Polygon | Chain::Bitcoin => address.strip_prefix("0x")?.to_ascii_lowercase(),
    };
    Some(account).filter(|account| account.len() == 40)
}

/// `amount` in the smallest unit.
pub(super) fn units(amount: Decimal, decimals: u32) -> String {
    let mut scaled = amount;
    scaled.rescale(decimals);
    scaled.mantissa().to_string()
}
