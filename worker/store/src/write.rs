//! The one way an event changes an operation: state, history, ledger, discrepancy, reservation and the
//! transition that web apps are told of, in the caller's transaction. What an event adds to the history
//! is kept in a draft and written with the row, in one statement.

use payfleet_core::job::TraceContext;
use payfleet_core::kinds::lifecycle::{Event, Operation, Outcome, State};
use payfleet_core::kinds::payout::Origin;
use payfleet_core::ledger::Movement;
use payfleet_core::{JobId, OperationId};
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;

use crate::StoreError;
use crate::distribution::leave_unpaid;
use crate::operation_row::to_json;
use crate::record::Next;

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

/// The version being written, and what it adds to the history.
pub(crate) struct Draft<'a> {
    pub(crate) version: i64,
    job: &'a JobRef,
    steps: Steps,
    told: Steps,
}

/// Steps from a state to a state, column by column.
#[derive(Default)]
struct Steps {
    from: Vec<String>,
    to: Vec<String>,
    what: Vec<Value>,
}

impl Steps {
    fn push(&mut self, from: &str, to: &str, what: Value) {
        self.from.push(from.to_owned());
        self.to.push(to.to_owned());
        self.what.push(what);
    }
}

impl<'a> Draft<'a> {
    /// Of the first version of an operation that does not exist yet.
    pub(crate) fn of_new(state: &State, job: &'a JobRef) -> Self {
        let mut draft = Self::after(0, job);
        // From nothing: a transition without a state before it.
        draft.told.push("", state.name(), to_json(&state.for_the_record()));
        draft
    }

    /// Of the version after `held`.
    pub(crate) fn after(held: i64, job: &'a JobRef) -> Self {
        Self { version: held.saturating_add(1), job, steps: Steps::default(), told: Steps::default() }
    }
}

/// Applies `event` to `operation` and writes what follows from it, except for what is in `draft` then:
/// the row and its history.
pub(crate) async fn apply_event(
    connection: &mut PgConnection,
    operation: &mut Operation,
    draft: &mut Draft<'_>,
    event: &Event,
) -> Result<Outcome, StoreError> {
    let applied = operation.apply(event)?;
    let (from, to) = (operation.state.name(), applied.state.name());
    draft.steps.push(from, to, to_json(&event.for_the_record()));
    if let Some(movement) = &applied.outcome.movement {
        post(connection, operation.id, movement).await?;
    }
    if let Some(detail) = &applied.outcome.discrepancy {
        note(connection, operation, event.name(), detail).await?;
    }
    if is_unpaid_part(operation, &applied.state) {
        leave_unpaid(connection, operation.id).await?;
    }
    if applied.outcome.releases_reservation {
        release(connection, operation.id).await?;
    }
    if applied.state != operation.state {
        draft.told.push(from, to, to_json(&applied.state.for_the_record()));
    }
    operation.state = applied.state;
    Ok(applied.outcome)
}

/// Whether a distribution made it, and it has paid nobody.
fn is_unpaid_part(operation: &Operation, state: &State) -> bool {
    matches!(operation.request.origin(), Some(Origin::Distribution { .. }))
        && matches!(state, State::Failed { .. } | State::Returned { .. })
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

/// Writes the row, exactly one and still at `held`, or the race is lost; and with it its history, its
/// transitions and whom to tell of them, and the wake-ups of what waits for it to come so far. Answers
/// whether events wait in the inbox: then the operation is due at once, whatever `next` says, and is not
/// parked; the caller holds the row's lock if it goes by that.
pub(crate) async fn save_operation(
    connection: &mut PgConnection,
    operation: &Operation,
    held: i64,
    draft: &Draft<'_>,
    next: &Next,
) -> Result<bool, StoreError> {
    let (wake_ms, parked, reason) = match next {
        Next::After { ms } | Next::NotBefore { ms } => (Some(*ms), None, None),
        Next::Never => (None, None, None),
        Next::Parked { parked, reason } => (None, Some(parked.as_str()), Some(reason.as_str())),
    };
    let Draft { version, job, steps, told } = draft;
    let written = sqlx::query_file_scalar!(
        "src/sql/operation_save.sql",
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
        operation.state.provider_ref().is_some() || operation.state.is_final(),
        job.id.as_uuid(),
        job.worker,
        steps.from.as_slice(),
        steps.to.as_slice(),
        steps.what.as_slice(),
        to_json(&job.trace),
        told.from.as_slice(),
        told.to.as_slice(),
        told.what.as_slice(),
    )
    .fetch_optional(connection)
    .await?;
    written.ok_or(StoreError::LostRace { id: operation.id, version: held })
}

/// Makes the row as far as `draft` has brought it, with its history, its transitions and whom to tell of
/// them; unless there is one: then nothing is written, and the answer is no.
pub(crate) async fn insert_operation(
    connection: &mut PgConnection,
    operation: &Operation,
    idempotency_key: &str,
    draft: &Draft<'_>,
    next_ms: u64,
) -> Result<bool, StoreError> {
    let request = &operation.request;
    let (hash, money, origin) = (request.hash(), request.money(), request.origin());
    let Draft { version, job, steps, told } = draft;
    let made = sqlx::query_file_scalar!(
        "src/sql/operation_insert.sql",
        operation.id.as_uuid(),
        operation.tenant.as_str(),
        request.kind().as_str(),
        idempotency_key,
        hash.as_bytes().as_slice(),
        to_json(request),
        request.provider().as_str(),
        operation.account.as_str(),
        operation.state.name(),
        to_json(&operation.state),
        request.subject().map(|subject| subject.operation.as_uuid()),
        money.map(|money| money.amount()),
        money.map(|money| money.asset().code()),
        millis(next_ms),
        version,
        job.id.as_uuid(),
        job.worker,
        steps.from.as_slice(),
        steps.to.as_slice(),
        steps.what.as_slice(),
        to_json(&job.trace),
        told.from.as_slice(),
        told.to.as_slice(),
        told.what.as_slice(),
        origin.map(Origin::name),
        origin.and_then(Origin::made_by).map(|made_by| made_by.as_uuid()),
    )
    .fetch_optional(connection)
    .await?;
    Ok(made.unwrap_or(false))
}

/// Writes only the history of a version, which is used up by it: events that moved nothing are there all
/// the same, and the next claim's would be taken for theirs.
pub(crate) async fn save_history(
    connection: &mut PgConnection,
    id: OperationId,
    draft: &Draft<'_>,
) -> Result<(), StoreError> {
    let Draft { version, job, steps, .. } = draft;
    if steps.what.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "/* operation_keep_version */ WITH kept AS (
             UPDATE operations SET version = $2 WHERE id = $1 RETURNING id
         )
         INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
         SELECT kept.id, $2, one.place - 1, one.from_state, one.to_state, one.event, $3, $4
         FROM kept, UNNEST($5::text[], $6::text[], $7::jsonb[])
             WITH ORDINALITY AS one (from_state, to_state, event, place)",
        id.as_uuid(),
        version,
        job.id.as_uuid(),
        job.worker,
        steps.from.as_slice(),
        steps.to.as_slice(),
        steps.what.as_slice(),
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
    let postings = movement.postings();
    let accounts: Vec<String> = postings.iter().map(|posting| posting.account.clone()).collect();
    let units: Vec<String> = postings.iter().map(|posting| posting.unit.clone()).collect();
    let amounts: Vec<Decimal> = postings.iter().map(|posting| posting.amount).collect();
    sqlx::query!(
        "/* movement_insert */ WITH made AS (
             INSERT INTO movements (operation_id, event) VALUES ($1, $2) RETURNING id
         )
         INSERT INTO postings (movement_id, line, account, unit, amount)
         SELECT made.id, one.line, one.account, one.unit, one.amount
         FROM made, UNNEST($3::text[], $4::text[], $5::numeric[])
             WITH ORDINALITY AS one (account, unit, amount, line)",
        id.as_uuid(),
        movement.event(),
        accounts.as_slice(),
        units.as_slice(),
        amounts.as_slice(),
    )
    .execute(connection)
    .await?;
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
         VALUES ('operation', $1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
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

/// The same, unless a person has one of this kind before them already.
pub(crate) async fn note_once(
    connection: &mut PgConnection,
    operation: &Operation,
    kind: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let is_open = sqlx::query_scalar!(
        "/* discrepancy_open */ SELECT EXISTS (
             SELECT 1 FROM discrepancies WHERE operation_id = $1 AND kind = $2 AND resolved_at IS NULL
         ) AS \"open!\"",
        operation.id.as_uuid(),
        kind,
    )
    .fetch_one(&mut *connection)
    .await?;
    if is_open { Ok(()) } else { note(connection, operation, kind, detail).await }
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
