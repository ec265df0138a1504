//! What the rescuer looks for: operations that should have moved and have not. This is what makes
//! Redis disposable.

use payfleet_core::{OperationId, Timestamp};

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

impl Store {
    /// Up to `limit` operations that were due more than `grace_ms` ago, longest overdue first. A row
    /// that this version cannot read is left to another and said.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn overdue(&self, grace_ms: u64, limit: i64) -> Result<Vec<Overdue>, StoreError> {
        let rows = sqlx::query!(
            "/* operations_overdue */ SELECT id, kind, tenant, version, next_wake_at AS \"due_at!\" FROM operations
             WHERE next_wake_at < now() - make_interval(secs => $1::float8 / 1000)
             ORDER BY next_wake_at LIMIT $2",
            crate::write::millis(grace_ms),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
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
