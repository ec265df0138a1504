//! A transfer: money of ours to a connected account's balance, by Stripe.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::{Asked, Settled, Subject, other_money};
use crate::Money;
use crate::ids::OperationId;
use crate::kinds::OperationKind;
use crate::kinds::payout::Origin;
use crate::ledger::Movement;
use crate::provider::{Action, Provider, Report};

/// What a client asked to have transferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// How much of what.
    pub money: Money,
    /// The operation that made the connected account.
    pub account: OperationId,
    /// Joins it with payments in Stripe's records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Why it is made.
    #[serde(default, skip_serializing_if = "Origin::is_manual")]
    pub origin: Origin,
}

impl Asked for Transfer {
    fn kind(&self) -> OperationKind {
        OperationKind::Transfer
    }

    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn action(&self) -> Action {
        Action::Transfer
    }

    fn money(&self) -> Option<Money> {
        Some(self.money)
    }

    fn origin(&self) -> Option<Origin> {
        Some(self.origin)
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject { operation: self.account, kind: OperationKind::Account })
    }

    fn difference(&self, report: &Report) -> Option<String> {
        other_money(self.money, report)
    }

    /// From our balance to the account's.
    fn settlement(&self, settled: &Settled<'_>) -> Option<Movement> {
        let (from, to) = (settled.ours_at(Provider::Stripe), settled.theirs_at(Provider::Stripe));
        Some(Settled::moves(self.money, &from, &to))
    }

    /// It is reversed on the provider's page, by its support, or with a refund.
    fn may_return(&self) -> bool {
        true
    }

    fn is_listed(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("account", json!(self.account)),
            ("group", json!(self.group)),
            ("origin", json!(self.origin.name())),
            ("origin_id", json!(self.origin.made_by())),
        ])
    }
}
