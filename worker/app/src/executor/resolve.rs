//! Resolving an open intent: finding out what became of a call before anything new is sent. How is
//! what the effect declares; nothing else is ever done.

use std::time::{Duration, Instant};

use payfleet_core::Clock;
use payfleet_core::OutcomeClass;
use payfleet_core::backoff::Backoff;
use payfleet_core::kinds::lifecycle::{Event, Parked, State};
use payfleet_core::provider::{
    BALANCE_INSUFFICIENT, CallOutcome, DoubtPolicy, Effect, Finding, IDEMPOTENCY_ERROR, UNAUTHORIZED,
};
use payfleet_process::SystemClock;
use payfleet_providers::{Client, gate};
use payfleet_store::{Attempt, Next, OpenIntent, Purpose, StoreError};
use tracing::Instrument;

use super::call::{SLOW_DOWN_MS, not_here, provider_span, wake_up_after};
use super::{Executor, Running, Step, parked_outcome};

/// Probes made before a person is asked: with [`BETWEEN_PROBES`], more than half a day.
const MOST_PROBES: i32 = 120;

/// How long an intent in doubt is left alone between two probes.
const BETWEEN_PROBES: Backoff = Backoff { base_ms: 500, cap_ms: 900_000 };

/// What one probe of the provider brought.
struct Probed {
    finding: Finding,
    /// The provider did not even look: how long it asked us to wait, in milliseconds.
    slow_down_ms: Option<u64>,
    /// The code of the failure, where it is one of a sending.
    code: String,
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
        let Some(mut intent) = running.claimed.intent.clone() else {
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
        if let Some(not_now) = running.since.too_long() {
            return self.put_off(running, not_now).await;
        }
        intent.age_ms = running.since.older(intent.age_ms);
        let started = Instant::now();
        let probing = probe(client, policy, effect, &intent).instrument(provider_span(running, "probe"));
        let (probed, kept_back) = gate::through(None, probing).await;
        if let Some(not_now) = kept_back {
            return self.put_off(running, not_now).await;
        }
        let attempt = attempt_of(number, &probed, started.elapsed());
        tracing::info!(
            operation.id = %running.subject.id, intent.number = number, probe.number = intent.probes,
            probe.finding = attempt.class, duration_ms = attempt.duration_ms,
            "The open intent was probed."
        );
        self.save_finding(running, probed, &attempt, &intent).await
    }

    async fn save_finding(
        &self,
        running: &mut Running<'_>,
        found: Probed,
        attempt: &Attempt,
        intent: &OpenIntent,
    ) -> Result<Step, StoreError> {
        let cost = i32::from(found.slow_down_ms.is_none());
        let probes = intent.probes.saturating_add(cost);
        let backoff = self.schedule.backoff_ms(BETWEEN_PROBES, probes);
        let delay_ms = backoff.saturating_add(found.slow_down_ms.unwrap_or(0));
        let reason = format!("{probes} probes have not found out whether it happened: {}", attempt.message);
        let next = |state: &State| match state {
            State::Settled { .. } | State::Returned { .. } | State::Failed { .. } => Next::Never,
            State::InDoubt { .. } if probes >= MOST_PROBES => {
                Next::Parked { parked: Parked::InDoubt, reason: reason.clone() }
            }
            State::InDoubt { .. } => Next::NotBefore { ms: delay_ms },
            State::Quarantined { difference, .. } => {
                Next::Parked { parked: Parked::Quarantined, reason: difference.clone() }
            }
            State::Retrying { intent } if *intent != attempt.intent => Next::NotBefore { ms: delay_ms },
            State::Requested | State::Submitting { .. } | State::Retrying { .. } | State::Accepted { .. } => {
                Next::After { ms: 0 }
            }
        };
        let evidence = evidence(&found.finding);
        let event = Event::Probed { intent: attempt.intent, finding: found.finding };
        self.persist(running, &event, attempt, &evidence, &next).await?;
        if running.claimed.events_wait {
            return Ok(Step::Settle(wake_up_after(running, 0)));
        }
        Ok(match &running.claimed.operation.state {
            State::InDoubt { .. } if probes >= MOST_PROBES => {
                Step::Settle(parked_outcome(running, Parked::InDoubt, &reason))
            }
            State::InDoubt { .. } => Step::Settle(wake_up_after(running, delay_ms)),
            State::Retrying { intent } if *intent != attempt.intent => {
                Step::Settle(wake_up_after(running, delay_ms))
            }
            _ => Step::Again,
        })
    }
}

/// Inside its window the same request with the same key is the probe, unless the provider has asked
/// not to be sent it again; else a look-up.
async fn probe(client: &Client, policy: DoubtPolicy, effect: &Effect, intent: &OpenIntent) -> Probed {
    match policy {
        policy if sends_again(policy, intent) => {
            let reply = client.call(effect, &intent.key).await;
            let (finding, slow_down_ms, code) = match reply.outcome {
                CallOutcome::Accepted { report } => (Finding::Found { report }, None, String::new()),
                CallOutcome::Failed { code, message, class }
                    if is_the_keys_answer(policy, reply.http_status, class, &code) =>
                {
                    (Finding::Refused { code: code.clone(), message }, None, code)
                }
                // This sending had no effect; an earlier one may have had.
                CallOutcome::Failed { message, class, code } => {
                    (Finding::StillUnknown { reason: message }, slow_down(class), code)
                }
            };
            let (http_status, request_id) = (reply.http_status, reply.request_id);
            Probed { finding, slow_down_ms, code, http_status, request_id }
        }
        DoubtPolicy::SameKey { .. } | DoubtPolicy::LookUp | DoubtPolicy::Repeat | DoubtPolicy::Operator => {
            let opened = intent.opened_at.unwrap_or_else(|| SystemClock.now());
            let finding = client.look_up(effect, &intent.key, opened).await;
            Probed { finding, slow_down_ms: None, code: String::new(), http_status: None, request_id: None }
        }
    }
}

/// Whether the same request again cannot have a second effect.
const fn sends_again(policy: DoubtPolicy, intent: &OpenIntent) -> bool {
    match policy {
        DoubtPolicy::SameKey { window_ms, .. } => intent.age_ms < window_ms && !intent.key_is_spent,
        DoubtPolicy::Repeat => true,
        DoubtPolicy::LookUp | DoubtPolicy::Operator => false,
    }
}

/// Whether a failure that was answered is what the provider has to say under this key for good. Not so
/// where it did not come to looking at the key (credentials), or says that the key is another request's.
fn is_the_keys_answer(policy: DoubtPolicy, status: Option<u16>, class: OutcomeClass, code: &str) -> bool {
    let decide = matches!(policy, DoubtPolicy::SameKey { refusals_decide: true, .. });
    let answered = status.is_some_and(|status| (400..500).contains(&status));
    let refused = match class {
        OutcomeClass::Terminal => code != UNAUTHORIZED && code != IDEMPOTENCY_ERROR,
        OutcomeClass::Retryable => code == BALANCE_INSUFFICIENT,
        OutcomeClass::RateLimited { .. } | OutcomeClass::Ambiguous => false,
    };
    decide && answered && refused
}

const fn slow_down(class: OutcomeClass) -> Option<u64> {
    match class {
        OutcomeClass::RateLimited { retry_after_ms: Some(ms) } => Some(ms),
        OutcomeClass::RateLimited { retry_after_ms: None } => Some(SLOW_DOWN_MS),
        OutcomeClass::Retryable | OutcomeClass::Terminal | OutcomeClass::Ambiguous => None,
    }
}

/// What a probe found, as it is kept where the claim has passed on: only a yes decides anything.
fn evidence(finding: &Finding) -> CallOutcome {
    match finding {
        Finding::Found { report } => CallOutcome::Accepted { report: report.clone() },
        Finding::Refused { .. } | Finding::StillUnknown { .. } => CallOutcome::Failed {
            class: OutcomeClass::Ambiguous,
            code: "probe".to_owned(),
            message: "a probe found nothing that decides".to_owned(),
        },
    }
}

fn attempt_of(intent: i32, probed: &Probed, took: Duration) -> Attempt {
    let (class, code, message) = match &probed.finding {
        Finding::Found { report } => ("found", report.raw_status.clone(), String::new()),
        Finding::Refused { code, message } => ("refused", code.clone(), message.clone()),
        Finding::StillUnknown { reason } if probed.slow_down_ms.is_some() => {
            ("rate_limited", probed.code.clone(), reason.clone())
        }
        Finding::StillUnknown { reason } => ("still_unknown", probed.code.clone(), reason.clone()),
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
