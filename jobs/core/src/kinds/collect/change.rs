//! What is done with a payment after it was made.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Money;
use crate::ids::OperationId;
use crate::kinds::OperationKind;
use crate::kinds::asked::{Asked, Subject};
use crate::provider::{Action, Provider};

/// A change of a payment. What becomes of the money is the payment's own story: it posts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChange {
    /// The operation that made the payment.
    pub payment: OperationId,
    /// What to do.
    pub change: Change,
}

/// What can be done with a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Try to pay.
    Confirm {
        /// The provider's id of what is paid with, where the payment does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_method: Option<String>,
    },
    /// Take what was authorized.
    Capture {
        /// How much; `None` is all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        money: Option<Money>,
    },
    /// Give it up: what was authorized is released.
    Cancel,
}

impl Asked for PaymentChange {
    fn kind(&self) -> OperationKind {
        OperationKind::PaymentChange
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        match self.change {
            Change::Confirm { .. } => Action::PaymentConfirm,
            Change::Capture { .. } => Action::PaymentCapture,
            Change::Cancel => Action::PaymentCancel,
        }
    }

    fn money(&self) -> Option<Money> {
        match self.change {
            Change::Capture { money } => money,
            Change::Confirm { .. } | Change::Cancel => None,
        }
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject { operation: self.payment, kind: OperationKind::Payment })
    }

    fn changes_subject(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        let (change, payment_method) = match &self.change {
            Change::Confirm { payment_method } => ("confirm", payment_method.as_deref()),
            Change::Capture { .. } => ("capture", None),
            Change::Cancel => ("cancel", None),
        };
        BTreeMap::from([
            ("payment", json!(self.payment)),
            ("change", json!(change)),
            ("payment_method", json!(payment_method)),
        ])
    }
}
