//! Plans that release dead letters: what each has selected, and what is known of it. What is selected is
//! fixed when the plan is made.

use std::collections::BTreeMap;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApproveAbove {
    /// How many letters.
    pub letters: i64,
    /// How much of each asset, by its code. Of an asset that is not named, anything; and so of what moves
    /// money and does not say how much.
    pub amounts: BTreeMap<String, Decimal>,
}

/// How many letters are released a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace<'a> {
    /// So many.
    Of(i32),
    /// As many as the slowest of their providers gets.
    Slowest {
        /// What each provider gets.
        of: &'a [(Provider, i32)],
        /// Where none of these is called.
        otherwise: i32,
    },
}

/// A plan to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPlan<'a> {
    /// Which letters.
    pub selection: &'a Selection,
    /// Who makes it, and why.
    pub said: Said<'a>,
    /// How many are released a minute.
    pub pace: Pace<'a>,
    /// It stops when more than so many percent of what became known last have failed.
    pub stop_percent: i32,
    /// When a second person is wanted.
    pub approve_above: &'a ApproveAbove,
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
    /// The [`ApproveAbove`] it was made under.
    pub approve_above: Value,
    /// Whether a second person must agree.
    pub wants_approval: bool,
    /// Who has.
    pub approved_by: Option<String>,
    /// How many are released a minute.
    pub per_minute: i32,
    /// It stops when more than so many percent of what became known last have failed.
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
            "/* redrive_plans_list */ SELECT id, made_at, selection, author, reason, approve_above,
                 wants_approval, approved_by, per_minute, stop_percent, state, why, step
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
            "/* redrive_plan */ SELECT id, made_at, selection, author, reason, approve_above,
                 wants_approval, approved_by, per_minute, stop_percent, state, why, step
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
    let (Pace::Of(per_minute) | Pace::Slowest { otherwise: per_minute, .. }) = new.pace;
    let id = sqlx::query_scalar!(
        "/* redrive_plan_insert */ INSERT INTO redrive_plans
             (selection, author, reason, per_minute, stop_percent, approve_above)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        to_json(selection),
        said.author,
        said.reason,
        per_minute,
        new.stop_percent,
        to_json(new.approve_above),
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
    weigh(connection, id, selected, new).await?;
    note(connection, id, "planned", said).await?;
    Ok(Some(id))
}

/// What follows from what a plan has selected: its pace, and whether a second person must agree.
async fn weigh(
    connection: &mut PgConnection,
    id: i64,
    selected: u64,
    new: &NewPlan<'_>,
) -> Result<(), StoreError> {
    let is_many = i64::try_from(selected).map_or(true, |selected| selected > new.approve_above.letters);
    let (assets, amounts): (Vec<String>, Vec<Decimal>) =
        new.approve_above.amounts.clone().into_iter().unzip();
    let of: &[_] = match new.pace {
        Pace::Of(_) => &[],
        Pace::Slowest { of, .. } => of,
    };
    let (providers, paces): (Vec<String>, Vec<i32>) =
        of.iter().map(|(provider, pace)| (provider.as_str().to_owned(), *pace)).unzip();
    sqlx::query!(
        "/* redrive_plan_is_about */ UPDATE redrive_plans SET
             per_minute = COALESCE((
                 SELECT min(known.pace) FROM redrive_items i JOIN dead_letter_facts f USING (job_id, died_at)
                 JOIN UNNEST($6::text[], $7::integer[]) AS known (provider, pace) ON known.provider = f.provider
                 WHERE i.plan_id = $1
             ), per_minute),
             wants_approval = $2 OR EXISTS (
                 SELECT 1 FROM redrive_items i JOIN dead_letter_facts f USING (job_id, died_at)
                 LEFT JOIN UNNEST($4::text[], $5::numeric[]) AS above (asset, amount) ON above.asset = f.asset
                 WHERE i.plan_id = $1 AND f.kind = ANY($3)
                 GROUP BY f.asset, above.amount
                 HAVING above.amount IS NULL OR sum(f.amount) > above.amount OR count(*) > count(f.amount)
             )
         WHERE id = $1",
        id,
        is_many,
        &moving(),
        &assets,
        &amounts,
        &providers,
        &paces,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// The kinds of the jobs that advance an operation, by name: of any other, the operation is not theirs.
pub(crate) fn advancing() -> Vec<String> {
    OperationKind::ALL.map(|kind| kind.job_kind().as_str().to_owned()).into()
}

/// Those of them that move money, or are to.
fn moving() -> Vec<String> {
    let moves = |kind: &OperationKind| match kind {
        OperationKind::Payout
        | OperationKind::PayoutSchedule
        | OperationKind::Transfer
        | OperationKind::Mint
        | OperationKind::Payment
        | OperationKind::PaymentChange
        | OperationKind::Refund
        | OperationKind::Distribution
        | OperationKind::Order => true,
        OperationKind::Wallet
        | OperationKind::Telemetry
        | OperationKind::Account
        | OperationKind::AccountLink
        | OperationKind::Customer
        | OperationKind::PaymentMethod => false,
    };
    let kinds = OperationKind::ALL.into_iter().filter(moves);
    kinds.map(|kind| kind.job_kind().as_str().to_owned()).collect()
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
    approve_above: Value,
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
            approve_above: row.approve_above,
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
