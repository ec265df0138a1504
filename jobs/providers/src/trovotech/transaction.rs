//! Payments on Bantu, a Stellar network, that the vendor builds and we are asked to sign: decoded,
//! compared with what we asked for, and only then signed. What cannot be compared is refused.
//!
//! Signing what the server chose, unread, would let the server choose who is paid. `ledger` hands the
//! signed envelope in; the vendor's two-phase API, which builds them, is off until the vendor answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use stellar_xdr::{
    Asset, Limits, Memo, MuxedAccount, Operation, OperationBody, PaymentOp, Preconditions, ReadXdr,
    Transaction, TransactionEnvelope, TransactionExt, WriteXdr,
};

use super::bantupay::Seed;

/// Decimals of every amount on a Stellar network.
const AMOUNT_SCALE: u32 = 7;
/// Deeper than a payment nests (13), and far from what the stack holds.
const DEEPEST: u32 = 32;
/// Longer, in base64 characters, than any payment.
const LONGEST: usize = 4096;
/// The list of signatures of an envelope that has none: its length.
const NO_SIGNATURES: [u8; 4] = 0_u32.to_be_bytes();

/// What an unsigned envelope would do, as far as [`UnsignedPayment::check`] compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedPayment {
    /// The account whose sequence number and fee the transaction takes: `G...` (`M...` if muxed).
    pub source: String,
    /// The account that pays, where the first operation names another than the transaction does.
    pub operation_source: Option<String>,
    /// The account that is paid: `G...` (`M...` if muxed).
    pub destination: String,
    /// What it is paid in.
    pub asset: PaymentAsset,
    /// How much, in whole units of the asset (7 decimals).
    pub amount: Decimal,
    /// The text of its memo.
    pub memo: Option<String>,
    /// When a ledger may take it; unbounded where absent.
    pub time_bounds: Option<TimeBounds>,
    /// The most it may cost, in units of 0.0000001 XBN.
    pub fee: u32,
    /// How many operations it has. The fields above describe the first.
    pub operations: usize,
    /// Envelope type 2 and the transaction, as XDR: what is hashed behind the network id.
    tagged_transaction: Vec<u8>,
}

/// An asset on a Stellar network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentAsset {
    /// The network's own: XBN.
    Native,
    /// One that an account issued.
    Issued {
        /// 1 to 12 letters and digits.
        code: String,
        /// The account that issued it: `G...`.
        issuer: String,
    },
}

/// Seconds since 1970, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// From when on.
    pub not_before_s: u64,
    /// Until when; zero means for ever.
    pub not_after_s: u64,
}

/// The payment that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedPayment {
    /// Who pays, and pays the fee: `G...`.
    pub source: String,
    /// Who is paid: `G...`.
    pub destination: String,
    /// What it is paid in.
    pub asset: PaymentAsset,
    /// How much, in whole units of the asset.
    pub amount: Decimal,
    /// The memo that was asked for.
    pub memo: Option<String>,
    /// The most it may cost, in units of 0.0000001 XBN.
    pub highest_fee: u32,
    /// The time it is signed at, in seconds since 1970: it must be valid then.
    pub now_s: u64,
    /// When at the latest it must have become impossible, in seconds since 1970. Without an end, a
    /// payment that was given up could still happen.
    pub dead_after_s: u64,
}

/// Why an envelope was not decoded. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than any payment.
    #[error("is longer than any payment ({LONGEST} characters)")]
    TooLong,
    /// Not base64.
    #[error("is not base64")]
    NotBase64,
    /// Not an envelope, or not encoded in the one way that XDR allows.
    #[error("is not the XDR of a transaction envelope")]
    Malformed,
    /// Somebody signed it already.
    #[error("already carries signatures")]
    Signed,
    /// Something a payment of ours never has, which [`UnsignedPayment::check`] could not compare.
    #[error("has {0}, which no payment of ours has")]
    Unsupported(&'static str),
}

/// The field in which an envelope differs from what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Not exactly one operation.
    #[error("the number of operations is not one")]
    Operations,
    /// Another account.
    #[error("the source account is not the one asked for")]
    Source,
    /// The operation takes the money from another account.
    #[error("the operation's source account is not the one asked for")]
    OperationSource,
    /// Somebody else is paid.
    #[error("the destination is not the one asked for")]
    Destination,
    /// Another asset, or the same code of another issuer.
    #[error("the asset is not the one asked for")]
    Asset,
    /// Another amount.
    #[error("the amount is not the one asked for")]
    Amount,
    /// Another memo, or none.
    #[error("the memo is not the one asked for")]
    Memo,
    /// Dearer than allowed.
    #[error("the fee is higher than allowed")]
    Fee,
    /// Not valid now, or for too long.
    #[error("the time bounds are absent, exclude the present, or end too late")]
    TimeBounds,
}

/// A signed payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPayment {
    /// The envelope with our signature as its only one: XDR in base64.
    pub envelope: String,
    /// The 64 bytes of the signature alone, in base64.
    pub signature: String,
    /// What the ledger will know it by, lower hex.
    pub hash: String,
}

impl UnsignedPayment {
    /// Decodes an envelope without signatures: base64 of XDR, one or more operations of which the
    /// first is a payment.
    ///
    /// # Errors
    /// [`EnvelopeError`]: it is something else, or has a part that nothing here compares.
    pub fn decode(base64: &str) -> Result<Self, EnvelopeError> {
        if base64.len() > LONGEST {
            return Err(EnvelopeError::TooLong);
        }
        let bytes = STANDARD.decode(base64).map_err(|_| EnvelopeError::NotBase64)?;
        let limits = Limits { depth: DEEPEST, len: bytes.len() };
        let envelope = TransactionEnvelope::from_xdr(&bytes, limits.clone());
        let envelope = envelope.map_err(|_| EnvelopeError::Malformed)?;
        // The bytes are signed, the decoded form is compared: they must be the same thing.
        if envelope.to_xdr(limits).map_err(|_| EnvelopeError::Malformed)? != bytes {
            return Err(EnvelopeError::Malformed);
        }
        let TransactionEnvelope::Tx(envelope) = envelope else {
            return Err(EnvelopeError::Unsupported("an old or a fee-bump envelope"));
        };
        if !envelope.signatures.is_empty() {
            return Err(EnvelopeError::Signed);
        }
        let tagged_transaction = bytes.strip_suffix(&NO_SIGNATURES).ok_or(EnvelopeError::Malformed)?.to_vec();
        Self::read(&envelope.tx, tagged_transaction)
    }

    fn read(transaction: &Transaction, tagged_transaction: Vec<u8>) -> Result<Self, EnvelopeError> {
        if transaction.ext != TransactionExt::V0 {
            return Err(EnvelopeError::Unsupported("contract data"));
        }
        let (operation, payment) = first_payment(&transaction.operations)?;
        Ok(Self {
            source: transaction.source_account.to_string(),
            operation_source: operation.source_account.as_ref().map(MuxedAccount::to_string),
            destination: payment.destination.to_string(),
            asset: asset_of(&payment.asset)?,
            amount: Decimal::from_i128_with_scale(i128::from(payment.amount), AMOUNT_SCALE),
            memo: memo_of(&transaction.memo)?,
            time_bounds: time_bounds_of(&transaction.cond)?,
            fee: transaction.fee,
            operations: transaction.operations.len(),
            tagged_transaction,
        })
    }

    /// Compares everything that moves money. The sequence number is the ledger's to judge: a wrong
    /// one is refused there, and the time bounds end its chances.
    ///
    /// # Errors
    /// The first [`Mismatch`]: do not sign it.
    pub fn check(&self, expected: &ExpectedPayment) -> Result<(), Mismatch> {
        let holds = [
            (self.operations == 1, Mismatch::Operations),
            (self.source == expected.source, Mismatch::Source),
            (
                self.operation_source.as_ref().is_none_or(|source| *source == expected.source),
                Mismatch::OperationSource,
            ),
            (self.destination == expected.destination, Mismatch::Destination),
            (self.asset == expected.asset, Mismatch::Asset),
            (self.amount == expected.amount, Mismatch::Amount),
            (self.memo == expected.memo, Mismatch::Memo),
            (self.fee <= expected.highest_fee, Mismatch::Fee),
            (self.time_bounds.is_some_and(|bounds| bounds.suit(expected)), Mismatch::TimeBounds),
        ];
        holds.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, mismatch)| Err(mismatch))
    }

    /// SHA-256(network id ‖ envelope type 2 ‖ transaction): what is signed, and the id under which a
    /// ledger shows the transaction. Known before it is sent, so that a lost answer can be looked up.
    ///
    /// `network_passphrase` comes from configuration, never from the answer that brought the envelope:
    /// it says on which network the money moves.
    #[must_use]
    pub fn hash(&self, network_passphrase: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(network_id(network_passphrase))
            .chain_update(&self.tagged_transaction)
            .finalize()
            .into()
    }

    /// Signs it for the network of `network_passphrase`. Only after [`UnsignedPayment::check`].
    #[must_use]
    pub fn sign(&self, seed: &Seed, network_passphrase: &str) -> SignedPayment {
        let hash = self.hash(network_passphrase);
        let signature = seed.sign(&hash);
        let public_key = seed.public_key();
        // The end of the public key: tells a validator which signer to try.
        let [.., a, b, c, d] = public_key;
        let envelope = [
            self.tagged_transaction.as_slice(),
            &1_u32.to_be_bytes(), // one signature
            &[a, b, c, d],
            &64_u32.to_be_bytes(), // its length
            &signature,
        ]
        .concat();
        SignedPayment {
            envelope: STANDARD.encode(envelope),
            signature: STANDARD.encode(signature),
            hash: hex::encode(hash),
        }
    }
}

impl TimeBounds {
    fn suit(self, expected: &ExpectedPayment) -> bool {
        let valid = self.not_before_s..=self.not_after_s;
        valid.contains(&expected.now_s) && self.not_after_s <= expected.dead_after_s
    }
}

/// What tells networks apart: the SHA-256 of a network's passphrase.
#[must_use]
pub fn network_id(passphrase: &str) -> [u8; 32] {
    Sha256::digest(passphrase).into()
}

fn first_payment(operations: &[Operation]) -> Result<(&Operation, &PaymentOp), EnvelopeError> {
    match operations.first() {
        Some(operation @ Operation { body: OperationBody::Payment(payment), .. }) => Ok((operation, payment)),
        Some(_) => Err(EnvelopeError::Unsupported("an operation that is no payment")),
        None => Err(EnvelopeError::Unsupported("no operation")),
    }
}

fn asset_of(asset: &Asset) -> Result<PaymentAsset, EnvelopeError> {
    let (code, shortest, issuer) = match asset {
        Asset::Native => return Ok(PaymentAsset::Native),
        Asset::CreditAlphanum4(issued) => (issued.asset_code.0.as_slice(), 1, &issued.issuer),
        Asset::CreditAlphanum12(issued) => (issued.asset_code.0.as_slice(), 5, &issued.issuer),
    };
    // Padded with zero bytes. A short code in the long form would be another asset of the same name.
    let end = code.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    let text = code.get(..end).and_then(|code| std::str::from_utf8(code).ok());
    match text {
        Some(code) if code.len() >= shortest && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(PaymentAsset::Issued { code: code.to_owned(), issuer: issuer.to_string() })
        }
        _ => Err(EnvelopeError::Unsupported("an asset code that no asset can have")),
    }
}

fn memo_of(memo: &Memo) -> Result<Option<String>, EnvelopeError> {
    match memo {
        Memo::None => Ok(None),
        Memo::Text(text) => match std::str::from_utf8(text.as_ref()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(EnvelopeError::Unsupported("a memo that is no text")),
        },
        Memo::Id(_) | Memo::Hash(_) | Memo::Return(_) => {
            Err(EnvelopeError::Unsupported("a memo that is no text"))
        }
    }
}

fn time_bounds_of(conditions: &Preconditions) -> Result<Option<TimeBounds>, EnvelopeError> {
    match conditions {
        Preconditions::None => Ok(None),
        Preconditions::Time(bounds) => {
            Ok(Some(TimeBounds { not_before_s: bounds.min_time.0, not_after_s: bounds.max_time.0 }))
        }
        Preconditions::V2(_) => Err(EnvelopeError::Unsupported("preconditions other than time bounds")),
    }
}

#[cfg(test)]
mod tests;
