//! Resolving an open intent: finding out what became of a call before anything new is sent. How is
//! what the effect declares; nothing else is ever done.

use std::time::{Duration, Instant};

use payfleet_core::kinds::lifecycle::{Event, Parked, State};
use payfleet_core::provider::{CallOutcome, DoubtPolicy, Effect, Finding};
use payfleet_providers::Client;
use payfleet_store::{Attempt, Next, OpenIntent, Purpose, StoreError};
use tracing::Instrument;

use super::call::{not_here, provider_span, wake_up_after};
use super::{Executor, Running, Step, parked_outcome};

/// Probes made before a person is asked.
const MOST_PROBES: i32 = 20;

/// What one probe of the provider brought.
struct Probed {
    finding: Finding,
    http_status: Option<u16>,
    request_id: Option<String>,
}

impl Executor {
    /// Probes intent `number` as its provider allows, or hands it to a person.
    pub(super) async fn resolve(
        &self,
        running: &mut Running<'_>,
        effect: &Effect,
        number: i32,
    ) -> Result<Step, StoreError> {
        let Some(client) = running.client else { return Ok(Step::Settle(not_here(running))) };
        let Some(intent) = running.claimed.intent.clone() else {
            return Err(StoreError::Corrupt {
                table: "intents",
                column: "closed_at",
                id: running.subject.id.to_string(),
                why: format!("the operation is in doubt about intent {number}, which is not open"),
            });
        };
        let policy = client.doubt(effect.action());
        if policy == DoubtPolicy::Operator {
            let reason = format!(
                "{} offers neither a key nor a look-up; only a person can find out whether it happened",
                running.claimed.operation.request.provider()
            );
            return self.park(running, Parked::InDoubt, reason).await;
        }
        let started = Instant::now();
        let probing = probe(client, policy, effect, &intent);
        let probed = probing.instrument(provider_span(running, "probe")).await;
        let attempt = attempt_of(number, &probed, started.elapsed());
        tracing::info!(
            operation.id = %running.subject.id, intent.number = number, probe.number = intent.probes,
            probe.finding = attempt.class, duration_ms = attempt.duration_ms,
            "The open intent was probed."
        );
        self.save_finding(running, probed.finding, &attempt, &intent).await
    }

    async fn save_finding(
        &self,
        running: &mut Running<'_>,
        finding: Finding,
        attempt: &Attempt,
        intent: &OpenIntent,
    ) -> Result<Step, StoreError> {
        let probes = intent.probes.saturating_add(1);
        let delay_ms = self.schedule.backoff_ms(running.policy.backoff, probes);
        let reason = format!("{probes} probes have not found out whether it happened: {}", attempt.message);
        let next = |state: &State| match state {
            State::Settled { .. } | State::Failed { .. } => Next::Never,
            State::InDoubt { .. } if probes >= MOST_PROBES => {
                Next::Parked { parked: Parked::InDoubt, reason: reason.clone() }
            }
            State::InDoubt { .. } => Next::After { ms: delay_ms },
            State::Quarantined { difference, .. } => {
                Next::Parked { parked: Parked::Quarantined, reason: difference.clone() }
            }
            State::Requested | State::Submitting { .. } | State::Retrying { .. } | State::Accepted { .. } => {
                Next::After { ms: 0 }
            }
        };
        let event = Event::Probed { intent: attempt.intent, finding };
        self.store.record(&mut running.claimed, &running.job, &event, Some(attempt), &next).await?;
        Ok(match &running.claimed.operation.state {
            State::InDoubt { .. } if probes >= MOST_PROBES => {
                Step::Settle(parked_outcome(running, Parked::InDoubt, &reason))
            }
            State::InDoubt { .. } => Step::Settle(wake_up_after(running, delay_ms)),
            _ => Step::Again,
        })
    }
}

/// Inside its window the same request with the same key is the probe; after it, a look-up.
async fn probe(client: &Client, policy: DoubtPolicy, effect: &Effect, intent: &OpenIntent) -> Probed {
    match policy {
        DoubtPolicy::SameKey { window_ms } if intent.age_ms < window_ms => {
            let reply = client.call(effect, &intent.key).await;
            let finding = match reply.outcome {
                CallOutcome::Accepted { report } => Finding::Found { report },
                // This sending had no effect; an earlier one may have had.
                CallOutcome::Failed { message, .. } => Finding::StillUnknown { reason: message },
            };
            Probed { finding, http_status: reply.http_status, request_id: reply.request_id }
        }
        DoubtPolicy::SameKey { .. } | DoubtPolicy::LookUp | DoubtPolicy::Operator => {
            Probed { finding: client.look_up(effect, &intent.key).await, http_status: None, request_id: None }
        }
    }
}

fn attempt_of(intent: i32, probed: &Probed, took: Duration) -> Attempt {
    let (class, code, message) = match &probed.finding {
        Finding::Found { report } => ("found", report.raw_status.clone(), String::new()),
        Finding::NeverHappened => ("never_happened", String::new(), String::new()),
        Finding::StillUnknown { reason } => ("still_unknown", String::new(), reason.clone()),
    };
    Attempt {
        intent,
        purpose: Purpose::Probe,
        class: class.to_owned(),
        code,
        message,
        http_status: probed.http_status,
        request_id: probed.request_id.clone(),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}
