//! `apply`: one nested match per state, so that the compiler sees a missing case.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use super::{Event, Operation, State};
use crate::Money;
use crate::ledger::Movement;
use crate::provider::{CallOutcome, Facts, Finding, Progress};

/// What an event did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The state afterwards.
    pub state: State,
    /// What to write beside it.
    pub outcome: Outcome,
}

/// What goes into the same transaction as the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The ledger's record, if this event is one of money.
    pub movement: Option<Movement>,
    /// Something a person should see, though the state stays.
    pub discrepancy: Option<String>,
    /// What was set aside for it is free again.
    pub releases_reservation: bool,
    /// The provider may have news: look now rather than at the next interval.
    pub look_now: bool,
}

/// The event cannot happen in this state: a bug, or a row that was tampered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event} is illegal in state {state}")]
pub struct Illegal {
    /// The event's name.
    pub event: &'static str,
    /// The state's name.
    pub state: &'static str,
}

impl From<State> for Applied {
    fn from(state: State) -> Self {
        Self { state, outcome: Outcome::default() }
    }
}

impl Operation {
    /// The state after `event`. Does not change `self`.
    ///
    /// # Errors
    /// [`Illegal`] where the event cannot happen in this state.
    pub fn apply(&self, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::Cancelled { .. } => return Ok(self.cancelled()),
            Event::Deposited { transaction, money } if self.request.is_awaited() => {
                return Ok(self.deposited(transaction, *money));
            }
            Event::Expired if self.request.is_awaited() => return Ok(self.expired()),
            Event::ConfirmedByHand { author, reason, provider_ref } => {
                return Ok(self.confirmed_by_hand(author, reason, provider_ref.as_deref()));
            }
            Event::DeniedByHand { author, reason } => return Ok(self.denied_by_hand(author, reason)),
            Event::HoldersAdded { .. } if self.may_be_added_to() => return Ok(self.unchanged()),
            Event::Owed { money } if self.request.is_standing() => return Ok(self.owed(*money)),
            Event::Ticked { at, paid } if self.request.is_standing() => {
                return self.ticked(*at, *paid, event);
            }
            Event::Deposited { .. }
            | Event::Expired
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => return Err(self.illegal(event)),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Evidence { .. }
            | Event::Probed { .. }
            | Event::Polled { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Hinted { .. } => {}
        }
        match &self.state {
            State::Requested => self.when_requested(event),
            State::Submitting { intent } => self.when_submitting(*intent, event),
            State::Retrying { intent } => self.when_retrying(*intent, event),
            State::InDoubt { intent } => self.when_in_doubt(*intent, event),
            State::Accepted { provider_ref, .. } => self.when_accepted(provider_ref, event),
            State::Quarantined { .. } => self.when_quarantined(event),
            State::Settled { provider_ref, .. } => self.when_settled(provider_ref, event),
            State::Returned { provider_ref, .. } => self.when_returned(provider_ref, event),
            State::Failed { .. } => self.when_failed(event),
        }
    }

    fn when_requested(&self, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::IntentOpened { intent } => Ok(State::Submitting { intent: *intent }.into()),
            Event::Refused { reason } => Ok(State::Failed { reason: reason.clone() }.into()),
            Event::Divided { parts, paid } if self.request.is_divided() => Ok(State::Accepted {
                provider_ref: format!("divided:{}", self.id),
                tx_hash: None,
                facts: counts(&[("parts", *parts), ("paid", *paid)]),
                received: None,
            }
            .into()),
            Event::Hinted { .. } => Ok(self.unchanged()),
            Event::Divided { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Evidence { .. }
            | Event::Probed { .. }
            | Event::Polled { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_submitting(&self, open: i32, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::Called { intent, outcome } if *intent == open => Ok(self.called(open, outcome)),
            Event::Evidence { intent, outcome, decides } if *intent == open => {
                Ok(if *decides { self.called(open, outcome) } else { self.late(outcome) })
            }
            Event::LeftOpen { intent } if *intent == open => Ok(State::InDoubt { intent: open }.into()),
            Event::Evidence { outcome, .. } => Ok(self.of_another_intent(outcome)),
            Event::Hinted { .. } => Ok(self.look_now()),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Polled { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_retrying(&self, open: i32, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::IntentOpened { intent } if *intent == open => {
                Ok(State::Submitting { intent: open }.into())
            }
            Event::Evidence { intent, outcome, .. } if *intent == open => Ok(self.late(outcome)),
            // Nothing is under way: an earlier intent that was taken after all is the one that happened.
            Event::Evidence { outcome: CallOutcome::Accepted { report }, .. } => Ok(self.taken(report)),
            Event::Evidence { .. } | Event::Hinted { .. } => Ok(self.unchanged()),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Polled { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_in_doubt(&self, open: i32, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::Probed { intent, finding } if *intent == open => Ok(match finding {
                Finding::Found { report } => self.taken(report),
                Finding::Refused { code, message } => self.refused(open, code, message),
                Finding::StillUnknown { .. } => self.unchanged(),
            }),
            Event::Evidence { intent, outcome, decides } if *intent == open => {
                Ok(if *decides { self.called(open, outcome) } else { self.late(outcome) })
            }
            Event::LeftOpen { intent } if *intent == open => Ok(self.unchanged()),
            Event::Evidence { outcome, .. } => Ok(self.of_another_intent(outcome)),
            Event::Hinted { .. } => Ok(self.look_now()),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Polled { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_accepted(&self, provider_ref: &str, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::Polled { report } if report.provider_ref == provider_ref => Ok(self.taken(report)),
            Event::Polled { report } => Ok(self.discrepancy(&report.provider_ref, "was polled")),
            Event::Gathered { moved, settled, failed } if self.request.is_divided() => {
                Ok(self.gathered(*moved, *settled, *failed).into())
            }
            Event::Hinted { .. } => Ok(self.look_now()),
            Event::Evidence { .. } => Ok(self.evidence(event)),
            Event::Gathered { .. }
            | Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Divided { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_quarantined(&self, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::Polled { .. } | Event::Hinted { .. } => Ok(self.unchanged()),
            Event::Evidence { .. } => Ok(self.evidence(event)),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_settled(&self, provider_ref: &str, event: &Event) -> Result<Applied, Illegal> {
        match event {
            Event::Polled { report } | Event::Hinted { report } => {
                Ok(self.told_after_settling(provider_ref, event, report))
            }
            Event::Evidence { .. } => Ok(self.evidence(event)),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_returned(&self, provider_ref: &str, event: &Event) -> Result<Applied, Illegal> {
        match event {
            // Of what was paid before it came back we hear late, and again.
            Event::Polled { report } | Event::Hinted { report } => {
                Ok(if report.provider_ref == provider_ref {
                    self.unchanged()
                } else {
                    self.discrepancy(&report.provider_ref, "was reported")
                })
            }
            Event::Evidence { .. } => Ok(self.evidence(event)),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    fn when_failed(&self, event: &Event) -> Result<Applied, Illegal> {
        match event {
            // What it was before it failed we may hear late.
            Event::Hinted { report } if report.progress == Progress::Pending => Ok(self.unchanged()),
            Event::Polled { report } | Event::Hinted { report } => Ok(match report.progress {
                Progress::Failed { .. } => self.unchanged(),
                Progress::Pending | Progress::Succeeded | Progress::Unknown => {
                    self.discrepancy(&report.provider_ref, "is alive at the provider though ours failed")
                }
            }),
            Event::Evidence { .. } => Ok(self.evidence(event)),
            Event::IntentOpened { .. }
            | Event::Refused { .. }
            | Event::Called { .. }
            | Event::LeftOpen { .. }
            | Event::Probed { .. }
            | Event::Divided { .. }
            | Event::Gathered { .. }
            | Event::Cancelled { .. }
            | Event::Deposited { .. }
            | Event::Expired
            | Event::ConfirmedByHand { .. }
            | Event::DeniedByHand { .. }
            | Event::HoldersAdded { .. }
            | Event::Owed { .. }
            | Event::Ticked { .. } => Err(self.illegal(event)),
        }
    }

    /// Until it is begun; of what has ended without that, it does no harm.
    fn may_be_added_to(&self) -> bool {
        self.request.is_added_to() && matches!(self.state, State::Requested | State::Failed { .. })
    }

    /// Settled where anything was paid, or nothing was to be.
    fn gathered(&self, moved: Money, settled: u32, failed: u32) -> State {
        let mut facts = self.state.facts().cloned().unwrap_or_default();
        facts.extend(counts(&[("settled", settled), ("failed", failed)]));
        if settled == 0 && failed > 0 {
            return State::Failed { reason: format!("none of its {failed} payouts was paid") };
        }
        let provider_ref = format!("divided:{}", self.id);
        State::Settled { provider_ref, tx_hash: None, moved: Some(moved), facts }
    }

    pub(super) fn unchanged(&self) -> Applied {
        self.state.clone().into()
    }

    pub(super) fn look_now(&self) -> Applied {
        let outcome = Outcome { look_now: true, ..Outcome::default() };
        Applied { state: self.state.clone(), outcome }
    }

    pub(super) fn discrepancy(&self, provider_ref: &str, what: &str) -> Applied {
        let discrepancy = Some(format!("{provider_ref} {what}"));
        Applied { state: self.state.clone(), outcome: Outcome { discrepancy, ..Outcome::default() } }
    }

    pub(super) fn illegal(&self, event: &Event) -> Illegal {
        Illegal { event: event.name(), state: self.state.name() }
    }
}

/// Numbers as facts.
fn counts(counts: &[(&str, u32)]) -> Facts {
    counts.iter().map(|(name, count)| ((*name).to_owned(), count.to_string().into())).collect()
}
