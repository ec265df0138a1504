//! What a provider's answer makes of an operation: the end of a call, early or late, and the provider's
//! own word.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use super::{Applied, Event, Operation, Outcome, State};
use crate::kinds::Settled;
use crate::outcome::OutcomeClass;
use crate::provider::{BALANCE_INSUFFICIENT, CallOutcome, Facts, Progress, Report, UNAUTHORIZED};

impl Operation {
    /// What the end of a call makes of the open intent.
    pub(super) fn called(&self, intent: i32, outcome: &CallOutcome) -> Applied {
        match outcome {
            CallOutcome::Accepted { report } => self.taken(report),
            CallOutcome::Failed { class, code, message } => match class {
                OutcomeClass::Retryable if code == BALANCE_INSUFFICIENT => {
                    self.refused(intent, code, message)
                }
                OutcomeClass::Retryable | OutcomeClass::RateLimited { .. } => {
                    State::Retrying { intent }.into()
                }
                OutcomeClass::Ambiguous => State::InDoubt { intent }.into(),
                OutcomeClass::Terminal => self.refused(intent, code, message),
            },
        }
    }

    /// What a documented refusal makes of the open intent.
    pub(super) fn refused(&self, intent: i32, code: &str, message: &str) -> Applied {
        match code {
            // Our credentials were refused, not this payment: it waits for a person to mend them.
            UNAUTHORIZED => State::Retrying { intent }.into(),
            BALANCE_INSUFFICIENT => State::Retrying { intent: intent.saturating_add(1) }.into(),
            _ => self.failed(message),
        }
    }

    /// What the late answer of a call of another intent makes of the open one: if that was taken after
    /// all, a person must see it, for this one may be taken too.
    pub(super) fn of_another_intent(&self, outcome: &CallOutcome) -> Applied {
        match outcome {
            CallOutcome::Accepted { report } => {
                let Applied { state, outcome } =
                    self.discrepancy(&report.provider_ref, "was accepted by a call of another intent");
                Applied { state, outcome: Outcome { look_now: true, ..outcome } }
            }
            CallOutcome::Failed { .. } => self.look_now(),
        }
    }

    /// What the late answer of an older attempt of the open intent makes of it: only a yes decides,
    /// for after a no a later sending of the same intent may have had its effect all the same.
    pub(super) fn late(&self, outcome: &CallOutcome) -> Applied {
        match outcome {
            CallOutcome::Accepted { report } => self.taken(report),
            CallOutcome::Failed { .. } => self.look_now(),
        }
    }

    /// What the provider's own word makes of the operation.
    pub(super) fn taken(&self, report: &Report) -> Applied {
        let provider_ref = report.provider_ref.clone();
        if let Some(difference) = self.request.difference(report) {
            let discrepancy = Some(difference.clone());
            let state = State::Quarantined { provider_ref, difference };
            return Applied { state, outcome: Outcome { discrepancy, ..Outcome::default() } };
        }
        match &report.progress {
            Progress::Succeeded => Applied {
                state: State::Settled {
                    provider_ref,
                    tx_hash: self.tx_hash(report),
                    moved: report.money,
                    facts: self.facts(report),
                },
                outcome: Outcome {
                    movement: self.request.settlement(&self.settled_by(report)),
                    ..Outcome::default()
                },
            },
            Progress::Failed { reason } => self.failed(reason),
            Progress::Pending => self.accepted(report).into(),
            Progress::Unknown => Applied {
                state: self.accepted(report),
                outcome: Outcome {
                    discrepancy: Some(format!(
                        "the provider answered with the unknown status {:?}",
                        report.raw_status
                    )),
                    ..Outcome::default()
                },
            },
        }
    }

    pub(super) fn accepted(&self, report: &Report) -> State {
        State::Accepted {
            provider_ref: report.provider_ref.clone(),
            tx_hash: self.tx_hash(report),
            facts: self.facts(report),
            received: None,
        }
    }

    /// The transaction that the report names, or the one that was known.
    pub(super) fn tx_hash(&self, report: &Report) -> Option<String> {
        report.tx_hash.clone().or_else(|| self.state.tx_hash().map(str::to_owned))
    }

    /// What was known and what the report adds.
    pub(super) fn facts(&self, report: &Report) -> Facts {
        let mut facts = self.state.facts().cloned().unwrap_or_default();
        facts.extend(report.facts.clone());
        facts
    }

    pub(super) fn settled_by<'a>(&'a self, report: &'a Report) -> Settled<'a> {
        let on = self.subject.as_ref().and_then(|subject| subject.provider_ref.as_deref());
        Settled { tenant: &self.tenant, account: &self.account, on, report }
    }

    pub(super) fn failed(&self, reason: &str) -> Applied {
        let releases_reservation = self.reservation().is_some();
        let outcome = Outcome { releases_reservation, ..Outcome::default() };
        Applied { state: State::Failed { reason: reason.to_owned() }, outcome }
    }

    /// A late answer of a call we have since found out about by other means: only a second effect
    /// is worth a person's time.
    pub(super) fn evidence(&self, event: &Event) -> Applied {
        if let Event::Evidence { outcome: CallOutcome::Accepted { report }, .. } = event
            && self.state.provider_ref() != Some(&report.provider_ref)
        {
            return self.discrepancy(&report.provider_ref, "was accepted by a call that ended late");
        }
        self.unchanged()
    }
}
