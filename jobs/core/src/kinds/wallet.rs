//! A custodial wallet for an investor, one each: asking again finds the first.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::Asked;
use crate::address::Network;
use crate::kinds::OperationKind;
use crate::provider::{Action, Provider};

/// Whom a wallet is for. Personal data: kept in the request, and in nothing that is logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// How the provider tells investors apart.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Whether the client has checked who they are.
    pub kyc_verified: bool,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet").field("kyc_verified", &self.kyc_verified).finish_non_exhaustive()
    }
}

impl Asked for Wallet {
    fn kind(&self) -> OperationKind {
        OperationKind::Wallet
    }

    fn provider(&self) -> Provider {
        Provider::TrovoTech
    }

    fn action(&self) -> Action {
        Action::Wallet
    }

    fn network(&self) -> Option<Network> {
        Some(Network::Bantu)
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("investor_email", json!(self.email)),
            ("investor_name", json!(self.name)),
            ("kyc_verified", json!(self.kyc_verified)),
        ])
    }
}
