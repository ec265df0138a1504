//! What a provider says of an operation after it has settled: a bank takes it back, an account goes on
//! changing, or the word contradicts our record.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use super::by_hand::BY_HAND;
use super::{Applied, Event, Operation, Outcome, State};
use crate::provider::{Progress, Report};

impl Operation {
    /// What `report`, polled or hinted, makes of an operation that has settled as `provider_ref`.
    pub(super) fn told_after_settling(&self, provider_ref: &str, event: &Event, report: &Report) -> Applied {
        if report.provider_ref != provider_ref {
            self.discrepancy(&report.provider_ref, "was reported")
        } else if let Progress::Failed { reason } = &report.progress
            && self.request.may_return()
        {
            self.taken_back(event, report, reason)
        } else if matches!(report.progress, Progress::Failed { .. }) {
            self.discrepancy(provider_ref, "was reported as failed after it had settled")
        } else if let Some(difference) = self.request.difference(report) {
            self.discrepancy(provider_ref, &format!("had settled when another report came: {difference}"))
        } else if self.request.is_alive() {
            self.alive(event, report)
        } else {
            self.unchanged()
        }
    }

    /// What the provider's word that a success was taken back makes of it: a poll decides, a hint is
    /// looked into.
    fn taken_back(&self, event: &Event, report: &Report, reason: &str) -> Applied {
        if matches!(event, Event::Hinted { .. }) {
            return self.look_now();
        }
        let settled = self.settled_by(report);
        Applied {
            state: State::Returned { provider_ref: report.provider_ref.clone(), reason: reason.to_owned() },
            outcome: Outcome {
                movement: self.request.settlement(&settled).map(|movement| movement.reversed("returned")),
                releases_reservation: self.reservation().is_some(),
                ..Outcome::default()
            },
        }
    }

    /// What the provider's word about something that goes on changing makes of it: a poll's facts are
    /// kept, a hint is looked into.
    fn alive(&self, event: &Event, report: &Report) -> Applied {
        if matches!(event, Event::Hinted { .. }) {
            return self.look_now();
        }
        let mut state = self.state.clone();
        if let State::Settled { facts, .. } = &mut state {
            let said = facts.iter().filter(|(name, _)| BY_HAND.contains(&name.as_str()));
            *facts = said.chain(&report.facts).map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        state.into()
    }
}
