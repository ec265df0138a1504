//! What a plan releases next, and that it has. It is written letter by letter, right after the letter is
//! in Redis.

use payfleet_core::{JobId, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;

use crate::redrive_plans::advancing;
use crate::redrive_steps::ClaimedPlan;
use crate::{Store, StoreError};

/// A letter that is to be released next.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The job.
    pub job: JobId,
    /// Which of its deaths.
    pub died_at: Timestamp,
    /// What it was to do.
    pub kind: String,
    /// The job, whole, as JSON.
    pub record: Value,
    /// Whether somebody has released it since the plan was made.
    pub is_released: bool,
    /// The state that its operation has come to its end in, by name, if it has.
    pub over: Option<String>,
    /// The version of its operation.
    pub operation_version: Option<i64>,
}

/// What became of writing a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is this plan's.
    Ours,
    /// Somebody else has released the same letter.
    Elsewhere,
    /// It is this plan's, and the plan releases nothing more since: it is looked after from now on.
    Late,
    /// Another worker has taken the step: nothing is written, and that one releases the same letter next.
    Passed,
}

impl Store {
    /// The next `limit` letters to release, the first death first.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_candidates(&self, plan: i64, limit: i64) -> Result<Vec<Candidate>, StoreError> {
        let rows = sqlx::query!(
            "/* redrive_candidates */ SELECT i.job_id, i.died_at, d.kind, d.job, d.redriven_at, f.version,
                 f.state AS over_state, f.kind = ANY($3) AND f.state IN ('settled', 'returned', 'failed') AND NOT EXISTS (
                     SELECT 1 FROM inbox WHERE operation_id = f.operation_id AND applied_at IS NULL
                 ) AS is_over
             FROM redrive_items i JOIN dead_letters d USING (job_id, died_at)
             JOIN dead_letter_facts f USING (job_id, died_at)
             WHERE i.plan_id = $1 AND i.released_at IS NULL AND i.outcome IS NULL
             ORDER BY i.died_at, i.job_id LIMIT $2",
            plan,
            limit,
            &advancing(),
        )
        .fetch_all(&self.pool)
        .await?;
        let candidates = rows.into_iter().map(|row| Candidate {
            job: JobId::from_uuid(row.job_id),
            died_at: row.died_at.into(),
            kind: row.kind,
            record: row.job,
            is_released: row.redriven_at.is_some(),
            over: row.over_state.filter(|_| row.is_over == Some(true)),
            operation_version: row.version,
        });
        Ok(candidates.collect())
    }

    /// Whether the step is still its worker's, and the plan still releases. To be asked before each letter.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn may_release(&self, plan: &ClaimedPlan) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(
            "/* redrive_may */ SELECT EXISTS (
                 SELECT 1 FROM redrive_plans WHERE id = $1 AND version = $2 AND state = 'releasing'
             ) AS \"may!\"",
            plan.step.plan,
            plan.version,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Writes that a letter is with the workers again.
    ///
    /// # Errors
    /// [`StoreError`]; releasing it again is always right.
    pub async fn keep_released(
        &self,
        plan: &ClaimedPlan,
        letter: &Candidate,
    ) -> Result<Released, StoreError> {
        self.transaction("keep_released", &(plan, letter), |connection, (plan, letter)| {
            Box::pin(keep_released(connection, plan, letter))
        })
        .await
    }
}

/// The plan's row is held first: what is said of the plan, or taken of it, comes before or after all of this.
async fn keep_released(
    connection: &mut PgConnection,
    plan: &ClaimedPlan,
    letter: &Candidate,
) -> Result<Released, StoreError> {
    let id = plan.step.plan;
    let held = sqlx::query!(
        "/* redrive_hold */ SELECT version = $2 AS \"is_ours!\", state = 'releasing' AS \"releases!\"
         FROM redrive_plans WHERE id = $1 FOR UPDATE",
        id,
        plan.version,
    )
    .fetch_one(&mut *connection)
    .await?;
    if held.releases && !held.is_ours {
        return Ok(Released::Passed);
    }
    let marked = sqlx::query!(
        "/* redrive_mark */ UPDATE dead_letters d SET redriven_at = now() FROM redrive_items i
         WHERE i.plan_id = $1 AND i.job_id = $2 AND d.job_id = i.job_id AND d.died_at <= i.died_at
             AND d.redriven_at IS NULL",
        id,
        letter.job.as_uuid(),
    )
    .execute(&mut *connection)
    .await?;
    if marked.rows_affected() == 0 {
        let before = sqlx::query_scalar!(
            "/* redrive_before */ SELECT released_at IS NOT NULL AS \"before!\" FROM redrive_items
             WHERE plan_id = $1 AND job_id = $2",
            id,
            letter.job.as_uuid(),
        )
        .fetch_one(connection)
        .await?;
        return Ok(if before { Released::Ours } else { Released::Elsewhere });
    }
    sqlx::query!(
        "/* redrive_released */ UPDATE redrive_items SET released_at = now(), operation_version = $3
         WHERE plan_id = $1 AND job_id = $2",
        id,
        letter.job.as_uuid(),
        letter.operation_version,
    )
    .execute(&mut *connection)
    .await?;
    if held.releases {
        return Ok(Released::Ours);
    }
    // Whoever looks at the plan now has not seen this letter, and may find that nothing is out.
    sqlx::query!(
        "/* redrive_late */ UPDATE redrive_plans SET version = version + 1, next_step_at = now() WHERE id = $1",
        id,
    )
    .execute(connection)
    .await?;
    Ok(Released::Late)
}
