//! The `reconcile` job: compares a provider's record of a window with ours, a page at a time. What two
//! entries come to is decided in `judge`; nothing here holds more than a page.

mod judge;

use std::fmt::Write as _;

pub use judge::{judge, missing_there, stuck};
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, OperationId};
use crate::kinds::Request;
use crate::provider::{Provider, Report};
use crate::{Money, Timestamp};

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

impl Reconcile {
    /// Whether an entry of this moment belongs to the window, by whole seconds, since providers know no
    /// more. One without a time does: better compared once too often than missed.
    #[must_use]
    pub fn covers(&self, at: Option<Timestamp>) -> bool {
        let (from, to) = (self.from.whole_second(), self.to.whole_second());
        at.is_none_or(|at| (from..to).contains(&at.whole_second()))
    }
}

/// How the two records differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The provider has it, we do not.
    MissingHere,
    /// We hold it for accepted or settled, the provider does not know it.
    MissingThere,
    /// Another amount or asset.
    Amount,
    /// Another state, or another destination.
    Status,
    /// The provider has it more than once.
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

/// What a run itself does about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// A deposit that nobody told us of is written down; the chain is asked before it counts.
    Applied,
    /// The provider is asked for a fresh status.
    Asked,
    /// What bears our key there is the answer that we never got.
    Adopted,
    /// It is woken.
    Woken,
}

impl Remedy {
    /// Its name in tables and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Asked => "asked",
            Self::Adopted => "adopted",
            Self::Woken => "woken",
        }
    }
}

/// One entry of the provider's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Our reference as the provider keeps it, where it keeps one.
    pub our_reference: Option<String>,
    /// When it was made there, where that can be read.
    pub at: Option<Timestamp>,
    /// What it says.
    pub report: Report,
}

/// One operation of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub operation: OperationId,
    /// The intent that was found by its reference, or the last one.
    pub intent: i32,
    /// That intent's reference as sent to the provider.
    pub reference: String,
    /// The provider's id, once it answered.
    pub provider_ref: Option<String>,
    /// The state's name.
    pub state: String,
    /// What was asked.
    pub request: Request,
}

/// What one of the two records says, as it is kept beside the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The provider's id there; our reference here.
    pub reference: String,
    /// In the words of whose record it is.
    pub state: String,
    /// How much of what, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One difference, with what each side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which kind.
    pub difference: Difference,
    /// What is done about it; `None`: it is for a person.
    pub remedy: Option<Remedy>,
    /// Our operation, if we have one.
    pub operation: Option<OperationId>,
    /// The provider's id, if it has one.
    pub provider_ref: Option<String>,
    /// The provider's record.
    pub theirs: Option<Side>,
    /// Ours.
    pub ours: Option<Side>,
}

impl Found {
    /// Both records in words.
    #[must_use]
    pub fn detail(&self) -> String {
        let mut detail = String::new();
        for (where_, side) in [("there", &self.theirs), ("; here", &self.ours)] {
            // Writing to a string cannot fail.
            let _ = match side {
                None => write!(detail, "{where_}: nothing"),
                Some(Side { reference, state, money, note }) => {
                    let money = money.map_or_else(|| "no amount".to_owned(), |money| money.to_string());
                    let note = note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
                    write!(detail, "{where_}: {reference} {state} of {money}{note}")
                }
            };
        }
        detail
    }
}

impl Side {
    /// What the provider says.
    #[must_use]
    pub fn theirs(report: &Report) -> Self {
        let state = report.raw_status.clone();
        Self { reference: report.provider_ref.clone(), state, money: report.money, note: None }
    }

    /// What we hold.
    #[must_use]
    pub fn ours(held: &Held) -> Self {
        let (reference, state) = (held.reference.clone(), held.state.clone());
        Self { reference, state, money: held.request.money(), note: None }
    }

    /// The same, with more words.
    #[must_use]
    pub fn noted(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}
