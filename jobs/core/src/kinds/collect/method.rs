//! What a customer pays with: kept for the next time, or let go.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::OperationId;
use crate::kinds::OperationKind;
use crate::kinds::asked::{Asked, Subject};
use crate::provider::{Action, Provider};

/// A change of what a customer can pay with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// The operation that made the customer.
    pub customer: OperationId,
    /// The provider's id of it.
    pub payment_method: String,
    /// What to do with it.
    pub change: MethodChange,
}

/// What can be done with a payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodChange {
    /// Keep it with the customer.
    Attach,
    /// Let it go, for good.
    Detach,
}

impl Asked for PaymentMethod {
    fn kind(&self) -> OperationKind {
        OperationKind::PaymentMethod
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        match self.change {
            MethodChange::Attach => Action::PaymentMethodAttach,
            MethodChange::Detach => Action::PaymentMethodDetach,
        }
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject { operation: self.customer, kind: OperationKind::Customer })
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("customer", json!(self.customer)),
            ("payment_method", json!(self.payment_method)),
            ("change", json!(self.change)),
        ])
    }
}
