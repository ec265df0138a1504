//! A connected account at Stripe: made once, and what its owner is sent to fill in.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

mod link;

use std::collections::BTreeMap;

pub use link::AccountLink;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::Asked;
use crate::kinds::OperationKind;
use crate::provider::{Action, Provider};

/// An Express account that is to receive transfers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Two letters, upper case.
    pub country: String,
    /// Its owner's address. Personal: not logged.
    pub email: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("country", &self.country).finish_non_exhaustive()
    }
}

impl Asked for Account {
    fn kind(&self) -> OperationKind {
        OperationKind::Account
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        Action::Account
    }

    /// What it may do, and what its owner still has to bring.
    fn is_alive(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([("country", json!(self.country)), ("email", json!(self.email))])
    }
}
