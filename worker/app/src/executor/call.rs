//! Opening an intent and calling the provider with it.

use std::time::{Duration, Instant};

use payfleet_core::backoff::Backoff;
use payfleet_core::ids::RequestHash;
use payfleet_core::job::Origin;
use payfleet_core::kinds::lifecycle::{Event, Operation, Parked, State};
use payfleet_core::provider::{BALANCE_INSUFFICIENT, CallOutcome, DoubtPolicy, Effect, UNAUTHORIZED};
use payfleet_core::{OutcomeClass, ProviderKey};
use payfleet_providers::{Client, Reply, gate};
use payfleet_queue::Outcome;
use payfleet_store::{Attempt, NewIntent, Next, Opened, Purpose, StoreError};
use tracing::Instrument;

use super::since::not_sent;
use super::{Executor, Running, Step, ask_later, parked_outcome, settle_with};
use crate::jobs;
use crate::weather::Leave;

/// How long a worker without this provider's configuration leaves the job to others.
const NOT_HERE: Duration = Duration::from_secs(10);

/// How long to wait where a provider says "slow down" and not how long.
pub(super) const SLOW_DOWN_MS: u64 = 3_000;

/// How long money on its way is waited for: with the attempts of an operation, more than two days.
const UNTIL_FUNDS: Backoff = Backoff { base_ms: 500, cap_ms: 7_200_000 };

/// How often tx 2 is tried while Postgres is away, a second apart: as long as anyone waits for a
/// database. After that the open intent speaks for itself.
const PATIENCE_FOR_POSTGRES: u32 = 600;

impl Executor {
    /// Saves intent `number`, calls, and saves what came of it.
    pub(super) async fn call(
        &self,
        running: &mut Running<'_>,
        effect: &Effect,
        number: i32,
    ) -> Result<Step, StoreError> {
        let Some(client) = running.client else { return Ok(Step::Settle(not_here(running))) };
        // Before the intent: what may not go out now leaves nothing open.
        let asked = match running.leave.take() {
            Some(asked) => asked,
            None => self.weather.enter(client.door(effect.action())).await,
        };
        let leave = match asked {
            Ok(leave) => leave,
            Err(not_now) => return self.put_off(running, not_now).await,
        };
        let intent = new_intent(&running.claimed.operation, client, effect, number);
        match self.store.open_intent(&mut running.claimed, &intent, &running.job).await? {
            Opened::Open => {}
            Opened::TooLittleLeft { left } => {
                let reason = too_little_left(&intent, &left.normalize().to_string());
                self.record(running, &Event::Refused { reason }).await?;
                return Ok(Step::Again);
            }
        }
        self.send(running, client, leave, effect, &intent).await
    }

    /// The call of an intent that this worker has just opened, and what came of it.
    pub(super) async fn send(
        &self,
        running: &mut Running<'_>,
        client: &Client,
        leave: Leave,
        effect: &Effect,
        intent: &NewIntent,
    ) -> Result<Step, StoreError> {
        let started = Instant::now();
        let reply = if let Some(not_now) = running.since.too_long() {
            Reply { outcome: not_sent(not_now), http_status: None, request_id: None }
        } else {
            let call = client.call(effect, &intent.key).instrument(provider_span(running, "call"));
            Box::pin(gate::through(Some(Box::new(leave)), call)).await.0
        };
        let attempt = attempt_of(intent.number, &reply, started.elapsed());
        log_call(running, &attempt);
        self.save_outcome(running, reply.outcome, &attempt).await
    }

    /// Tx 2 of a call, and what the job becomes.
    async fn save_outcome(
        &self,
        running: &mut Running<'_>,
        outcome: CallOutcome,
        attempt: &Attempt,
    ) -> Result<Step, StoreError> {
        // Every intent before this one was an attempt that was refused.
        let attempts = running.claimed.intent.as_ref().map_or(1, |intent| intent.attempts);
        let spent = attempts.saturating_add(attempt.intent).saturating_sub(1);
        let delay_ms = self.delay_after(running, &outcome, spent);
        let parks = parks(&outcome, spent >= running.policy.max_provider_attempts);
        // What is asked about next is written with the answer: one transaction less.
        let request = &running.claimed.operation.request;
        let is_polled = request.is_polled();
        let pause = self.schedule.between_polls(request.network(), 0);
        let waits = self.schedule.while_confirming(pause);
        let next = |state: &State| match state {
            State::Settled { .. } | State::Returned { .. } | State::Failed { .. } => Next::Never,
            State::Accepted { .. } if is_polled => waits.clone(),
            State::Retrying { .. } => match &parks {
                Some((parked, reason)) => Next::Parked { parked: *parked, reason: reason.clone() },
                None => Next::NotBefore { ms: delay_ms },
            },
            State::Quarantined { difference, .. } => {
                Next::Parked { parked: Parked::Quarantined, reason: difference.clone() }
            }
            State::InDoubt { .. } => Next::NotBefore { ms: delay_ms },
            State::Requested | State::Submitting { .. } | State::Accepted { .. } => Next::After { ms: 0 },
        };
        let event = Event::Called { intent: attempt.intent, outcome: outcome.clone() };
        self.persist(running, &event, attempt, &outcome, &next).await?;
        if running.claimed.events_wait {
            // They came during the call; the next claim applies them.
            return Ok(Step::Settle(wake_up_after(running, 0)));
        }
        Ok(match (&running.claimed.operation.state, parks) {
            (State::Retrying { .. }, Some((parked, reason))) => {
                Step::Settle(parked_outcome(running, parked, &reason))
            }
            (State::Retrying { .. } | State::InDoubt { .. }, _) => {
                Step::Settle(wake_up_after(running, delay_ms))
            }
            (State::Accepted { .. }, _) if is_polled => Step::Settle(ask_later(running, pause)),
            _ => Step::Again,
        })
    }

    /// Writes what a provider answered, for as long as Postgres takes to take it. Where the claim has
    /// passed on, the answer is kept as evidence: none is ever thrown away.
    pub(super) async fn persist(
        &self,
        running: &mut Running<'_>,
        event: &Event,
        attempt: &Attempt,
        outcome: &CallOutcome,
        next: &(dyn Fn(&State) -> Next + Sync),
    ) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            let recorded =
                self.store.record(&mut running.claimed, &running.job, event, Some(attempt), next).await;
            match recorded {
                Ok(_) => return Ok(()),
                Err(error) if error.may_pass() && tries < PATIENCE_FOR_POSTGRES => {
                    tries += 1;
                    tracing::warn!(
                        tries,
                        "The provider has answered and Postgres has not taken it; holding on to the answer: {error}"
                    );
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    tracing::warn!(operation.id = %running.subject.id, "The answer is kept as evidence: {error}");
                    self.keep_evidence(running, attempt, outcome).await?;
                    return Err(error);
                }
            }
        }
    }

    async fn keep_evidence(
        &self,
        running: &Running<'_>,
        attempt: &Attempt,
        outcome: &CallOutcome,
    ) -> Result<(), StoreError> {
        let id = running.subject.id;
        let action = running.claimed.operation.request.action();
        // Where nobody knows how doubt is resolved, nothing is taken for an answer to it.
        let doubt = running.client.map_or(DoubtPolicy::LookUp, |client| client.doubt(action));
        let mut tries = 0;
        loop {
            match self.store.keep_evidence(&running.claimed, attempt.intent, outcome, doubt).await {
                Err(error) if error.may_pass() && tries < PATIENCE_FOR_POSTGRES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    let provider_ref = match outcome {
                        CallOutcome::Accepted { report } => report.provider_ref.as_str(),
                        CallOutcome::Failed { .. } => "-",
                    };
                    tracing::error!(
                        operation.id = %id, intent.number = attempt.intent, provider.reference = provider_ref,
                        error.class = attempt.class, "A provider's answer could not be kept anywhere: {error}"
                    );
                    return Err(error);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// How long to wait after this outcome, in milliseconds.
    fn delay_after(&self, running: &Running<'_>, outcome: &CallOutcome, spent: i32) -> u64 {
        let is_short = matches!(outcome, CallOutcome::Failed { code, .. } if code == BALANCE_INSUFFICIENT);
        let backoff = if is_short { UNTIL_FUNDS } else { running.policy.backoff };
        let backoff = self.schedule.backoff_ms(backoff, spent);
        match outcome {
            CallOutcome::Failed { class: OutcomeClass::RateLimited { retry_after_ms }, .. } => {
                backoff.saturating_add(retry_after_ms.unwrap_or(SLOW_DOWN_MS))
            }
            _ => backoff,
        }
    }
}

pub(super) fn new_intent(operation: &Operation, client: &Client, effect: &Effect, number: i32) -> NewIntent {
    let provider = operation.request.provider();
    let key = ProviderKey::derive(provider, &operation.account, operation.id, effect.action(), number);
    NewIntent {
        number,
        action: effect.action(),
        reference: client.reference(&key),
        key,
        // Serialising an effect cannot fail: no maps with other keys than text, no floats.
        request_hash: RequestHash::of(&serde_json::to_vec(effect).unwrap_or_default()),
        reservation: operation.reservation(),
    }
}

fn too_little_left(intent: &NewIntent, left: &str) -> String {
    let whole = intent.reservation.as_ref().map_or_else(String::new, |one| format!(" of {}", one.whole));
    format!("only {left} is left{whole}; ask for no more")
}

/// Whether a call that had no effect is the last for now, and why.
fn parks(outcome: &CallOutcome, exhausted: bool) -> Option<(Parked, String)> {
    let CallOutcome::Failed { class, code, message } = outcome else { return None };
    match class {
        OutcomeClass::Terminal if code == UNAUTHORIZED => {
            Some((Parked::ProviderRefusesUs, format!("the provider refuses our credentials: {message}")))
        }
        OutcomeClass::Retryable if exhausted => {
            Some((Parked::AttemptsExhausted, format!("attempts are used up, the last answer was: {message}")))
        }
        OutcomeClass::Retryable
        | OutcomeClass::RateLimited { .. }
        | OutcomeClass::Terminal
        | OutcomeClass::Ambiguous => None,
    }
}

/// The span of one exchange with a provider.
pub(super) fn provider_span(running: &Running<'_>, purpose: &'static str) -> tracing::Span {
    let provider = running.claimed.operation.request.provider();
    tracing::info_span!("provider.call", provider.name = %provider, provider.purpose = purpose)
}

/// This worker has no configuration for the provider: another one has, or an operator adds it.
pub(super) fn not_here(running: &Running<'_>) -> Outcome {
    let provider = running.claimed.operation.request.provider();
    Outcome::Defer { delay: NOT_HERE, reason: format!("{provider} is not configured on this worker") }
}

/// Done, with the wake-up of the version just written.
pub(super) fn wake_up_after(running: &Running<'_>, delay_ms: u64) -> Outcome {
    let delay = Duration::from_millis(delay_ms);
    settle_with(vec![jobs::wake_up(&running.subject, running.claimed.version, delay, Origin::FollowUp)])
}

fn attempt_of(intent: i32, reply: &Reply, took: Duration) -> Attempt {
    let (class, code, message) = match &reply.outcome {
        CallOutcome::Accepted { report } => ("accepted", report.raw_status.clone(), String::new()),
        CallOutcome::Failed { class, code, message } => (class.as_str(), code.clone(), message.clone()),
    };
    Attempt {
        intent,
        purpose: Purpose::Call,
        class: class.to_owned(),
        code,
        message,
        http_status: reply.http_status,
        request_id: reply.request_id.clone(),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn log_call(running: &Running<'_>, attempt: &Attempt) {
    let provider = running.claimed.operation.request.provider();
    tracing::info!(
        operation.id = %running.subject.id, provider.name = %provider, intent.number = attempt.intent,
        error.class = attempt.class, error.code = attempt.code, duration_ms = attempt.duration_ms,
        "The provider was called."
    );
}
