//! A customer: who pays, so that what they pay with can be kept for the next time.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kinds::OperationKind;
use crate::kinds::asked::Asked;
use crate::provider::{Action, Provider};

/// Who pays. Personal data: not logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Where receipts go.
    pub email: String,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl std::fmt::Debug for Customer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Customer").finish_non_exhaustive()
    }
}

impl Asked for Customer {
    fn kind(&self) -> OperationKind {
        OperationKind::Customer
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        Action::Customer
    }

    /// What they pay with.
    fn is_alive(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([("email", json!(self.email)), ("name", json!(self.name))])
    }
}
