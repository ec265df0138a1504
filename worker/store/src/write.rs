//! The one way an event changes an operation: state, history, ledger, discrepancy, reservation and the
//! transition that web apps are told of, in the caller's transaction.

use payfleet_core::job::TraceContext;
use payfleet_core::kinds::lifecycle::{Event, Operation, Outcome};
use payfleet_core::ledger::Movement;
use payfleet_core::{JobId, OperationId};
use sqlx::PgConnection;

use crate::operation_row::to_json;
use crate::record::Next;
use crate::{StoreError, transitions};

/// On whose behalf something is written.
#[derive(Clone, Debug)]
pub struct JobRef {
    /// The job.
    pub id: JobId,
    /// The worker that runs it.
    pub worker: String,
    /// The trace in which it runs.
    pub trace: TraceContext,
}

/// The version being written, and how many of its events are in the history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub(crate) version: i64,
    pub(crate) step: i32,
}

impl Cursor {
    pub(crate) const fn at(version: i64) -> Self {
        Self { version, step: 0 }
    }
}

/// Applies `event` to `operation` and writes what follows from it, except for the row itself.
pub(crate) async fn apply_event(
    connection: &mut PgConnection,
    operation: &mut Operation,
    cursor: &mut Cursor,
    job: &JobRef,
    event: &Event,
) -> Result<Outcome, StoreError> {
    let applied = operation.apply(event)?;
    sqlx::query!(
        "/* history_append */ INSERT INTO operation_history
             (operation_id, version, step, from_state, to_state, event, job_id, worker)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        operation.id.as_uuid(),
        cursor.version,
        cursor.step,
        operation.state.name(),
        applied.state.name(),
        to_json(&event.for_the_record()),
        job.id.as_uuid(),
        job.worker,
    )
    .execute(&mut *connection)
    .await?;
    cursor.step = cursor.step.saturating_add(1);
    if let Some(movement) = &applied.outcome.movement {
        post(connection, operation.id, movement).await?;
    }
    if let Some(detail) = &applied.outcome.discrepancy {
        note(connection, operation, event.name(), detail).await?;
    }
    if applied.outcome.releases_reservation {
        release(connection, operation.id).await?;
    }
    if applied.state != operation.state {
        let (id, from) = (operation.id.as_uuid(), Some(&operation.state));
        transitions::append(connection, &[id], from, &applied.state.for_the_record(), job).await?;
    }
    operation.state = applied.state;
    Ok(applied.outcome)
}

/// Locks the row at `version`, or says that the race is lost. Every writer takes this lock before it
/// looks at anything else, so that what it reads afterwards is not older than what it writes.
pub(crate) async fn lock_version(
    connection: &mut PgConnection,
    id: OperationId,
    version: i64,
) -> Result<(), StoreError> {
    let held = sqlx::query_scalar!(
        "/* operation_lock_version */ SELECT true AS \"held!\" FROM operations
         WHERE id = $1 AND version = $2 FOR UPDATE",
        id.as_uuid(),
        version,
    )
    .fetch_optional(connection)
    .await?;
    if held.is_some() { Ok(()) } else { Err(StoreError::LostRace { id, version }) }
}

/// Writes the row: exactly one, still at `held`, or the race is lost. Answers whether events wait in
/// the inbox: then the operation is due at once, whatever `next` says, and is not parked. The caller
/// holds the row's lock.
pub(crate) async fn save_operation(
    connection: &mut PgConnection,
    operation: &Operation,
    held: i64,
    version: i64,
    next: &Next,
) -> Result<bool, StoreError> {
    let (wake_ms, parked, reason) = match next {
        Next::After { ms } | Next::NotBefore { ms } => (Some(*ms), None, None),
        Next::Never => (None, None, None),
        Next::Parked { parked, reason } => (None, Some(parked.as_str()), Some(reason.as_str())),
    };
    let written = sqlx::query_scalar!(
        "/* operation_save */ UPDATE operations
         SET version = $3, state = $4, state_data = $5, provider_ref = COALESCE($6, provider_ref),
             next_wake_at = CASE WHEN inbox.waits THEN now() ELSE now() + make_interval(secs => $7::float8 / 1000) END,
             not_before = CASE WHEN $10 AND NOT inbox.waits THEN now() + make_interval(secs => $7::float8 / 1000) END,
             parked = CASE WHEN NOT inbox.waits THEN $8 END,
             parked_reason = CASE WHEN NOT inbox.waits THEN $9 END,
             updated_at = now()
         FROM (SELECT EXISTS (
             SELECT 1 FROM inbox WHERE operation_id = $1 AND applied_at IS NULL
         ) AS waits) AS inbox
         WHERE id = $1 AND version = $2
         RETURNING inbox.waits AS \"waits!\"",
        operation.id.as_uuid(),
        held,
        version,
        operation.state.name(),
        to_json(&operation.state),
        operation.state.provider_ref(),
        wake_ms.map(millis),
        parked,
        reason,
        matches!(next, Next::NotBefore { .. }),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let events_wait = written.ok_or(StoreError::LostRace { id: operation.id, version: held })?;
    if operation.state.provider_ref().is_some() || operation.state.is_final() {
        wake_dependants(connection, operation.id).await?;
    }
    Ok(events_wait)
}

/// What waits for this operation to come so far may go on, or learns that it never will.
async fn wake_dependants(connection: &mut PgConnection, id: OperationId) -> Result<(), StoreError> {
    sqlx::query!(
        "/* operation_wake_dependants */ UPDATE operations SET next_wake_at = now()
         WHERE subject_id = $1 AND state = 'requested' AND parked IS NULL AND next_wake_at > now()",
        id.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Milliseconds as Postgres' interval arithmetic takes them: exact up to 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a wake-up within 285,000 years is exact"
)]
pub(crate) const fn millis(ms: u64) -> f64 {
    ms as f64
}

async fn post(connection: &mut PgConnection, id: OperationId, movement: &Movement) -> Result<(), StoreError> {
    let movement_id = sqlx::query_scalar!(
        "/* movement_insert */ INSERT INTO movements (operation_id, event) VALUES ($1, $2) RETURNING id",
        id.as_uuid(),
        movement.event(),
    )
    .fetch_one(&mut *connection)
    .await?;
    for (line, posting) in (1_i32..).zip(movement.postings()) {
        sqlx::query!(
            "/* posting_insert */ INSERT INTO postings (movement_id, line, account, unit, amount)
             VALUES ($1, $2, $3, $4, $5)",
            movement_id,
            line,
            posting.account,
            posting.unit,
            posting.amount,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub(crate) async fn note(
    connection: &mut PgConnection,
    operation: &Operation,
    kind: &str,
    detail: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* discrepancy_of_operation */ INSERT INTO discrepancies
             (source, kind, provider, operation_id, provider_ref, detail)
         VALUES ('operation', $1, $2, $3, $4, $5)",
        kind,
        operation.request.provider().as_str(),
        operation.id.as_uuid(),
        operation.state.provider_ref(),
        detail,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn release(connection: &mut PgConnection, id: OperationId) -> Result<(), StoreError> {
    sqlx::query!(
        "/* reservation_release */ WITH released AS (
             UPDATE reservations SET released_at = now()
             WHERE operation_id = $1 AND released_at IS NULL
             RETURNING tenant, provider, account, pool, amount
         )
         UPDATE pools SET reserved = pools.reserved - released.amount
         FROM released
         WHERE pools.tenant = released.tenant AND pools.provider = released.provider
           AND pools.account = released.account AND pools.pool = released.pool",
        id.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
