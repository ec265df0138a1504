//! The events. They are stored in the inbox and in the history, so their shapes are frozen: add
//! variants and optional fields, never rename.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use serde::{Deserialize, Serialize};

use crate::kinds::distribution::Holder;
use crate::provider::{CallOutcome, Finding, Report, hide_secrets};
use crate::{Money, Timestamp};

/// What can happen to an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// We saved an intent and are about to call.
    IntentOpened {
        /// Its number.
        intent: i32,
    },
    /// Our own rules forbid it; nothing was sent.
    Refused {
        /// Which rule.
        reason: String,
    },
    /// The call ended.
    Called {
        /// Of which intent.
        intent: i32,
        /// How.
        outcome: CallOutcome,
    },
    /// A worker found the intent open: its caller died or lost its claim on the way.
    LeftOpen {
        /// Which intent.
        intent: i32,
    },
    /// The outcome of a call whose claim had passed on. The answer is the provider's own, so it
    /// resolves a doubt about that intent, and nothing else.
    Evidence {
        /// Of which intent.
        intent: i32,
        /// How the call ended.
        outcome: CallOutcome,
        /// Nothing is ever sent to find out about this intent, and it was not sent again: what this call
        /// knows is all there is to know, so that a no decides as well.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        decides: bool,
    },
    /// A probe of the open intent ended.
    Probed {
        /// Of which intent.
        intent: i32,
        /// What it found.
        finding: Finding,
    },
    /// A poll of the provider or the chain.
    Polled {
        /// What it says.
        report: Report,
    },
    /// The client names more of those it is split over. They are read from the inbox when it is.
    HoldersAdded {
        /// Each once; none in a record, which tells only how many.
        holders: Vec<Holder>,
        /// How many there were.
        count: u32,
    },
    /// It has become operations of its own, one for each part that is paid.
    Divided {
        /// How many parts.
        parts: u32,
        /// How many of them are paid; the others are carried over.
        paid: u32,
    },
    /// All that it became have ended.
    Gathered {
        /// What was paid.
        moved: Money,
        /// How many of them were.
        settled: u32,
        /// How many were not.
        failed: u32,
    },
    /// A transfer to its address is final on the chain.
    Deposited {
        /// In which transaction; with the transfer's place where it has several to one address.
        transaction: String,
        /// How much of what.
        money: Money,
    },
    /// The time that payers had is over.
    Expired,
    /// The client does not want it any more.
    Cancelled {
        /// Who asked for that.
        by: String,
    },
    /// A person says that it has happened: that an order is paid, or what became of it in doubt.
    ConfirmedByHand {
        /// Who.
        author: String,
        /// Why.
        reason: String,
        /// What it is called at the provider, where we do not know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_ref: Option<String>,
    },
    /// A person says that it has not happened and will not, or was undone.
    DeniedByHand {
        /// Who.
        author: String,
        /// Why.
        reason: String,
    },
    /// The client says that a beneficiary is owed this, beside what was owed before.
    Owed {
        /// How much.
        money: Money,
    },
    /// A schedule has come to one of its moments and paid, or has begun.
    Ticked {
        /// Which moment.
        at: Timestamp,
        /// What the payout of this moment pays; `None`: the schedule has begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paid: Option<Money>,
    },
    /// A webhook: worth a look, never proof.
    Hinted {
        /// What the provider says.
        report: Report,
    },
}

impl Event {
    /// The same as a record holds it: without secrets, and without what would make it long.
    #[must_use]
    pub fn for_the_record(&self) -> Self {
        let mut event = self.clone();
        match &mut event {
            Self::Called { outcome: CallOutcome::Accepted { report }, .. }
            | Self::Evidence { outcome: CallOutcome::Accepted { report }, .. }
            | Self::Probed { finding: Finding::Found { report }, .. }
            | Self::Polled { report }
            | Self::Hinted { report } => hide_secrets(&mut report.facts),
            Self::HoldersAdded { holders, .. } => holders.clear(),
            Self::Called { outcome: CallOutcome::Failed { .. }, .. }
            | Self::Evidence { outcome: CallOutcome::Failed { .. }, .. }
            | Self::Probed { finding: Finding::Refused { .. } | Finding::StillUnknown { .. }, .. }
            | Self::IntentOpened { .. }
            | Self::Refused { .. }
            | Self::LeftOpen { .. }
            | Self::Divided { .. }
            | Self::Gathered { .. }
            | Self::Deposited { .. }
            | Self::Expired
            | Self::Cancelled { .. }
            | Self::Owed { .. }
            | Self::Ticked { .. }
            | Self::ConfirmedByHand { .. }
            | Self::DeniedByHand { .. } => {}
        }
        event
    }

    /// Its name in history and diagrams.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::IntentOpened { .. } => "intent_opened",
            Self::Refused { .. } => "refused",
            Self::Called { .. } => "called",
            Self::LeftOpen { .. } => "left_open",
            Self::Evidence { .. } => "evidence",
            Self::Probed { .. } => "probed",
            Self::Polled { .. } => "polled",
            Self::HoldersAdded { .. } => "holders_added",
            Self::Divided { .. } => "divided",
            Self::Gathered { .. } => "gathered",
            Self::Deposited { .. } => "deposited",
            Self::Expired => "expired",
            Self::Cancelled { .. } => "cancelled",
            Self::ConfirmedByHand { .. } => "confirmed_by_hand",
            Self::DeniedByHand { .. } => "denied_by_hand",
            Self::Owed { .. } => "owed",
            Self::Ticked { .. } => "ticked",
            Self::Hinted { .. } => "hinted",
        }
    }
}
