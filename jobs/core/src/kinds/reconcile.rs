//! The `reconcile` job: compares a provider's record of a window with ours.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::AccountId;
use crate::provider::{Provider, Report};

/// The job's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    /// Whose record.
    pub provider: Provider,
    /// Which of our accounts there.
    pub account: AccountId,
    /// From this moment, inclusive.
    pub from: Timestamp,
    /// To this moment, exclusive.
    pub to: Timestamp,
}

/// How the two records differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The provider has it, we do not.
    MissingHere,
    /// We hold it for accepted or settled, the provider does not list it.
    MissingThere,
    /// Another amount or asset.
    Amount,
    /// Another state.
    Status,
    /// The provider lists it more than once.
    DuplicateThere,
    /// Ours has not moved for too long.
    Stuck,
}

impl Difference {
    /// Its name in tables and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::Amount => "amount",
            Self::Status => "status",
            Self::DuplicateThere => "duplicate_there",
            Self::Stuck => "stuck",
        }
    }
}

/// One entry of the provider's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Our reference as the provider keeps it, where it keeps one.
    pub our_reference: Option<String>,
    /// What it says.
    pub report: Report,
}

/// One entry of ours in the same window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Our reference as sent to the provider.
    pub reference: String,
    /// The provider's id, once it answered.
    pub provider_ref: Option<String>,
    /// The state's name.
    pub state: String,
    /// The amount asked for.
    pub amount: Decimal,
    /// The code of its asset.
    pub asset: String,
}
