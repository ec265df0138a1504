//! What the rescuer looks for: operations that should have moved and have not. This is what makes
//! Redis disposable.

use payfleet_core::{OperationId, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::inbox::Woken;
use crate::operation_row::{kind, tenant};
use crate::{Store, StoreError};

/// An operation whose wake-up has passed.
#[derive(Clone, Debug)]
pub struct Overdue {
    /// The operation.
    pub operation: Woken,
    /// When it was due: part of the name of the job that makes up for it.
    pub due_at: Timestamp,
}

/// How far the overdue have been looked through; the default is before all of them.
#[derive(Clone, Copy, Debug)]
pub struct OverduePlace {
    due_at: OffsetDateTime,
    id: Uuid,
}

impl Default for OverduePlace {
    fn default() -> Self {
        Self { due_at: OffsetDateTime::UNIX_EPOCH, id: Uuid::nil() }
    }
}

impl Store {
    /// Up to `limit` operations that were due more than `grace_ms` ago, longest overdue first, from
    /// `place` on, which moves behind them: to the beginning again, where they were the last. So whatever
    /// cannot be rescued now keeps nobody else waiting. A row that this version cannot read is left to
    /// another and said.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn overdue(
        &self,
        grace_ms: u64,
        limit: u32,
        place: &mut OverduePlace,
    ) -> Result<Vec<Overdue>, StoreError> {
        let rows = sqlx::query!(
            "/* operations_overdue */ SELECT id, kind, tenant, version, next_wake_at AS \"due_at!\" FROM operations
             WHERE next_wake_at < now() - make_interval(secs => $1::float8 / 1000)
                 AND (next_wake_at, id) > ($3, $4)
             ORDER BY next_wake_at, id LIMIT $2",
            crate::write::millis(grace_ms),
            i64::from(limit),
            place.due_at,
            place.id,
        )
        .fetch_all(&self.pool)
        .await?;
        let is_full = u32::try_from(rows.len()).is_ok_and(|found| found == limit);
        let last = rows.last().filter(|_| is_full);
        *place = last.map(|row| OverduePlace { due_at: row.due_at, id: row.id }).unwrap_or_default();
        let mut overdue = Vec::with_capacity(rows.len());
        for row in rows {
            let id = OperationId::from_uuid(row.id);
            match (kind(&id, &row.kind), tenant(&id, row.tenant)) {
                (Ok(kind), Ok(tenant)) => {
                    let operation = Woken { id, kind, tenant, version: row.version };
                    overdue.push(Overdue { operation, due_at: row.due_at.into() });
                }
                (Err(error), _) | (_, Err(error)) => {
                    tracing::error!(operation.id = %id, "An overdue operation is left to another version: {error}");
                }
            }
        }
        Ok(overdue)
    }
}
