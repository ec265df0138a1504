//! The sandbox's Bantu ledger as Horizon shows it: signed envelopes are taken once, whoever hands them
//! in and how often, and an account's transactions are listed page by page.
//!
//! Envelopes are really read: signature, network, time bounds and sequence number must be right.
//! Accounts need not exist and have no balance, so the ledger never refuses for money.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use payfleet_core::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stellar_xdr::{
    Limits, MuxedAccount, OperationBody, Preconditions, ReadXdr, Transaction, TransactionEnvelope,
    TransactionSignaturePayload, TransactionSignaturePayloadTaggedTransaction, WriteXdr,
};

use crate::sandbox::Happened;
use crate::trovotech::transaction::network_id;

/// The most entries of one page, and how many there are where nobody says.
const LARGEST_PAGE: usize = 200;
const USUAL_PAGE: usize = 10;

/// A transaction in the ledger, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    hash: String,
    source: String,
    sequence: i64,
    destination: String,
    asset: String,
    amount: Decimal,
    at_ms: i64,
    /// As it was handed in: base64.
    envelope: String,
}

/// Why an envelope is not taken: Horizon's result code.
pub(super) type Code = &'static str;

/// How a list is read.
#[derive(Deserialize)]
pub(super) struct PageOf {
    cursor: Option<String>,
    limit: Option<usize>,
    order: Option<String>,
}

/// Everything that was handed in.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    by_hash: HashMap<String, usize>,
    sequences: HashMap<String, i64>,
}

impl Ledger {
    pub(super) fn keep(&mut self, entry: Entry) {
        self.by_hash.insert(entry.hash.clone(), self.entries.len());
        self.sequences.insert(entry.source.clone(), entry.sequence);
        self.entries.push(entry);
    }

    pub(super) fn show(&self, hash: &str) -> Option<Value> {
        let number = *self.by_hash.get(hash)?;
        Some(self.entries.get(number)?.show(number))
    }

    /// Reads an envelope: its hash, and the entry it would make, unless it would not.
    pub(super) fn read(
        &self,
        envelope: &str,
        passphrase: &str,
        now: Timestamp,
    ) -> Result<(String, Result<Entry, Code>), Code> {
        let bytes = STANDARD.decode(envelope).map_err(|_| "tx_malformed")?;
        let limits = Limits { depth: 64, len: bytes.len() };
        let decoded = TransactionEnvelope::from_xdr(&bytes, limits.clone()).map_err(|_| "tx_malformed")?;
        let TransactionEnvelope::Tx(decoded) = decoded else { return Err("tx_not_supported") };
        let payload = TransactionSignaturePayload {
            network_id: stellar_xdr::Hash(network_id(passphrase)),
            tagged_transaction: TransactionSignaturePayloadTaggedTransaction::Tx(decoded.tx.clone()),
        };
        let limits = Limits { depth: 64, len: bytes.len().saturating_add(64) };
        let hash = Sha256::digest(payload.to_xdr(limits).map_err(|_| "tx_malformed")?);
        let signed = decoded
            .signatures
            .iter()
            .any(|signature| is_signed(&decoded.tx.source_account, &hash, signature.signature.as_slice()));
        let entry = if signed {
            self.judge(&decoded.tx, hex::encode(hash), envelope, now)
        } else {
            Err("tx_bad_auth")
        };
        Ok((hex::encode(hash), entry))
    }

    fn judge(
        &self,
        transaction: &Transaction,
        hash: String,
        envelope: &str,
        now: Timestamp,
    ) -> Result<Entry, Code> {
        if let Preconditions::Time(bounds) = &transaction.cond {
            let now_s = u64::try_from(now.unix_s()).unwrap_or_default();
            if now_s < bounds.min_time.0 {
                return Err("tx_too_early");
            }
            if bounds.max_time.0 != 0 && now_s > bounds.max_time.0 {
                return Err("tx_too_late");
            }
        }
        let source = transaction.source_account.to_string();
        let sequence = transaction.seq_num.0;
        if self.sequences.get(&source).is_some_and(|used| sequence <= *used) {
            return Err("tx_bad_seq");
        }
        let payment = transaction.operations.iter().find_map(|operation| match &operation.body {
            OperationBody::Payment(payment) => Some(payment),
            _ => None,
        });
        let payment = payment.ok_or("tx_missing_operation")?;
        Ok(Entry {
            hash,
            source,
            sequence,
            destination: payment.destination.to_string(),
            asset: match &payment.asset {
                stellar_xdr::Asset::Native => "XBN".to_owned(),
                stellar_xdr::Asset::CreditAlphanum4(issued) => code_of(&issued.asset_code.0),
                stellar_xdr::Asset::CreditAlphanum12(issued) => code_of(&issued.asset_code.0),
            },
            amount: Decimal::from_i128_with_scale(i128::from(payment.amount), 7),
            at_ms: now.unix_ms(),
            envelope: envelope.to_owned(),
        })
    }

    /// An account's transactions; entries are told by their place, which is their `paging_token`.
    pub(super) fn page(&self, account: &str, page: &PageOf) -> Option<Value> {
        let limit = page.limit.unwrap_or(USUAL_PAGE);
        if limit == 0 || limit > LARGEST_PAGE {
            return None;
        }
        let cursor: Option<usize> = match page.cursor.as_deref() {
            Some("") | None => None,
            Some(cursor) => Some(cursor.parse().ok()?),
        };
        let of_account = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.source == account || entry.destination == account);
        let records: Vec<Value> = if page.order.as_deref() == Some("desc") {
            let before = of_account.rev().filter(|(number, _)| cursor.is_none_or(|cursor| *number < cursor));
            before.take(limit).map(|(number, entry)| entry.show(number)).collect()
        } else {
            let after = of_account.filter(|(number, _)| cursor.is_none_or(|cursor| *number > cursor));
            after.take(limit).map(|(number, entry)| entry.show(number)).collect()
        };
        Some(json!({ "_embedded": { "records": records } }))
    }

    pub(super) fn effects(&self) -> impl Iterator<Item = Happened> {
        self.entries.iter().map(|entry| Happened {
            reference: entry.hash.clone(),
            kind: "ledger_payment",
            amount: entry.amount.normalize().to_string(),
            asset: entry.asset.clone(),
            destination: entry.destination.clone(),
            at: entry.at_ms,
            id: entry.hash.clone(),
            status: "successful".to_owned(),
        })
    }
}

impl Entry {
    fn show(&self, number: usize) -> Value {
        json!({
            "id": self.hash,
            "hash": self.hash,
            "successful": true,
            "ledger": number,
            "paging_token": number.to_string(),
            "source_account": self.source,
            "source_account_sequence": self.sequence.to_string(),
            "operation_count": 1,
            "envelope_xdr": self.envelope,
        })
    }
}

fn is_signed(source: &MuxedAccount, hash: &[u8], signature: &[u8]) -> bool {
    let key = match source {
        MuxedAccount::Ed25519(key) => key.0,
        MuxedAccount::MuxedEd25519(muxed) => muxed.ed25519.0,
    };
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(&key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(hash, &signature).is_ok()
}

fn code_of(padded: &[u8]) -> String {
    String::from_utf8_lossy(padded).trim_end_matches('\0').to_owned()
}
