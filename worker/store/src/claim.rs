//! Claiming an operation: raise its version, so that every older claim is fenced off; apply what
//! waits in its inbox; and turn an intent that somebody left open into doubt. One transaction.
//!
//! A call that is under way is not claimed from under whoever makes it, except by the job it is made for:
//! that is delivered again only once the lease on it is lost.

use payfleet_core::kinds::lifecycle::{Event, Operation, State};
use payfleet_core::kinds::{NewOperation, Standing};
use payfleet_core::provider::KEY_IS_SPENT;
use payfleet_core::{OperationId, ProviderKey, Timestamp};
use sqlx::PgConnection;

use crate::deposits::address_of;
use crate::intent::CALL_PATIENCE_MS;
use crate::operation_row::{OperationRow, json, kind, tenant};
use crate::record::{Next, closes};
use crate::write::{Draft, JobRef, apply_event, insert_operation, note, save_history, save_operation};
use crate::{Store, StoreError};

/// While a claimed operation has no later wake-up, the rescuer leaves it alone for this long.
const CLAIM_PATIENCE_MS: u64 = 90_000;

/// Who claims what.
#[derive(Debug)]
pub struct ClaimRequest<'a> {
    /// Which operation.
    pub id: OperationId,
    /// What makes its row, if the job carries it.
    pub first: Option<&'a NewOperation>,
    /// On whose behalf.
    pub job: JobRef,
    /// Whether an operator released it: only that moves a parked operation.
    pub redrive: bool,
}

/// How a claim ended.
#[derive(Debug)]
pub enum Claim {
    /// It is ours until somebody else claims it.
    Claimed(Box<Claimed>),
    /// It stands still until a person acts.
    Parked {
        /// Why.
        reason: String,
        /// Since when, in milliseconds before now.
        for_ms: u64,
    },
    /// A backoff or a `Retry-After` is running. Nothing moved.
    NotYet {
        /// How long it still runs, in milliseconds.
        ms: u64,
    },
    /// Its call is under way, for another job. Nothing moved: whoever makes the call looks into the inbox
    /// when it has ended, and should that worker be gone, the operation is due again when it is not young
    /// any more.
    Calling,
    /// Another request was made under the same idempotency key. Nothing was changed.
    Conflict,
    /// There is no such row, and the job does not say what was asked.
    Unknown,
}

/// An operation that is ours.
#[derive(Debug)]
pub struct Claimed {
    /// The operation, with its inbox applied.
    pub operation: Operation,
    /// Our version: every write names it.
    pub version: i64,
    /// The intent that is open, if one is.
    pub intent: Option<OpenIntent>,
    /// How long ago it was made, in milliseconds by Postgres' clock.
    pub age_ms: u64,
    /// For how long the provider has had it, since its last intent closed, in milliseconds by Postgres'
    /// clock; 0 where none has.
    pub accepted_ms: u64,
    /// Its time had come; else whoever came first has seen to it.
    pub was_due: bool,
    /// Somebody hinted that the provider has news, or a person wants to know.
    pub look_now: bool,
    /// Events came since the inbox was applied; the operation is due at once, by another claim.
    pub events_wait: bool,
}

/// An intent whose call may have had its effect.
#[derive(Clone, Debug)]
pub struct OpenIntent {
    /// Its number within the operation.
    pub number: i32,
    /// Its key at the provider.
    pub key: ProviderKey,
    /// How long ago it was opened, in milliseconds by Postgres' clock.
    pub age_ms: i64,
    /// When it was opened, by Postgres' clock; `None`: a moment ago, by us.
    pub opened_at: Option<Timestamp>,
    /// Calls made.
    pub attempts: i32,
    /// Probes made.
    pub probes: i32,
    /// The provider has asked not to send its key again, or can only answer as before.
    pub key_is_spent: bool,
}

struct LockedRow {
    operation: OperationRow,
    request_hash: Vec<u8>,
    version: i64,
    parked_reason: Option<String>,
    wait_ms: i64,
    unchanged_ms: i64,
    age_ms: i64,
    accepted_ms: i64,
    was_due: bool,
}

impl Store {
    /// Claims an operation.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then, or it is unknown whether it has, which is harmless:
    /// claiming again is always right.
    pub async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim, StoreError> {
        self.transaction("claim", request, |connection, request| Box::pin(claim(connection, request))).await
    }
}

async fn claim(connection: &mut PgConnection, request: &ClaimRequest<'_>) -> Result<Claim, StoreError> {
    if let Some(first) = request.first {
        let mut operation = Operation::asked(request.id, first);
        let draft = Draft::of_new(&operation.state, &request.job);
        let key = first.idempotency_key.as_str();
        if insert_operation(connection, &operation, key, &draft, CLAIM_PATIENCE_MS).await? {
            operation.subject = subject_of(connection, &operation).await?;
            return Ok(Claim::Claimed(made(operation, draft.version, None)));
        }
    }
    let Some(row) = lock(connection, request.id).await? else { return Ok(Claim::Unknown) };
    if request.first.is_some_and(|first| first.request.hash().as_bytes().as_slice() != row.request_hash) {
        return Ok(Claim::Conflict);
    }
    let mut operation = Operation::try_from(row.operation)?;
    let is_young = u64::try_from(row.unchanged_ms).is_ok_and(|ms| ms < CALL_PATIENCE_MS);
    if matches!(operation.state, State::Submitting { .. })
        && is_young
        && !wrote(connection, request, row.version).await?
    {
        return Ok(Claim::Calling);
    }
    operation.subject = subject_of(connection, &operation).await?;
    if operation.request.is_awaited() {
        operation.address = address_of(connection, operation.id).await?;
    }
    let held = row.version;
    let mut draft = Draft::after(held, &request.job);
    let before = operation.state.clone();
    let look_now = apply_inbox(connection, &mut operation, &mut draft).await?;
    if let State::Submitting { intent } = operation.state {
        let left_open = Event::LeftOpen { intent };
        apply_event(connection, &mut operation, &mut draft, &left_open).await?;
    }
    // Nothing wakes what has settled: the look that a died worker was to ask for is asked for again.
    let goes_on = before.is_final() && (operation.request.may_return() || operation.request.is_alive());
    let look_now = look_now || (goes_on && wrote(connection, request, held).await?);
    let moved = operation.state != before || look_now;
    if let Some(reason) = row.parked_reason.filter(|_| !request.redrive && !moved) {
        save_history(connection, operation.id, &draft).await?;
        return Ok(Claim::Parked { reason, for_ms: u64::try_from(row.unchanged_ms).unwrap_or(0) });
    }
    let waits = matches!(operation.state, State::Retrying { .. } | State::InDoubt { .. });
    if waits && row.wait_ms > 0 && !moved && !request.redrive {
        save_history(connection, operation.id, &draft).await?;
        return Ok(Claim::NotYet { ms: row.wait_ms.unsigned_abs() });
    }
    let next = if operation.state.is_final() { Next::Never } else { Next::After { ms: CLAIM_PATIENCE_MS } };
    let events_wait = save_operation(connection, &operation, held, &draft, &next).await?;
    let mut intent = if resolved(&before) { None } else { open_intent(connection, operation.id).await? };
    if let (Some(_), Some(outcome)) = (&intent, closes(intent.as_ref(), &operation.state)) {
        close_intent(connection, operation.id, outcome).await?;
        intent = None;
    }
    let asked_by_hand = request.redrive && !operation.state.is_final();
    Ok(Claim::Claimed(Box::new(Claimed {
        operation,
        version: draft.version,
        intent,
        age_ms: u64::try_from(row.age_ms).unwrap_or(0),
        accepted_ms: u64::try_from(row.accepted_ms).unwrap_or(0),
        was_due: row.was_due,
        look_now: look_now || asked_by_hand,
        events_wait,
    })))
}

/// The claim of an operation whose row this transaction has made: nobody else can have written to it.
pub(crate) fn made(operation: Operation, version: i64, intent: Option<OpenIntent>) -> Box<Claimed> {
    Box::new(Claimed {
        operation,
        version,
        intent,
        age_ms: 0,
        accepted_ms: 0,
        was_due: true,
        look_now: false,
        events_wait: false,
    })
}

/// Whether a state leaves no intent open.
pub(crate) const fn resolved(state: &State) -> bool {
    match state {
        State::Submitting { .. } | State::Retrying { .. } | State::InDoubt { .. } => false,
        State::Requested
        | State::Accepted { .. }
        | State::Quarantined { .. }
        | State::Settled { .. }
        | State::Returned { .. }
        | State::Failed { .. } => true,
    }
}

/// How far what the operation builds on has come, where it has a row. Not locked: it only ever comes
/// further, and the next claim looks again.
async fn subject_of(
    connection: &mut PgConnection,
    operation: &Operation,
) -> Result<Option<Standing>, StoreError> {
    let Some(subject) = operation.request.subject() else { return Ok(None) };
    let id = subject.operation;
    let row = sqlx::query!(
        "/* operation_subject */ SELECT kind, tenant, state_data, provider_ref FROM operations WHERE id = $1",
        id.as_uuid(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let state = json::<State>("state_data", &id, row.state_data)?;
        let (kind, tenant) = (kind(&id, &row.kind)?, tenant(&id, row.tenant)?);
        Ok(Standing { kind, tenant, state, provider_ref: row.provider_ref })
    })
    .transpose()
}

async fn lock(connection: &mut PgConnection, id: OperationId) -> Result<Option<LockedRow>, StoreError> {
    let row = sqlx::query!(
        "/* operation_lock */ SELECT id, tenant, account, request, state_data, request_hash, version, parked_reason,
             COALESCE((EXTRACT(EPOCH FROM not_before - now()) * 1000)::bigint, 0) AS \"wait_ms!\",
             (EXTRACT(EPOCH FROM now() - updated_at) * 1000)::bigint AS \"unchanged_ms!\",
             (EXTRACT(EPOCH FROM now() - created_at) * 1000)::bigint AS \"age_ms!\",
             COALESCE((EXTRACT(EPOCH FROM now() - (
                 SELECT max(closed_at) FROM intents WHERE operation_id = $1
             )) * 1000)::bigint, 0) AS \"accepted_ms!\",
             COALESCE(next_wake_at <= now(), false) AS \"was_due!\"
         FROM operations WHERE id = $1 FOR UPDATE",
        id.as_uuid(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| LockedRow {
        operation: OperationRow {
            id: row.id,
            tenant: row.tenant,
            account: row.account,
            request: row.request,
            state_data: row.state_data,
        },
        request_hash: row.request_hash,
        version: row.version,
        parked_reason: row.parked_reason,
        wait_ms: row.wait_ms,
        unchanged_ms: row.unchanged_ms,
        age_ms: row.age_ms,
        accepted_ms: row.accepted_ms,
        was_due: row.was_due,
    }))
}

/// Whether `version` was written for the job that claims now.
async fn wrote(
    connection: &mut PgConnection,
    request: &ClaimRequest<'_>,
    version: i64,
) -> Result<bool, StoreError> {
    let wrote = sqlx::query_scalar!(
        "/* operation_written_for */ SELECT true AS \"wrote!\" FROM operation_history
         WHERE operation_id = $1 AND version = $2 AND job_id = $3 LIMIT 1",
        request.id.as_uuid(),
        version,
        request.job.id.as_uuid(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(wrote.unwrap_or(false))
}

/// Applies what waits, in the order it came. An event that cannot happen is kept with its verdict
/// and shown to a person; it never blocks the ones behind it.
async fn apply_inbox(
    connection: &mut PgConnection,
    operation: &mut Operation,
    draft: &mut Draft<'_>,
) -> Result<bool, StoreError> {
    let waiting = sqlx::query!(
        "/* inbox_waiting */ SELECT id, event FROM inbox
         WHERE operation_id = $1 AND applied_at IS NULL ORDER BY id LIMIT 100",
        operation.id.as_uuid(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut look_now = false;
    for row in waiting {
        // One that cannot be read was written by a newer version: it stays for a worker of that one.
        let Ok(event) = json::<Event>("inbox.event", &operation.id, row.event) else {
            tracing::warn!(operation.id = %operation.id, "An event in the inbox is left to a newer worker.");
            continue;
        };
        let verdict = match apply_event(connection, operation, draft, &event).await {
            Ok(outcome) => {
                look_now |= outcome.look_now;
                "applied".to_owned()
            }
            Err(StoreError::Illegal(illegal)) => {
                note(connection, operation, "illegal_event", &illegal.to_string()).await?;
                illegal.to_string()
            }
            Err(error) => return Err(error),
        };
        sqlx::query!(
            "/* inbox_applied */ UPDATE inbox SET applied_at = now(), verdict = $2 WHERE id = $1",
            row.id,
            verdict,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(look_now)
}

async fn open_intent(
    connection: &mut PgConnection,
    id: OperationId,
) -> Result<Option<OpenIntent>, StoreError> {
    let row = sqlx::query!(
        "/* intent_open */ SELECT number, provider_key, attempts, probes, opened_at, now() AS \"now!\",
             EXISTS (
                 SELECT 1 FROM intent_attempts AS made
                 WHERE made.operation_id = $1 AND made.intent = number AND made.code = ANY($2)
             ) AS \"key_is_spent!\"
         FROM intents WHERE operation_id = $1 AND closed_at IS NULL",
        id.as_uuid(),
        &KEY_IS_SPENT.map(str::to_owned),
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let age: time::Duration = row.now - row.opened_at;
        Ok(OpenIntent {
            number: row.number,
            key: json("intents.provider_key", &id, row.provider_key.into())?,
            age_ms: i64::try_from(age.whole_milliseconds()).unwrap_or(i64::MAX),
            opened_at: Some(row.opened_at.into()),
            attempts: row.attempts,
            probes: row.probes,
            key_is_spent: row.key_is_spent,
        })
    })
    .transpose()
}

/// Closes the open intent, if there is one, with the state it led to.
pub(crate) async fn close_intent(
    connection: &mut PgConnection,
    id: OperationId,
    outcome: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* intent_close */ UPDATE intents SET closed_at = now(), outcome = $2
         WHERE operation_id = $1 AND closed_at IS NULL",
        id.as_uuid(),
        outcome,
    )
    .execute(connection)
    .await?;
    Ok(())
}
