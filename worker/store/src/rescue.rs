//! What the rescuer looks for: operations that should have moved and have not. This is what makes
//! Redis disposable.

use payfleet_core::OperationId;

use crate::inbox::Woken;
use crate::operation_row::{kind, tenant};
use crate::{Store, StoreError};

/// An operation whose wake-up has passed.
pub type Overdue = Woken;

impl Store {
    /// Up to `limit` operations that were due more than `grace_ms` ago, longest overdue first.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn overdue(&self, grace_ms: u64, limit: i64) -> Result<Vec<Overdue>, StoreError> {
        let rows = sqlx::query!(
            "/* operations_overdue */ SELECT id, kind, tenant, version FROM operations
             WHERE next_wake_at < now() - make_interval(secs => $1::float8 / 1000)
             ORDER BY next_wake_at LIMIT $2",
            crate::write::millis(grace_ms),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let id = OperationId::from_uuid(row.id);
                Ok(Overdue {
                    id,
                    kind: kind(&id, &row.kind)?,
                    tenant: tenant(&id, row.tenant)?,
                    version: row.version,
                })
            })
            .collect()
    }
}
