//! A refund of a payment, whole or in part; never more than was captured.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Money;
use crate::ids::OperationId;
use crate::kinds::OperationKind;
use crate::kinds::asked::{Asked, DAY_MS, Reservation, Settled, Standing, Subject, other_money};
use crate::ledger::Movement;
use crate::provider::{Action, Provider, Report};

/// What a client asked to give back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The operation that made the payment.
    pub payment: OperationId,
    /// How much of what.
    pub money: Money,
    /// Why, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RefundReason>,
}

/// Why money is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// It was paid twice.
    Duplicate,
    /// The payer was not who they said.
    Fraudulent,
    /// The payer asked for it.
    RequestedByCustomer,
}

impl Asked for Refund {
    fn kind(&self) -> OperationKind {
        OperationKind::Refund
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        Action::Refund
    }

    /// Banks take up to ten working days.
    fn polled_for_ms(&self) -> u64 {
        14 * DAY_MS
    }

    fn money(&self) -> Option<Money> {
        Some(self.money)
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject { operation: self.payment, kind: OperationKind::Payment })
    }

    fn needs_settled_subject(&self) -> bool {
        true
    }

    fn objection(&self, subject: &Standing) -> Option<String> {
        let captured = subject.state.moved()?.asset();
        (captured != self.money.asset())
            .then(|| format!("the payment was taken in {captured}; ask for the refund in {captured}"))
    }

    /// Of what the payment brought in: where nobody said how much that was, of nothing.
    fn reservation(&self, subject: Option<&Standing>) -> Option<Reservation> {
        let captured = subject?.state.moved();
        Some(Reservation {
            pool: format!("refund:{}", self.payment),
            amount: self.money.amount(),
            whole: captured.map_or(Decimal::ZERO, |captured| captured.amount()),
        })
    }

    fn difference(&self, report: &Report) -> Option<String> {
        other_money(self.money, report)
    }

    /// From our balance back to the payers.
    fn settlement(&self, settled: &Settled<'_>) -> Option<Movement> {
        let from = settled.ours_at(Provider::Stripe);
        Some(Settled::moves(self.money, &from, &settled.tenants("collected")))
    }

    /// A refund that succeeded can still fail: the card is closed, and the money comes back.
    fn may_return(&self) -> bool {
        true
    }

    /// Banks take up to ten business days.
    fn patience_ms(&self) -> Option<u64> {
        DAY_MS.checked_mul(15)
    }

    fn is_listed(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([("payment", json!(self.payment)), ("reason", json!(self.reason))])
    }
}
