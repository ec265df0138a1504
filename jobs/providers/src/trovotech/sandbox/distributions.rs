//! Revenues that the sandbox splits, and readings it keeps. As with mints nothing makes a distribution
//! idempotent: the same request twice is paid twice.

use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::book::Refusal;
use super::wire::{hash_of, number, time_of};
use crate::sandbox::Happened;

/// `POST /payout/distribute`.
#[derive(Deserialize)]
pub(super) struct Distribute {
    issuer_id: String,
    token_ids: Vec<String>,
    total_amount: Box<RawValue>,
    period: String,
    #[serde(default)]
    description: String,
}

/// `POST /telemetry/sync`. The reading itself is nobody's business here.
#[derive(Deserialize)]
pub(super) struct Telemetry {
    pub(super) asset_id: String,
    pub(super) telemetry_data: serde_json::Map<String, Value>,
}

/// A holder and the share of the revenue that goes by.
pub(super) struct Holder {
    pub(super) token_id: String,
    pub(super) wallet: String,
    pub(super) percent: Decimal,
}

/// A revenue that was split, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Payout {
    number: usize,
    reference: String,
    period: String,
    description: String,
    parts: Vec<Part>,
    pub(super) created_ms: i64,
    /// The event that tells its end: completed, or failed.
    succeeds: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    token_id: String,
    wallet: String,
    amount: Decimal,
}

impl Distribute {
    /// Splits by ownership; the last holder gets what rounding left.
    pub(super) fn split(
        self,
        number: usize,
        reference: &str,
        holder: impl Fn(&str) -> Option<Holder>,
        wrong: bool,
        succeeds: bool,
        created_ms: i64,
    ) -> Result<Payout, Refusal> {
        let total = parse_plain_decimal(self.total_amount.get()).ok().filter(|total| *total > Decimal::ZERO);
        let total = total.ok_or(Refusal::Invalid("total_amount must be above 0"))?;
        if self.issuer_id.is_empty() || self.token_ids.is_empty() {
            return Err(Refusal::Invalid("issuer_id and token_ids are required"));
        }
        let holders: Option<Vec<Holder>> = self.token_ids.iter().map(|id| holder(id)).collect();
        let holders = holders.ok_or(Refusal::Invalid("there is no such token"))?;
        let whole = holders.iter().fold(Decimal::ZERO, |sum, holder| sum.saturating_add(holder.percent));
        let mut rest = if wrong { total.saturating_add(Decimal::ONE) } else { total };
        let last = holders.len().saturating_sub(1);
        let mut parts = Vec::new();
        for (place, holder) in holders.into_iter().enumerate() {
            let share = total.saturating_mul(holder.percent).checked_div(whole).unwrap_or_default();
            let amount = if place == last { rest } else { share.round_dp(2) };
            rest = rest.saturating_sub(amount);
            parts.push(Part { token_id: holder.token_id, wallet: holder.wallet, amount });
        }
        let (period, description) = (self.period, self.description);
        let reference = reference.to_owned();
        Ok(Payout { number, reference, period, description, parts, created_ms, succeeds })
    }
}

impl Payout {
    pub(super) fn id(&self) -> String {
        format!("PO_{}", self.number)
    }

    pub(super) fn transaction(&self) -> String {
        hash_of(&format!("payout {}", self.number))
    }

    pub(super) fn succeeds(&self) -> bool {
        self.succeeds
    }

    pub(super) fn answer(&self) -> Value {
        let parts: Vec<Value> = self
            .parts
            .iter()
            .map(|part| json!({ "token_id": part.token_id, "amount": number(part.amount) }))
            .collect();
        json!({
            "payout_id": self.id(),
            "distributions": parts,
            "tx_hash": self.transaction(),
            "completed_at": time_of(self.created_ms),
        })
    }

    pub(super) fn event(&self) -> String {
        if !self.succeeds {
            let data = json!({ "payout_id": self.id(), "reason": "the trustee refused it" });
            return json!({ "event_type": "payout.failed", "data": data }).to_string();
        }
        let parts: Vec<Value> = self
            .parts
            .iter()
            .map(|part| {
                let amount = number(part.amount);
                json!({ "token_id": part.token_id, "amount": amount, "investor_wallet": part.wallet })
            })
            .collect();
        let mut data = self.answer();
        if let Some(data) = data.as_object_mut() {
            data.insert("distributions".to_owned(), Value::Array(parts));
            data.insert("period".to_owned(), json!(self.period));
            data.insert("description".to_owned(), json!(self.description));
        }
        json!({ "event_type": "payout.completed", "data": data }).to_string()
    }

    /// One for each holder.
    pub(super) fn effects(&self, status: &str) -> impl Iterator<Item = Happened> {
        self.parts.iter().map(move |part| Happened {
            reference: self.reference.clone(),
            kind: "distribution",
            amount: part.amount.normalize().to_string(),
            asset: part.token_id.clone(),
            destination: part.wallet.clone(),
            at: self.created_ms,
            id: self.id(),
            status: status.to_owned(),
        })
    }
}
