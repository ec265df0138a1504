//! An order: an incoming payment on a chain, to an address that is allotted to it alone.
//!
//! What comes in is told by [`Event::Deposited`], once a transfer is final on its chain. Paid late, in
//! parts, too much or too little: the money is in the ledger in every case, and whatever a person must
//! decide is shown to one.
//!
//! [`Event::Deposited`]: crate::kinds::lifecycle::Event::Deposited
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::Asked;
use crate::Money;
use crate::address::Network;
use crate::kinds::OperationKind;
use crate::provider::{Action, Provider};

/// What a client expects to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// How much of what.
    pub money: Money,
    /// On which chain.
    pub network: Network,
    /// How long the payer has, in seconds from the moment it was asked for.
    pub lifetime_s: u32,
    /// The client's own words for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Order {
    /// The longest a payer can have, in seconds: a week.
    pub const LONGEST_LIFETIME_S: u32 = 7 * 24 * 3_600;
    /// What a payer has where nothing is said, in seconds: an hour.
    pub const LIFETIME_S: u32 = 3_600;
}

impl Asked for Order {
    fn kind(&self) -> OperationKind {
        OperationKind::Order
    }

    fn provider(&self) -> Provider {
        Provider::Tatum
    }

    /// What is done there is to have an address watched.
    fn action(&self) -> Action {
        Action::Watch
    }

    fn money(&self) -> Option<Money> {
        Some(self.money)
    }

    fn network(&self) -> Option<Network> {
        Some(self.network)
    }

    fn lifetime_ms(&self) -> u64 {
        u64::from(self.lifetime_s.max(1)).saturating_mul(1_000)
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("network", json!(self.network)),
            ("lifetime_s", json!(self.lifetime_s)),
            ("reference", json!(self.reference)),
        ])
    }
}
