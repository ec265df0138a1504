//! Reconciliation runs as they are shown: lists, the report of one, and what it found, page by page.

use payfleet_core::provider::Provider;
use payfleet_core::{JobId, Timestamp};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// The job that carries it out.
    pub job: JobId,
    /// Whose record.
    pub provider: String,
    /// Our account there.
    pub account: String,
    /// The window's beginning.
    pub window_start: Timestamp,
    /// Its end, which it does not contain.
    pub window_end: Timestamp,
    /// When its last attempt began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub finished_at: Option<Timestamp>,
    /// Entries in the provider's record.
    pub listed: Option<i32>,
    /// Operations of ours in the window.
    pub held: Option<i32>,
    /// How many differences.
    pub differences: Option<i32>,
    /// Why it could not be carried out.
    pub failure: Option<String>,
}

/// What one record of a run's window comes to in one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTotal {
    /// `theirs` or `ours`.
    pub side: String,
    /// Of what.
    pub asset: String,
    /// How many entries.
    pub count: i64,
    /// What they sum to, as a decimal string.
    pub amount: String,
}

/// Differences of one kind among operations of one asset.
#[derive(Clone, Debug)]
pub struct DifferenceSum {
    /// How the records differ.
    pub difference: String,
    /// The asset of our operations; `None` where we have none.
    pub asset: Option<String>,
    /// How many.
    pub count: i64,
    /// What our operations sum to, as a decimal string.
    pub amount: Option<String>,
}

/// One difference.
#[derive(Clone, Debug)]
pub struct Discrepancy {
    /// Its number.
    pub id: i64,
    /// How the records differ.
    pub difference: String,
    /// Our operation, if we have one.
    pub operation_id: Option<Uuid>,
    /// The provider's id, if it has one.
    pub provider_ref: Option<String>,
    /// Both records in words.
    pub detail: String,
    /// What the run did about it; `None`: it is for a person.
    pub remedy: Option<String>,
    /// The provider's record: `{"reference", "state", "money"?: {"amount", "asset"}, "note"?}`.
    pub theirs: Option<Value>,
    /// Ours, likewise.
    pub ours: Option<Value>,
    /// When the run remedied it, or a person resolved it.
    pub resolved_at: Option<OffsetDateTime>,
}

struct Row {
    id: i64,
    job_id: Uuid,
    provider: String,
    account: String,
    window_start: OffsetDateTime,
    window_end: OffsetDateTime,
    started_at: OffsetDateTime,
    finished_at: Option<OffsetDateTime>,
    listed: Option<i32>,
    held: Option<i32>,
    differences: Option<i32>,
    failure: Option<String>,
}

impl Store {
    /// At most `limit` runs, newest first: those before `before`, of `provider` and `job` where given.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn runs_before(
        &self,
        provider: Option<Provider>,
        job: Option<JobId>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Run>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            "/* runs_before */ SELECT id, job_id, provider, account, window_start, window_end, started_at, finished_at,
                 listed, held, differences, failure
             FROM reconciliation_runs
             WHERE id < $1 AND ($2::text IS NULL OR provider = $2) AND ($3::uuid IS NULL OR job_id = $3)
             ORDER BY id DESC LIMIT $4",
            before.unwrap_or(i64::MAX),
            provider.map(Provider::as_str),
            job.map(|job| job.as_uuid()),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Run::from).collect())
    }

    /// One run.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn run(&self, id: i64) -> Result<Option<Run>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "/* run_one */ SELECT id, job_id, provider, account, window_start, window_end, started_at, finished_at,
                 listed, held, differences, failure
             FROM reconciliation_runs WHERE id = $1",
            id,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(Run::from))
    }

    /// What the two records of a run's window come to.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn run_totals(&self, run: i64) -> Result<Vec<RunTotal>, StoreError> {
        Ok(sqlx::query_as!(
            RunTotal,
            "/* run_totals */ SELECT side, asset, count, trim_scale(amount)::text AS \"amount!\"
             FROM reconciliation_sums WHERE run_id = $1 ORDER BY side, asset",
            run,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// What a run found, counted and summed.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn run_sums(&self, run: i64) -> Result<Vec<DifferenceSum>, StoreError> {
        Ok(sqlx::query_as!(
            DifferenceSum,
            "/* run_sums */ SELECT d.kind AS difference, o.asset AS \"asset?\", count(*) AS \"count!\",
                 trim_scale(sum(o.amount))::text AS amount
             FROM discrepancies d LEFT JOIN operations o ON o.id = d.operation_id
             WHERE d.run_id = $1 GROUP BY d.kind, o.asset ORDER BY d.kind, o.asset",
            run,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// At most `limit` differences of a run, those after the one numbered `after`.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn run_differences(
        &self,
        run: i64,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Discrepancy>, StoreError> {
        Ok(sqlx::query_as!(
            Discrepancy,
            "/* run_differences */ SELECT id, kind AS difference, operation_id, provider_ref, detail, remedy, theirs, ours,
                 resolved_at
             FROM discrepancies WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3",
            run,
            after,
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

impl From<Row> for Run {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            job: JobId::from_uuid(row.job_id),
            provider: row.provider,
            account: row.account,
            window_start: row.window_start.into(),
            window_end: row.window_end.into(),
            started_at: row.started_at.into(),
            finished_at: row.finished_at.map(Timestamp::from),
            listed: row.listed,
            held: row.held,
            differences: row.differences,
            failure: row.failure,
        }
    }
}
