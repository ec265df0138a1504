//! Reconciliation runs and what they found.

use payfleet_core::kinds::Request;
use payfleet_core::kinds::reconcile::{Found, Held, Reconcile};
use payfleet_core::{JobId, OperationId};
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::operation_row::json;
use crate::{Store, StoreError};

/// What a run compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Entries in the provider's record.
    pub listed: usize,
    /// Operations of ours in the window.
    pub held: usize,
    /// How they differ.
    pub differences: Vec<Found>,
}

/// A run, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// Whose record.
    pub provider: String,
    /// Entries in it.
    pub listed: Option<i32>,
    /// Operations of ours in the window.
    pub held: Option<i32>,
    /// How many differences.
    pub differences: Option<i32>,
    /// Whether it ran to the end.
    pub finished: bool,
}

struct Finish<'a> {
    run: i64,
    provider: &'static str,
    compared: &'a Compared,
}

impl Store {
    /// Starts the run of `job`, or finds it where an earlier attempt has started it.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn start_run(&self, job: JobId, reconcile: &Reconcile) -> Result<i64, StoreError> {
        let (from, to): (OffsetDateTime, OffsetDateTime) = (reconcile.from.into(), reconcile.to.into());
        Ok(sqlx::query_scalar!(
            "/* run_start */ INSERT INTO reconciliation_runs (job_id, provider, account, window_start, window_end)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT ON CONSTRAINT reconciliation_runs_once DO UPDATE SET started_at = now()
             RETURNING id",
            job.as_uuid(),
            reconcile.provider.as_str(),
            reconcile.account.as_str(),
            from,
            to,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// What we hold of the window: every operation whose intent was opened in it.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn held(&self, reconcile: &Reconcile) -> Result<Vec<Held>, StoreError> {
        let (from, to): (OffsetDateTime, OffsetDateTime) = (reconcile.from.into(), reconcile.to.into());
        let rows = sqlx::query!(
            "/* operations_held */ SELECT o.id, o.request, o.provider_ref, o.state, i.reference
             FROM operations o JOIN intents i ON i.operation_id = o.id
             WHERE o.provider = $1 AND o.account = $2 AND i.opened_at >= $3 AND i.opened_at < $4
             ORDER BY i.opened_at",
            reconcile.provider.as_str(),
            reconcile.account.as_str(),
            from,
            to,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut held = Vec::with_capacity(rows.len());
        for row in rows {
            let operation = OperationId::from_uuid(row.id);
            let request: Request = json("request", &operation, row.request)?;
            // What no list shows cannot be missing in one.
            if request.is_listed() {
                let (reference, provider_ref, state) = (row.reference, row.provider_ref, row.state);
                held.push(Held { operation, reference, provider_ref, state, money: request.money() });
            }
        }
        Ok(held)
    }

    /// Writes what a run found and ends it. Ending it again replaces nothing and adds nothing.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn finish_run(
        &self,
        run: i64,
        reconcile: &Reconcile,
        compared: &Compared,
    ) -> Result<(), StoreError> {
        let finish = Finish { run, provider: reconcile.provider.as_str(), compared };
        self.transaction("finish_run", &finish, |c, finish| Box::pin(finish_in(c, finish))).await
    }

    /// The newest runs.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn runs(&self, limit: i64) -> Result<Vec<RunSummary>, StoreError> {
        Ok(sqlx::query_as!(
            RunSummary,
            "/* runs_newest */ SELECT provider, listed, held, differences, finished_at IS NOT NULL AS \"finished!\"
             FROM reconciliation_runs ORDER BY id DESC LIMIT $1",
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

async fn finish_in(connection: &mut PgConnection, finish: &Finish<'_>) -> Result<(), StoreError> {
    let Finish { run, provider, compared } = finish;
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let finished = sqlx::query!(
        "/* run_finish */ UPDATE reconciliation_runs
         SET finished_at = now(), listed = $2, held = $3, differences = $4
         WHERE id = $1 AND finished_at IS NULL",
        run,
        count(compared.listed),
        count(compared.held),
        count(compared.differences.len()),
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if finished == 0 {
        return Ok(());
    }
    for found in &compared.differences {
        let operation: Option<Uuid> = found.operation.map(|id| id.as_uuid());
        sqlx::query!(
            "/* discrepancy_of_run */ INSERT INTO discrepancies
                 (source, kind, provider, operation_id, provider_ref, detail, run_id)
             VALUES ('reconciliation', $1, $2, $3, $4, $5, $6)",
            found.difference.as_str(),
            provider,
            operation,
            found.provider_ref,
            found.detail,
            run,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
