//! Reconciliation runs. A run goes page by page: what a page came to and where the next one begins are
//! one transaction, so that a run whose worker died goes on, compares nothing twice and misses nothing.

mod deposits;
mod ours;
mod page;
mod reads;
mod theirs;

pub use deposits::{DepositName, DepositPage, DepositPlace, KnownDeposit};
pub use ours::{HeldPage, HeldPlace, StuckPage, StuckPlace, Unmoved};
pub use page::ComparedPage;
use payfleet_core::JobId;
use payfleet_core::kinds::reconcile::Reconcile;
pub use reads::{DifferenceSum, Discrepancy, Run, RunTotal};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::{Store, StoreError};

/// Which record a run is reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The provider's.
    Theirs,
    /// What the provider has of connected accounts.
    Accounts,
    /// Ours.
    Ours,
    /// Ours that have not moved for too long.
    Stuck,
}

impl Step {
    const ALL: [Self; 4] = [Self::Theirs, Self::Accounts, Self::Ours, Self::Stuck];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Theirs => "theirs",
            Self::Accounts => "accounts",
            Self::Ours => "ours",
            Self::Stuck => "stuck",
        }
    }

    /// The step after this one; `None` behind the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Theirs => Some(Self::Accounts),
            Self::Accounts => Some(Self::Ours),
            Self::Ours => Some(Self::Stuck),
            Self::Stuck => None,
        }
    }
}

/// A run in the hands of a worker.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// Its number.
    pub id: i64,
    /// What it compares.
    pub reconcile: Reconcile,
    /// Which record it is reading.
    pub step: Step,
    /// Where in that record the next page begins; `None` at its beginning.
    pub cursor: Option<Value>,
    /// Whether it has ended.
    pub is_over: bool,
    version: i64,
}

/// A run, as it is shown in passing.
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

impl Store {
    /// Starts the run of `job`, or takes it up where an earlier attempt has left it.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn open_run(&self, job: JobId, reconcile: &Reconcile) -> Result<OpenRun, StoreError> {
        let (from, to): (OffsetDateTime, OffsetDateTime) = (reconcile.from.into(), reconcile.to.into());
        let row = sqlx::query!(
            "/* run_open */ INSERT INTO reconciliation_runs (job_id, provider, account, window_start, window_end)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT ON CONSTRAINT reconciliation_runs_once DO UPDATE SET
                 started_at = CASE WHEN reconciliation_runs.finished_at IS NULL THEN now()
                     ELSE reconciliation_runs.started_at END,
                 failure = CASE WHEN reconciliation_runs.finished_at IS NOT NULL
                     THEN reconciliation_runs.failure END
             RETURNING id, step, cursor, version, finished_at IS NOT NULL AS \"is_over!\"",
            job.as_uuid(),
            reconcile.provider.as_str(),
            reconcile.account.as_str(),
            from,
            to,
        )
        .fetch_one(&self.pool)
        .await?;
        let step = Step::ALL.into_iter().find(|step| step.as_str() == row.step);
        let step = step.ok_or_else(|| StoreError::Corrupt {
            table: "reconciliation_runs",
            column: "step",
            id: row.id.to_string(),
            why: format!("unknown step {:?}", row.step),
        })?;
        let reconcile = reconcile.clone();
        Ok(OpenRun {
            id: row.id,
            reconcile,
            step,
            cursor: row.cursor,
            is_over: row.is_over,
            version: row.version,
        })
    }

    /// Writes down why a run cannot be carried out. One that is `over` is not taken up again.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn fail_run(&self, run: &OpenRun, why: &str, over: bool) -> Result<(), StoreError> {
        sqlx::query!(
            "/* run_fail */ WITH failed AS (
                 UPDATE reconciliation_runs
                 SET failure = $3, version = version + 1, listed = COALESCE(listed, 0), held = COALESCE(held, 0),
                     differences = COALESCE(differences, 0), finished_at = CASE WHEN $4 THEN now() END
                 WHERE id = $1 AND version = $2 AND finished_at IS NULL RETURNING id
             )
             DELETE FROM reconciliation_seen USING failed WHERE run_id = failed.id AND $4",
            run.id,
            run.version,
            crate::operation_row::clean(why),
            over,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The newest runs.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn runs(&self, limit: i64) -> Result<Vec<RunSummary>, StoreError> {
        Ok(sqlx::query_as!(
            RunSummary,
            "/* runs_newest */ SELECT provider, listed, held, differences,
                 finished_at IS NOT NULL AND failure IS NULL AS \"finished!\"
             FROM reconciliation_runs ORDER BY id DESC LIMIT $1",
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
