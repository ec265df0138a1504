//! A link to the onboarding of a connected account. It lives for minutes and works once.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::OperationId;
use crate::kinds::OperationKind;
use crate::kinds::asked::{Asked, Subject};
use crate::provider::{Action, Provider};

/// A link that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLink {
    /// The operation that made the account.
    pub account: OperationId,
    /// Where the owner is sent when the link has expired or was used.
    pub refresh_url: String,
    /// Where the owner comes back to, whatever was filled in.
    pub return_url: String,
}

impl Asked for AccountLink {
    fn kind(&self) -> OperationKind {
        OperationKind::AccountLink
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        Action::AccountLink
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject { operation: self.account, kind: OperationKind::Account })
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("account", json!(self.account)),
            ("refresh_url", json!(self.refresh_url)),
            ("return_url", json!(self.return_url)),
        ])
    }
}
