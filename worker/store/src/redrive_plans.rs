//! Plans that release dead letters: what each has selected, and what is known of it. What is selected is
//! fixed when the plan is made.

use payfleet_core::Timestamp;
use payfleet_core::kinds::OperationKind;
use payfleet_core::provider::Provider;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::operation_row::to_json;
use crate::redrive_words::{Said, note};
use crate::{Store, StoreError};

/// Which dead letters. What is `None` selects nothing by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this kind of job.
    pub kind: Option<String>,
    /// At this provider, by name.
    pub provider: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// That died of this class.
    pub class: Option<String>,
    /// That died of this code.
    pub code: Option<String>,
    /// That died at this moment or later.
    pub died_from: Option<Timestamp>,
    /// That died before this moment.
    pub died_before: Option<Timestamp>,
}

/// Above what a second person must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApproveAbove {
    /// How many letters.
    pub letters: i64,
    /// How much of one asset, in its units.
    pub amount: Decimal,
}

/// A plan to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPlan<'a> {
    /// Which letters.
    pub selection: &'a Selection,
    /// Who makes it, and why.
    pub said: Said<'a>,
    /// How many are released a minute.
    pub per_minute: i32,
    /// It stops when more than so many percent of what is known have failed.
    pub stop_percent: i32,
    /// When a second person is wanted.
    pub approve_above: ApproveAbove,
}

/// A plan.
#[derive(Clone, Debug)]
pub struct RedrivePlan {
    /// Its number.
    pub id: i64,
    /// When it was made.
    pub made_at: Timestamp,
    /// The [`Selection`] it was made for.
    pub selection: Value,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Whether a second person must agree.
    pub wants_approval: bool,
    /// Who has.
    pub approved_by: Option<String>,
    /// How many are released a minute.
    pub per_minute: i32,
    /// It stops when more than so many percent of what is known have failed.
    pub stop_percent: i32,
    /// `planned`, `releasing`, `paused`, `stopped`, `abandoned` or `finished`.
    pub state: String,
    /// Why it has stopped by itself.
    pub why: Option<String>,
    /// Which step comes next.
    pub step: i64,
}

/// Letters of a plan that have kind, provider and asset in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveGroup {
    /// The kind of the jobs.
    pub kind: String,
    /// The provider, where it is known.
    pub provider: Option<String>,
    /// The asset, where the jobs move one.
    pub asset: Option<String>,
    /// How many.
    pub count: i64,
    /// The sum of their amounts, exact and of any length, as a decimal string.
    pub amount: Option<String>,
    /// Of how many the operation is over: settled, returned or failed.
    pub over: i64,
    /// Of how many a call's outcome is unknown: the provider is asked first.
    pub in_doubt: i64,
    /// Of how many the key is too old for the provider to know it: what is in doubt is looked up then.
    pub past_window: i64,
    /// Of how many the operation never reached Postgres: nothing was sent.
    pub not_begun: i64,
    /// When the first of them died.
    pub oldest: Timestamp,
    /// When the last of them died.
    pub newest: Timestamp,
}

/// How far a plan has come, in letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RedriveProgress {
    /// Not released yet.
    pub waiting: i64,
    /// With the workers.
    pub out: i64,
    /// Done: the provider has taken it, it has settled, or the job is over.
    pub done: i64,
    /// Released, and refused for good.
    pub failed: i64,
    /// Released, and dead again.
    pub died_again: i64,
    /// Not released, because there was nothing to release any more.
    pub skipped: i64,
}

impl Store {
    /// The providers of what `selection` selects, as far as they are known.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn selected_providers(&self, selection: &Selection) -> Result<Vec<Provider>, StoreError> {
        let (from, before) = bounds(selection);
        let names = sqlx::query_scalar!(
            "/* redrive_providers */ SELECT DISTINCT provider AS \"provider!\" FROM dead_letter_facts
             WHERE redriven_at IS NULL AND provider IS NOT NULL
                 AND ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR kind = $2)
                 AND ($3::text IS NULL OR provider = $3) AND ($4::text IS NULL OR tenant = $4)
                 AND ($5::text IS NULL OR class = $5) AND ($6::text IS NULL OR code = $6)
                 AND ($7::timestamptz IS NULL OR died_at >= $7) AND ($8::timestamptz IS NULL OR died_at < $8)",
            selection.queue.as_deref(),
            selection.kind.as_deref(),
            selection.provider.as_deref(),
            selection.tenant.as_deref(),
            selection.class.as_deref(),
            selection.code.as_deref(),
            from,
            before,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(names.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Makes a plan of the dead letters that `new` selects now, and answers its number; `None` where it
    /// selects none. Nothing is released.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn plan_redrive(&self, new: &NewPlan<'_>) -> Result<Option<i64>, StoreError> {
        self.transaction("plan_redrive", new, |connection, new| Box::pin(plan(connection, new))).await
    }

    /// The newest plans.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_plans(&self, limit: i64) -> Result<Vec<RedrivePlan>, StoreError> {
        let rows = sqlx::query_as!(
            PlanRow,
            "/* redrive_plans_list */ SELECT id, made_at, selection, author, reason, wants_approval, approved_by,
                 per_minute, stop_percent, state, why, step
             FROM redrive_plans ORDER BY id DESC LIMIT $1",
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(RedrivePlan::from).collect())
    }

    /// One plan.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_plan(&self, id: i64) -> Result<Option<RedrivePlan>, StoreError> {
        let row = sqlx::query_as!(
            PlanRow,
            "/* redrive_plan */ SELECT id, made_at, selection, author, reason, wants_approval, approved_by,
                 per_minute, stop_percent, state, why, step
             FROM redrive_plans WHERE id = $1",
            id,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(RedrivePlan::from))
    }

    /// What a plan's letters are about, as it stands now. `windows` says for how many milliseconds a
    /// provider is relied on to know a key.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_groups(
        &self,
        plan: i64,
        windows: &[(Provider, i64)],
    ) -> Result<Vec<RedriveGroup>, StoreError> {
        let providers: Vec<String> =
            windows.iter().map(|(provider, _)| provider.as_str().to_owned()).collect();
        let windows: Vec<i64> = windows.iter().map(|(_, window_ms)| *window_ms).collect();
        let rows = sqlx::query!(
            "/* redrive_groups */ SELECT f.kind AS \"kind!\", f.provider, sums.asset, count(*) AS \"count!\",
                 sum(sums.amount)::text AS amount,
                 count(*) FILTER (WHERE sums.advances AND f.state IN ('settled', 'returned', 'failed')) AS \"over!\",
                 count(*) FILTER (WHERE sums.advances AND f.state IN ('submitting', 'in_doubt')) AS \"in_doubt!\",
                 count(*) FILTER (
                     WHERE sums.advances AND f.intent_opened_at < now() - known.window_ms * interval '1 ms'
                 ) AS \"past_window!\",
                 count(*) FILTER (WHERE sums.advances AND f.state IS NULL) AS \"not_begun!\",
                 min(f.died_at) AS \"oldest!\", max(f.died_at) AS \"newest!\"
             FROM redrive_items i JOIN dead_letter_facts f USING (job_id, died_at)
             CROSS JOIN LATERAL (SELECT f.kind = ANY($2) AS advances,
                 CASE WHEN f.kind = ANY($2) THEN f.amount END AS amount,
                 CASE WHEN f.kind = ANY($2) THEN f.asset END AS asset) sums
             LEFT JOIN UNNEST($3::text[], $4::bigint[]) AS known (provider, window_ms) ON known.provider = f.provider
             WHERE i.plan_id = $1
             GROUP BY f.kind, f.provider, sums.asset ORDER BY f.kind, f.provider, sums.asset",
            plan,
            &advancing(),
            &providers,
            &windows,
        )
        .fetch_all(&self.pool)
        .await?;
        let groups = rows.into_iter().map(|row| RedriveGroup {
            kind: row.kind,
            provider: row.provider,
            asset: row.asset,
            count: row.count,
            amount: row.amount,
            over: row.over,
            in_doubt: row.in_doubt,
            past_window: row.past_window,
            not_begun: row.not_begun,
            oldest: row.oldest.into(),
            newest: row.newest.into(),
        });
        Ok(groups.collect())
    }

    /// How far a plan has come.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_progress(&self, plan: i64) -> Result<RedriveProgress, StoreError> {
        let row = sqlx::query!(
            "/* redrive_progress */ SELECT
                 count(*) FILTER (WHERE outcome IS NULL AND released_at IS NULL) AS \"waiting!\",
                 count(*) FILTER (WHERE outcome IS NULL AND released_at IS NOT NULL) AS \"out!\",
                 count(*) FILTER (WHERE outcome = 'done') AS \"done!\",
                 count(*) FILTER (WHERE outcome = 'failed') AS \"failed!\",
                 count(*) FILTER (WHERE outcome = 'died_again') AS \"died_again!\",
                 count(*) FILTER (WHERE outcome = 'skipped') AS \"skipped!\"
             FROM redrive_items WHERE plan_id = $1",
            plan,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(RedriveProgress {
            waiting: row.waiting,
            out: row.out,
            done: row.done,
            failed: row.failed,
            died_again: row.died_again,
            skipped: row.skipped,
        })
    }
}

async fn plan(connection: &mut PgConnection, new: &NewPlan<'_>) -> Result<Option<i64>, StoreError> {
    let NewPlan { selection, said, .. } = new;
    let id = sqlx::query_scalar!(
        "/* redrive_plan_insert */ INSERT INTO redrive_plans (selection, author, reason, per_minute, stop_percent)
         VALUES ($1, $2, $3, $4, $5) RETURNING id",
        to_json(selection),
        said.author,
        said.reason,
        new.per_minute,
        new.stop_percent,
    )
    .fetch_one(&mut *connection)
    .await?;
    let (from, before) = bounds(selection);
    let selected = sqlx::query!(
        "/* redrive_select */ INSERT INTO redrive_items (plan_id, job_id, died_at)
         SELECT DISTINCT ON (job_id) $1, job_id, died_at FROM dead_letter_facts
         WHERE redriven_at IS NULL
             AND ($2::text IS NULL OR queue = $2) AND ($3::text IS NULL OR kind = $3)
             AND ($4::text IS NULL OR provider = $4) AND ($5::text IS NULL OR tenant = $5)
             AND ($6::text IS NULL OR class = $6) AND ($7::text IS NULL OR code = $7)
             AND ($8::timestamptz IS NULL OR died_at >= $8) AND ($9::timestamptz IS NULL OR died_at < $9)
         ORDER BY job_id, died_at DESC",
        id,
        selection.queue.as_deref(),
        selection.kind.as_deref(),
        selection.provider.as_deref(),
        selection.tenant.as_deref(),
        selection.class.as_deref(),
        selection.code.as_deref(),
        from,
        before,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if selected == 0 {
        sqlx::query!("/* redrive_plan_empty */ DELETE FROM redrive_plans WHERE id = $1", id)
            .execute(connection)
            .await?;
        return Ok(None);
    }
    let ApproveAbove { letters, amount } = new.approve_above;
    let is_many = i64::try_from(selected).map_or(true, |selected| selected > letters);
    sqlx::query!(
        "/* redrive_wants_approval */ UPDATE redrive_plans SET wants_approval = $2 OR EXISTS (
             SELECT 1 FROM redrive_items i JOIN dead_letter_facts f USING (job_id, died_at)
             WHERE i.plan_id = $1 AND f.kind = ANY($3) GROUP BY f.asset HAVING sum(f.amount) > $4
         ) WHERE id = $1",
        id,
        is_many,
        &advancing(),
        amount,
    )
    .execute(&mut *connection)
    .await?;
    note(connection, id, "planned", said).await?;
    Ok(Some(id))
}

/// The kinds of the jobs that advance an operation, by name: of any other, the operation is not theirs.
pub(crate) fn advancing() -> Vec<String> {
    OperationKind::ALL.map(|kind| kind.job_kind().as_str().to_owned()).into()
}

fn bounds(selection: &Selection) -> (Option<OffsetDateTime>, Option<OffsetDateTime>) {
    (selection.died_from.map(OffsetDateTime::from), selection.died_before.map(OffsetDateTime::from))
}

struct PlanRow {
    id: i64,
    made_at: OffsetDateTime,
    selection: Value,
    author: String,
    reason: String,
    wants_approval: bool,
    approved_by: Option<String>,
    per_minute: i32,
    stop_percent: i32,
    state: String,
    why: Option<String>,
    step: i64,
}

impl From<PlanRow> for RedrivePlan {
    fn from(row: PlanRow) -> Self {
        Self {
            id: row.id,
            made_at: row.made_at.into(),
            selection: row.selection,
            author: row.author,
            reason: row.reason,
            wants_approval: row.wants_approval,
            approved_by: row.approved_by,
            per_minute: row.per_minute,
            stop_percent: row.stop_percent,
            state: row.state,
            why: row.why,
            step: row.step,
        }
    }
}
