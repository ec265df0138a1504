//! Hashes, times and numbers as the API writes them.

use payfleet_core::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn hash_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

pub(super) fn time_of(ms: i64) -> String {
    let seconds = Timestamp::from_unix_ms(ms).unix_s().saturating_mul(1000);
    OffsetDateTime::from(Timestamp::from_unix_ms(seconds)).format(&Rfc3339).unwrap_or_default()
}

/// The amount as a JSON number: exact to fifteen digits, which is more than a sandbox is asked for.
pub(super) fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.normalize().to_string()).unwrap_or(Value::Null)
}
