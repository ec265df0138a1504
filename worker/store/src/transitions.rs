//! What web apps are told of: each transition of an operation, written with it, numbered within its
//! operation, and given its place in the feed after it was committed.
//!
//! Transactions commit in another order than they write. A reader with a cursor over anything that
//! is drawn while writing would skip what commits late; so positions are given afterwards, to what is
//! there for everybody to see, by one worker at a time.

use payfleet_core::kinds::lifecycle::State;
use payfleet_core::kinds::notify::{Details, Transition};
use payfleet_core::{OperationId, TenantId, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::operation_row::{json, to_json};
use crate::write::JobRef;
use crate::{Store, StoreError};

/// The lock whose holder gives out positions; any number nobody else locks.
const POSITIONS_LOCK: i64 = 0x7061_7966_6c65_6574;

/// A stretch of a tenant's feed.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// Oldest first.
    pub transitions: Vec<Transition>,
    /// Where the next stretch begins: read on after this.
    pub next: i64,
    /// Whether there was more to read.
    pub more: bool,
}

impl Store {
    /// Up to `limit` transitions of `tenant`'s operations after position `after` (0: the beginning).
    /// Whoever reads on from `next` misses nothing, and sees nothing twice.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn feed(&self, tenant: &TenantId, after: i64, limit: i64) -> Result<FeedPage, StoreError> {
        let rows = sqlx::query!(
            "/* transitions_feed */ SELECT t.position AS \"position!\", t.operation_id, t.sequence, t.at, t.from_state,
                 t.to_state, t.state_data, t.trace, o.kind, o.idempotency_key
             FROM transitions t JOIN operations o ON o.id = t.operation_id
             WHERE t.tenant = $1 AND t.position > $2 ORDER BY t.position LIMIT $3",
            tenant.as_str(),
            after,
            limit.saturating_add(1),
        )
        .fetch_all(&self.pool)
        .await?;
        let fits = usize::try_from(limit).unwrap_or(0);
        let more = rows.len() > fits;
        let mut page = FeedPage { transitions: Vec::with_capacity(rows.len()), next: after, more };
        for row in rows.into_iter().take(fits) {
            page.next = row.position;
            page.transitions.push(
                TransitionRow {
                    operation_id: row.operation_id,
                    kind: row.kind,
                    idempotency_key: row.idempotency_key,
                    sequence: row.sequence,
                    from_state: row.from_state,
                    to_state: row.to_state,
                    state_data: row.state_data,
                    at: row.at,
                    trace: row.trace,
                }
                .try_into()?,
            );
        }
        Ok(page)
    }

    /// Gives up to `limit` committed transitions their places in the feed. Returns how many: none too
    /// where another worker is at it.
    ///
    /// # Errors
    /// [`StoreError`]; trying again is always right.
    pub async fn give_positions(&self, limit: i64) -> Result<u64, StoreError> {
        self.transaction("give_positions", &limit, |connection, limit| {
            Box::pin(give_positions(connection, *limit))
        })
        .await
    }
}

/// Two statements: the second must see what was committed before the lock was ours, and its holder
/// before us has committed by then.
async fn give_positions(connection: &mut PgConnection, limit: i64) -> Result<u64, StoreError> {
    let ours = sqlx::query_scalar!(
        "/* positions_lock */ SELECT pg_try_advisory_xact_lock($1) AS \"ours!\"",
        POSITIONS_LOCK,
    )
    .fetch_one(&mut *connection)
    .await?;
    if !ours {
        return Ok(0);
    }
    let given = sqlx::query!(
        "/* positions_give */ WITH waiting AS (
             SELECT written, at FROM transitions WHERE position IS NULL ORDER BY written LIMIT $1
         ), placed AS (
             SELECT written, at, nextval('transitions_position') AS position FROM waiting
         )
         UPDATE transitions SET position = placed.position FROM placed
         WHERE transitions.written = placed.written AND transitions.at = placed.at
           AND transitions.position IS NULL",
        limit,
    )
    .execute(connection)
    .await?;
    Ok(given.rows_affected())
}

/// Writes the first transition of each operation of `ids`, in the transaction that makes them, and has
/// every receiver of the tenant told.
pub(crate) async fn append_first(
    connection: &mut PgConnection,
    ids: &[Uuid],
    job: &JobRef,
) -> Result<(), StoreError> {
    sqlx::query_file!(
        "src/sql/transition_append_first.sql",
        ids,
        State::Requested.name(),
        to_json(&State::Requested),
        to_json(&job.trace),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A row of `transitions` with what its operation says.
pub(crate) struct TransitionRow {
    pub(crate) operation_id: Uuid,
    pub(crate) kind: String,
    pub(crate) idempotency_key: String,
    pub(crate) sequence: i32,
    pub(crate) from_state: Option<String>,
    pub(crate) to_state: String,
    pub(crate) state_data: Value,
    pub(crate) at: OffsetDateTime,
    pub(crate) trace: Value,
}

impl TryFrom<TransitionRow> for Transition {
    type Error = StoreError;

    fn try_from(row: TransitionRow) -> Result<Self, StoreError> {
        let operation_id = OperationId::from_uuid(row.operation_id);
        Ok(Self {
            operation_id,
            kind: row.kind,
            idempotency_key: row.idempotency_key,
            sequence: row.sequence,
            from: row.from_state,
            to: row.to_state,
            details: Details::of_state(row.state_data),
            at: Timestamp::from(row.at),
            trace: json("transitions.trace", &operation_id, row.trace)?,
        })
    }
}
