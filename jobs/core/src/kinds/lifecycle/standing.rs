//! What a payout schedule adds to the life of an operation: what is owed, and its moments.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Applied, Event, Illegal, Operation, Outcome, State};
use crate::kinds::Request;
use crate::{Asset, Money, Timestamp};

impl Operation {
    /// What was said to be owed in all, of a schedule.
    #[must_use]
    pub const fn owed_so_far(&self) -> Option<Money> {
        if let State::Accepted { received, .. } = &self.state { *received } else { None }
    }

    /// More is owed. What cannot be added to what was owed before is for a person.
    pub(super) fn owed(&self, money: Money) -> Applied {
        let noted = |why: &str| {
            let discrepancy = Some(format!("{money} was said to be owed, {why}"));
            Applied { state: self.state.clone(), outcome: Outcome { discrepancy, ..Outcome::default() } }
        };
        if self.scheduled_asset() != Some(money.asset()) {
            return noted("of another asset than the schedule pays");
        }
        let Some(owed) = self.owed_so_far().map_or(Some(money), |before| before.plus(money)) else {
            return noted("which is more than can be held");
        };
        match &self.state {
            State::Requested | State::Accepted { .. } => self.standing(Some(owed), None).into(),
            State::Submitting { .. }
            | State::Retrying { .. }
            | State::InDoubt { .. }
            | State::Quarantined { .. }
            | State::Settled { .. }
            | State::Returned { .. }
            | State::Failed { .. } => noted("and the schedule has ended"),
        }
    }

    /// It has begun, or has paid at one of its moments.
    pub(super) fn ticked(
        &self,
        at: Timestamp,
        paid: Option<Money>,
        event: &Event,
    ) -> Result<Applied, Illegal> {
        match &self.state {
            State::Requested | State::Accepted { .. } => {
                Ok(self.standing(self.owed_so_far(), paid.map(|money| (at, money))).into())
            }
            State::Submitting { .. }
            | State::Retrying { .. }
            | State::InDoubt { .. }
            | State::Quarantined { .. }
            | State::Settled { .. }
            | State::Returned { .. }
            | State::Failed { .. } => Err(self.illegal(event)),
        }
    }

    fn standing(&self, owed: Option<Money>, paid: Option<(Timestamp, Money)>) -> State {
        let mut facts = self.state.facts().cloned().unwrap_or_default();
        let mut say = |name: &str, value: String| facts.insert(name.to_owned(), value.into());
        if let Some(owed) = owed {
            say("owed_in_all", owed.amount().to_string());
        }
        if let Some((at, money)) = paid {
            say("last_paid", money.amount().to_string());
            say("last_paid_at", OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default());
        }
        State::Accepted {
            provider_ref: format!("standing:{}", self.id),
            tx_hash: None,
            facts,
            received: owed,
        }
    }

    fn scheduled_asset(&self) -> Option<Asset> {
        if let Request::PayoutSchedule(of) = &self.request { Some(of.asset) } else { None }
    }
}
