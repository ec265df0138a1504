//! A payment that is to come in.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Money;
use crate::ids::OperationId;
use crate::kinds::OperationKind;
use crate::kinds::asked::{Asked, DAY_MS, Settled, Subject, other_money};
use crate::ledger::Movement;
use crate::provider::{Action, Provider, Report};

/// What a client asked to collect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// How much of what.
    pub money: Money,
    /// The operation that made the customer, where one pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<OperationId>,
    /// The provider's id of what is paid with; with one, the payment is tried at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// When the money is taken.
    pub capture: Capture,
    /// Shown to people at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// When the money of a payment is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// As soon as the payer has agreed.
    Automatic,
    /// By an operation of its own, all of it or a part.
    Manual,
}

impl Asked for Payment {
    fn kind(&self) -> OperationKind {
        OperationKind::Payment
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        Action::Payment
    }

    fn money(&self) -> Option<Money> {
        Some(self.money)
    }

    fn subject(&self) -> Option<Subject> {
        self.customer.map(|operation| Subject { operation, kind: OperationKind::Customer })
    }

    /// Whoever does not pay within a week has left; Stripe never says so by itself.
    fn polled_for_ms(&self) -> u64 {
        7 * DAY_MS
    }

    /// A part may be captured where capturing is the client's own doing; never another currency, never more.
    fn difference(&self, report: &Report) -> Option<String> {
        let is_part = report
            .money
            .is_some_and(|said| said.asset() == self.money.asset() && said.amount() < self.money.amount());
        if self.capture == Capture::Manual && is_part { None } else { other_money(self.money, report) }
    }

    /// What was received, from the payers to our balance.
    fn settlement(&self, settled: &Settled<'_>) -> Option<Movement> {
        let received = settled.report.money.unwrap_or(self.money);
        let to = settled.ours_at(Provider::Stripe);
        Some(Settled::moves(received, &settled.tenants("collected"), &to))
    }

    /// A payer may take their time.
    fn patience_ms(&self) -> Option<u64> {
        None
    }

    fn is_listed(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("customer", json!(self.customer)),
            ("payment_method", json!(self.payment_method)),
            ("capture", json!(self.capture)),
            ("description", json!(self.description)),
        ])
    }
}
