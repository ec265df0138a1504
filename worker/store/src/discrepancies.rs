//! Where our record and the world disagree, until a person has found out why.

use payfleet_core::Timestamp;
use uuid::Uuid;

use crate::{Store, StoreError};

/// One that nobody has resolved.
#[derive(Clone, Debug)]
pub struct OpenDiscrepancy {
    /// Its number.
    pub id: i64,
    /// When it was found.
    pub at: Timestamp,
    /// Who found it: `operation`, `webhook`, `reconciliation`.
    pub source: String,
    /// What kind of difference it is.
    pub kind: String,
    /// With whom.
    pub provider: String,
    /// The operation it is about, if it is about one.
    pub operation_id: Option<Uuid>,
    /// What it is called at the provider.
    pub provider_ref: Option<String>,
    /// The reconciliation run that found it, by number.
    pub run_id: Option<i64>,
    /// In words.
    pub detail: String,
}

impl Store {
    /// At most `limit` discrepancies that nobody has resolved, the last found first: those before the one
    /// numbered `before`.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn discrepancies(
        &self,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<OpenDiscrepancy>, StoreError> {
        let rows = sqlx::query!(
            "/* discrepancies_list */ SELECT id, at, source, kind, provider, operation_id, provider_ref, run_id, detail
             FROM discrepancies WHERE resolved_at IS NULL AND id < $1 ORDER BY id DESC LIMIT $2",
            before.unwrap_or(i64::MAX),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let open = rows.into_iter().map(|row| OpenDiscrepancy {
            id: row.id,
            at: row.at.into(),
            source: row.source,
            kind: row.kind,
            provider: row.provider,
            operation_id: row.operation_id,
            provider_ref: row.provider_ref,
            run_id: row.run_id,
            detail: row.detail,
        });
        Ok(open.collect())
    }

    /// Resolves the one numbered `id`, for what `author` says. Answers whether it was open.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn resolve_discrepancy(&self, id: i64, author: &str, reason: &str) -> Result<bool, StoreError> {
        let resolved = sqlx::query!(
            "/* discrepancy_resolve */ UPDATE discrepancies SET resolved_at = now(), resolved_by = $2, resolution = $3
             WHERE id = $1 AND resolved_at IS NULL",
            id,
            author,
            reason,
        )
        .execute(&self.pool)
        .await?;
        Ok(resolved.rows_affected() == 1)
    }
}
