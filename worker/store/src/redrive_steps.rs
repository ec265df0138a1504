//! Steps of a plan that releases dead letters. A worker takes a step by moving it into the future, where
//! it is due again should the worker die; it releases and ends under the version it took.

use payfleet_core::kinds::redrive::Redrive;
use payfleet_core::{JobId, Timestamp};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::operation_row::clean;
use crate::redrive_plans::advancing;
use crate::redrive_words::{Said, note};
use crate::write::millis;
use crate::{Store, StoreError};

/// How long a worker may take over a step before another takes it.
const STEP_PATIENCE_MS: u64 = 30_000;

/// A step that is due, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueStep {
    /// Which.
    pub step: Redrive,
    /// When.
    pub due_at: Timestamp,
    /// In how many milliseconds of Postgres' clock; 0 where it is overdue.
    pub due_in_ms: u64,
}

/// What became of taking a step.
#[derive(Clone, Debug)]
pub enum StepClaim {
    /// It is this worker's.
    Claimed(ClaimedPlan),
    /// It is not due yet, or another worker has taken it: if that one dies, it is due then.
    NotYet {
        /// In milliseconds.
        ms: u64,
    },
    /// The plan is at another step, or nothing of it is left to look at.
    Passed,
}

/// A plan of which a worker has taken a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedPlan {
    /// The plan and the step.
    pub step: Redrive,
    /// The version every write must name.
    pub version: i64,
    /// Whether it may release more; else it is only looked at.
    pub releases: bool,
    /// How many are released a minute.
    pub per_minute: i32,
    /// It stops when more than so many percent of what became known last have failed.
    pub stop_percent: i32,
    /// How many have ended well since it was last started afresh.
    pub good: i64,
}

/// A letter that was released and whose end is not known.
#[derive(Clone, Debug)]
pub struct Out {
    /// The job.
    pub job: JobId,
    /// Its queue, by name.
    pub queue: String,
    /// Whether it was released since the plan was last started afresh.
    pub counts: bool,
}

/// What Postgres knows of a letter that was released and is not in Redis any more.
#[derive(Clone, Debug)]
pub struct Fate {
    /// The job.
    pub job: JobId,
    /// Whether it was to advance an operation.
    pub advances: bool,
    /// The state of that operation, by name.
    pub state: Option<String>,
    /// Why that operation stands still, by name, if it does.
    pub parked: Option<String>,
    /// Whether nobody has touched that operation since the release.
    pub is_untouched: bool,
    /// What it died of since.
    pub died_of: Option<String>,
    /// What another job of its operation died of since.
    pub other_died_of: Option<String>,
}

/// How a letter of a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// The provider has taken it, it has settled, or the job is over.
    Done,
    /// It was refused for good.
    Failed,
    /// It is dead again.
    DiedAgain,
    /// There was nothing to release.
    Skipped,
}

impl ItemOutcome {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::DiedAgain => "died_again",
            Self::Skipped => "skipped",
        }
    }
}

/// The outcome of a letter, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The job.
    pub job: JobId,
    /// How it ended.
    pub outcome: ItemOutcome,
    /// In words.
    pub detail: String,
}

/// How a step ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepEnd {
    /// The next step is due in so many milliseconds.
    GoOn {
        /// How many.
        after_ms: u64,
    },
    /// Too much has failed; what is out is looked at in so many milliseconds.
    Stopped {
        /// In words.
        why: String,
        /// How many.
        after_ms: u64,
    },
    /// It releases nothing more, and nothing is out.
    Rest,
    /// Nothing is left.
    Finished,
}

struct Ending<'a> {
    plan: &'a ClaimedPlan,
    worker: &'a str,
    kept: &'a [Kept],
    good: i64,
    end: &'a StepEnd,
}

impl Store {
    /// Takes a step of a plan.
    ///
    /// # Errors
    /// [`StoreError`]; taking it again is always right.
    pub async fn claim_redrive(&self, step: Redrive) -> Result<StepClaim, StoreError> {
        let row = sqlx::query!(
            "/* redrive_claim */ UPDATE redrive_plans
             SET version = version + 1, next_step_at = now() + make_interval(secs => $3::float8 / 1000)
             WHERE id = $1 AND step = $2 AND next_step_at <= now()
             RETURNING version, state = 'releasing' AS \"releases!\", per_minute, stop_percent, good",
            step.plan,
            step.step,
            millis(STEP_PATIENCE_MS),
        )
        .fetch_optional(&self.pool)
        .await?;
        if let Some(row) = row {
            return Ok(StepClaim::Claimed(ClaimedPlan {
                step,
                version: row.version,
                releases: row.releases,
                per_minute: row.per_minute,
                stop_percent: row.stop_percent,
                good: row.good,
            }));
        }
        let wait = sqlx::query_scalar!(
            "/* redrive_wait */ SELECT GREATEST((EXTRACT(EPOCH FROM next_step_at - now()) * 1000)::bigint, 0) AS \"ms!\"
             FROM redrive_plans WHERE id = $1 AND step = $2 AND next_step_at IS NOT NULL",
            step.plan,
            step.step,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(wait.map_or(StepClaim::Passed, |ms| StepClaim::NotYet { ms: ms.unsigned_abs() }))
    }

    /// Up to `limit` letters of a plan that were released and whose end is not known, oldest first.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_out(&self, plan: i64, limit: i64) -> Result<Vec<Out>, StoreError> {
        let rows = sqlx::query!(
            "/* redrive_out */ SELECT i.job_id, d.queue, i.released_at >= p.counted_from AS counts
             FROM redrive_items i JOIN dead_letters d USING (job_id, died_at) JOIN redrive_plans p ON p.id = i.plan_id
             WHERE i.plan_id = $1 AND i.released_at IS NOT NULL AND i.outcome IS NULL
             ORDER BY i.released_at LIMIT $2",
            plan,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let out = rows.into_iter().map(|row| Out {
            job: JobId::from_uuid(row.job_id),
            queue: row.queue,
            counts: row.counts.unwrap_or(false),
        });
        Ok(out.collect())
    }

    /// What is known of released letters whose jobs are not in Redis any more. To be asked after Redis was:
    /// what has left it dead is archived by then.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_fates(&self, plan: i64, jobs: &[JobId]) -> Result<Vec<Fate>, StoreError> {
        let ids: Vec<Uuid> = jobs.iter().map(JobId::as_uuid).collect();
        let rows = sqlx::query!(
            "/* redrive_fates */ SELECT i.job_id, f.kind = ANY($3) AS \"advances!\", f.state, f.parked,
                 f.version IS NOT DISTINCT FROM i.operation_version AS \"is_untouched!\",
                 (SELECT l.code || ': ' || l.message FROM dead_letters l
                  WHERE l.job_id = i.job_id AND l.died_at > i.died_at ORDER BY l.died_at DESC LIMIT 1) AS died_of,
                 (SELECT l.code || ': ' || l.message FROM dead_letters l
                  WHERE l.operation_id = f.operation_id AND l.redriven_at IS NULL AND l.job_id <> i.job_id
                    AND l.kind = ANY($3) AND l.archived_at > i.released_at LIMIT 1) AS other_died_of
             FROM redrive_items i JOIN dead_letter_facts f USING (job_id, died_at)
             WHERE i.plan_id = $1 AND i.job_id = ANY($2)",
            plan,
            &ids,
            &advancing(),
        )
        .fetch_all(&self.pool)
        .await?;
        let fates = rows.into_iter().map(|row| Fate {
            job: JobId::from_uuid(row.job_id),
            advances: row.advances,
            state: row.state,
            parked: row.parked,
            is_untouched: row.is_untouched,
            died_of: row.died_of,
            other_died_of: row.other_died_of,
        });
        Ok(fates.collect())
    }

    /// How many of the last `most` letters whose end became known ended well, and how many did not, since the
    /// plan was last started afresh. Those that became known together are counted together.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_recent(&self, plan: i64, most: i64) -> Result<(i64, i64), StoreError> {
        let row = sqlx::query!(
            "/* redrive_recent */ SELECT count(*) FILTER (WHERE outcome = 'done') AS \"good!\",
                 count(*) FILTER (WHERE outcome <> 'done') AS \"bad!\"
             FROM (
                 SELECT i.outcome FROM redrive_items i JOIN redrive_plans p ON p.id = i.plan_id
                 WHERE i.plan_id = $1 AND i.released_at >= p.counted_from AND i.ended_at IS NOT NULL
                 ORDER BY i.ended_at DESC FETCH FIRST ($2::bigint) ROWS WITH TIES
             ) recent",
            plan,
            most,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((row.good, row.bad))
    }

    /// Ends a step, for `worker`: writes the outcomes it has learned, of which `good` are good and count, and
    /// what comes next. Answers whether the step was still its own; else nothing is written.
    ///
    /// # Errors
    /// [`StoreError`]; the step is taken again then.
    pub async fn end_step(
        &self,
        plan: &ClaimedPlan,
        worker: &str,
        kept: &[Kept],
        good: i64,
        end: &StepEnd,
    ) -> Result<bool, StoreError> {
        let ending = Ending { plan, worker, kept, good, end };
        self.transaction("end_step", &ending, |connection, ending| Box::pin(end_step(connection, ending)))
            .await
    }

    /// The steps of all plans that are under way: those that were due more than `grace_ms` ago, or all of them.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_steps(&self, grace_ms: Option<u64>) -> Result<Vec<DueStep>, StoreError> {
        let rows = sqlx::query!(
            "/* redrive_steps */ SELECT id, step, next_step_at AS \"due_at!\",
                 GREATEST((EXTRACT(EPOCH FROM next_step_at - now()) * 1000)::bigint, 0) AS \"due_in_ms!\"
             FROM redrive_plans
             WHERE next_step_at IS NOT NULL
                 AND ($1::float8 IS NULL OR next_step_at < now() - make_interval(secs => $1 / 1000))",
            grace_ms.map(millis),
        )
        .fetch_all(&self.pool)
        .await?;
        let steps = rows.into_iter().map(|row| DueStep {
            step: Redrive { plan: row.id, step: row.step },
            due_at: row.due_at.into(),
            due_in_ms: row.due_in_ms.unsigned_abs(),
        });
        Ok(steps.collect())
    }
}

async fn end_step(connection: &mut PgConnection, ending: &Ending<'_>) -> Result<bool, StoreError> {
    let Ending { plan, worker, kept, good, end } = ending;
    let (state, why, after_ms) = match end {
        StepEnd::GoOn { after_ms } => (None, None, Some(millis(*after_ms))),
        StepEnd::Stopped { why, after_ms } => (Some("stopped"), Some(clean(why)), Some(millis(*after_ms))),
        StepEnd::Rest => (None, None, None),
        StepEnd::Finished => (Some("finished"), None, None),
    };
    let ended = sqlx::query!(
        "/* redrive_end */ UPDATE redrive_plans
         SET state = COALESCE($3, state), why = COALESCE($4, why), good = good + $5, step = step + 1, version = version + 1,
             next_step_at = now() + make_interval(secs => $6::float8 / 1000)
         WHERE id = $1 AND version = $2",
        plan.step.plan,
        plan.version,
        state,
        why.as_deref(),
        good,
        after_ms,
    )
    .execute(&mut *connection)
    .await?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    let ids: Vec<Uuid> = kept.iter().map(|one| one.job.as_uuid()).collect();
    let outcomes: Vec<String> = kept.iter().map(|one| one.outcome.as_str().to_owned()).collect();
    let details: Vec<String> = kept.iter().map(|one| clean(&one.detail)).collect();
    sqlx::query!(
        "/* redrive_outcomes */ UPDATE redrive_items i SET outcome = known.outcome, detail = known.detail, ended_at = now()
         FROM UNNEST($2::uuid[], $3::text[], $4::text[]) AS known (job_id, outcome, detail)
         WHERE i.plan_id = $1 AND i.job_id = known.job_id AND i.outcome IS NULL
             AND (known.outcome <> 'skipped' OR i.released_at IS NULL)",
        plan.step.plan,
        &ids,
        &outcomes,
        &details,
    )
    .execute(&mut *connection)
    .await?;
    let reason = why.as_deref().unwrap_or("nothing is left to release");
    if let Some(state) = state {
        note(connection, plan.step.plan, state, &Said { author: worker, reason }).await?;
    }
    Ok(true)
}
