//! Transaction 2: what came of it. State, ledger, attempt, intent and the next wake-up are written
//! together or not at all.

use payfleet_core::kinds::lifecycle::{Event, Outcome, Parked, State};
use payfleet_core::{OperationId, OutcomeClass};
use sqlx::PgConnection;

use crate::claim::{close_intent, resolved};
use crate::operation_row::clean;
use crate::write::{Draft, JobRef, apply_event, lock_version, note_once, save_operation};
use crate::{Claimed, OpenIntent, Store, StoreError};

/// The class of an attempt that is given back: the provider has not even looked at it.
const RATE_LIMITED: &str = OutcomeClass::RateLimited { retry_after_ms: None }.as_str();

/// What must happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look again in this many milliseconds of Postgres' clock.
    After {
        /// Milliseconds from now.
        ms: u64,
    },
    /// As [`Next::After`], and a job that comes earlier waits: a backoff or a `Retry-After` is running.
    NotBefore {
        /// Milliseconds from now.
        ms: u64,
    },
    /// Nothing: it is final.
    Never,
    /// Nothing until a person acts.
    Parked {
        /// Why, by name.
        parked: Parked,
        /// Why, in words.
        reason: String,
    },
}

/// Why the provider was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To have the effect.
    Call,
    /// To find out about it.
    Probe,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Probe => "probe",
        }
    }
}

/// One exchange with a provider, for the history.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which intent.
    pub intent: i32,
    /// Why.
    pub purpose: Purpose,
    /// `accepted`, `found`, or the class of the error.
    pub class: String,
    /// A short machine-readable code.
    pub code: String,
    /// For people; never a payload or a secret.
    pub message: String,
    /// The answer's HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

struct Recording<'a> {
    claimed: &'a Claimed,
    job: &'a JobRef,
    event: &'a Event,
    attempt: Option<&'a Attempt>,
    next: &'a (dyn Fn(&State) -> Next + Sync),
}

impl Store {
    /// Applies `event` to the claimed operation and writes everything that follows. `next` is asked
    /// with the new state.
    ///
    /// # Errors
    /// [`StoreError::LostRace`] where somebody else has claimed the operation: what is known must
    /// then be kept by [`Store::keep_evidence`].
    pub async fn record(
        &self,
        claimed: &mut Claimed,
        job: &JobRef,
        event: &Event,
        attempt: Option<&Attempt>,
        next: &(dyn Fn(&State) -> Next + Sync),
    ) -> Result<Outcome, StoreError> {
        let applied = claimed.operation.apply(event)?;
        let recording = Recording { claimed, job, event, attempt, next };
        let result =
            self.transaction("record", &recording, |c, recording| Box::pin(record(c, recording))).await;
        let version = claimed.version.saturating_add(1);
        claimed.events_wait = match result {
            Err(StoreError::UnknownCommit { transaction }) => {
                if !self.landed(claimed.operation.id, version, applied.state.name()).await? {
                    return Err(StoreError::UnknownCommit { transaction });
                }
                // Not known any more; looking once too often is harmless.
                true
            }
            result => result?,
        };
        if closes(claimed.intent.as_ref(), &applied.state).is_some() {
            claimed.intent = None;
        }
        // What was hinted at before is answered once it is final.
        claimed.look_now = (claimed.look_now && !applied.state.is_final()) || applied.outcome.look_now;
        claimed.operation.state = applied.state;
        claimed.version = version;
        Ok(applied.outcome)
    }

    /// Writes only when the operation must be looked at next, under the same claim.
    ///
    /// # Errors
    /// [`StoreError::LostRace`] where somebody else has claimed the operation.
    pub async fn set_next(&self, claimed: &mut Claimed, job: &JobRef, next: &Next) -> Result<(), StoreError> {
        let resting = Resting { claimed, job, next };
        let result = self.transaction("set_next", &resting, |c, resting| Box::pin(rest(c, resting))).await;
        claimed.events_wait = result?;
        claimed.version = claimed.version.saturating_add(1);
        Ok(())
    }
}

struct Resting<'a> {
    claimed: &'a Claimed,
    job: &'a JobRef,
    next: &'a Next,
}

async fn rest(connection: &mut PgConnection, resting: &Resting<'_>) -> Result<bool, StoreError> {
    let Resting { claimed, job, next } = resting;
    lock_version(connection, claimed.operation.id, claimed.version).await?;
    let draft = Draft::after(claimed.version, job);
    let events_wait = save_operation(connection, &claimed.operation, claimed.version, &draft, next).await?;
    if let Next::Parked { parked: Parked::NotFinal, reason } = next
        && !events_wait
    {
        note_once(connection, &claimed.operation, Parked::NotFinal.as_str(), reason).await?;
    }
    Ok(events_wait)
}

async fn record(connection: &mut PgConnection, recording: &Recording<'_>) -> Result<bool, StoreError> {
    let Recording { claimed, job, event, attempt, next } = recording;
    lock_version(connection, claimed.operation.id, claimed.version).await?;
    let mut operation = claimed.operation.clone();
    let mut draft = Draft::after(claimed.version, job);
    apply_event(connection, &mut operation, &mut draft, event).await?;
    let outcome = closes(claimed.intent.as_ref(), &operation.state);
    match (attempt, outcome) {
        (Some(attempt), _) => append_attempt(connection, operation.id, job, attempt, outcome).await?,
        (None, Some(outcome)) => close_intent(connection, operation.id, outcome).await?,
        (None, None) => {}
    }
    let next = next(&operation.state);
    save_operation(connection, &operation, claimed.version, &draft, &next).await
}

/// What `state` makes of the open intent, where it closes it: the state it led to, or that it was
/// refused and the next one is to be opened.
pub(crate) fn closes(open: Option<&OpenIntent>, state: &State) -> Option<&'static str> {
    if resolved(state) {
        return Some(state.name());
    }
    let open = open?.number;
    matches!(state, State::Retrying { intent } if *intent != open).then_some("refused")
}

/// Writes down the exchange, what it cost its intent, and how that ended where it did.
async fn append_attempt(
    connection: &mut PgConnection,
    id: OperationId,
    job: &JobRef,
    attempt: &Attempt,
    outcome: Option<&str>,
) -> Result<(), StoreError> {
    let is_limited = attempt.class == RATE_LIMITED;
    let unspent = i32::from(attempt.purpose == Purpose::Call && is_limited);
    let probes = i32::from(attempt.purpose == Purpose::Probe && !is_limited);
    sqlx::query!(
        "/* attempt_append */ WITH appended AS (
             INSERT INTO intent_attempts
                 (operation_id, intent, purpose, class, code, message, http_status, request_id, duration_ms, worker)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         )
         UPDATE intents
         SET attempts = attempts - $11, probes = probes + $12, outcome = COALESCE($13, outcome),
             closed_at = CASE WHEN $13 IS NULL THEN closed_at ELSE now() END
         WHERE operation_id = $1 AND number = $2 AND closed_at IS NULL",
        id.as_uuid(),
        attempt.intent,
        attempt.purpose.as_str(),
        attempt.class,
        clean(&attempt.code),
        clean(&attempt.message),
        attempt.http_status.map(i32::from),
        attempt.request_id.as_deref().map(clean),
        i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
        job.worker,
        unspent,
        probes,
        outcome,
    )
    .execute(connection)
    .await?;
    Ok(())
}
