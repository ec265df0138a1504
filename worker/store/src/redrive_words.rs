//! What people say of a plan that releases dead letters: a second person agrees, it begins, rests, ends.
//! A plan moves only by a guarded update, and who moved it, and why, is written with it.

use payfleet_core::Timestamp;
use sqlx::PgConnection;

use crate::{Store, StoreError};

/// A person's word.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Who.
    pub author: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// What was done to a plan.
#[derive(Clone, Debug)]
pub struct RedriveChange {
    /// When.
    pub at: Timestamp,
    /// `planned`, `approved`, `released`, `paused`, `resumed`, `stopped`, `abandoned` or `finished`.
    pub what: String,
    /// Who: a person, or a worker.
    pub author: String,
    /// Why.
    pub reason: String,
}

impl Store {
    /// What was done to a plan, in order.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn redrive_changes(&self, plan: i64) -> Result<Vec<RedriveChange>, StoreError> {
        let rows = sqlx::query!(
            "/* redrive_changes */ SELECT at, what, author, reason FROM redrive_changes
             WHERE plan_id = $1 ORDER BY id",
            plan,
        )
        .fetch_all(&self.pool)
        .await?;
        let change = rows.into_iter().map(|row| RedriveChange {
            at: row.at.into(),
            what: row.what,
            author: row.author,
            reason: row.reason,
        });
        Ok(change.collect())
    }

    /// A second person agrees. Answers whether that was wanted, and it is another person than the plan's.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn approve_redrive(&self, plan: i64, said: &Said<'_>) -> Result<bool, StoreError> {
        self.transaction("approve_redrive", &(plan, said), |connection, (plan, said)| {
            Box::pin(async move {
                let approved = sqlx::query!(
                    "/* redrive_approve */ UPDATE redrive_plans SET approved_by = $2, version = version + 1
                     WHERE id = $1 AND state = 'planned' AND wants_approval AND approved_by IS NULL
                         AND lower(author) <> lower($2)",
                    plan,
                    said.author,
                )
                .execute(&mut *connection)
                .await?;
                let is_approved = approved.rows_affected() == 1;
                if is_approved {
                    note(connection, *plan, "approved", said).await?;
                }
                Ok(is_approved)
            })
        })
        .await
    }

    /// Has a plan that is in the state `from` release from now on. Answers its next step; `None` where it
    /// is not in that state, or not approved. After a stop, it begins with a canary again.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn start_redrive(
        &self,
        plan: i64,
        from: &str,
        said: &Said<'_>,
    ) -> Result<Option<i64>, StoreError> {
        let what = if from == "planned" { "released" } else { "resumed" };
        self.transaction("start_redrive", &(plan, from, said), |connection, (plan, from, said)| {
            Box::pin(async move {
                let step = sqlx::query_scalar!(
                    "/* redrive_start */ UPDATE redrive_plans
                     SET state = 'releasing', why = NULL, next_step_at = now(), step = step + 1, version = version + 1,
                         counted_from = CASE WHEN state = 'paused' THEN counted_from ELSE now() END,
                         good = CASE WHEN state = 'paused' THEN good ELSE 0 END
                     WHERE id = $1 AND state = $2 AND (approved_by IS NOT NULL OR NOT wants_approval)
                     RETURNING step",
                    plan,
                    from,
                )
                .fetch_optional(&mut *connection)
                .await?;
                if step.is_some() {
                    note(connection, *plan, what, said).await?;
                }
                Ok(step)
            })
        })
        .await
    }

    /// Has a plan release nothing more, if it is in one of the states `from`: `to` is `paused` or
    /// `abandoned`. What was released stays with the workers, and is looked after. Answers whether it was.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn halt_redrive(
        &self,
        plan: i64,
        from: &[String],
        to: &str,
        said: &Said<'_>,
    ) -> Result<bool, StoreError> {
        self.transaction("halt_redrive", &(plan, from, to, said), |connection, (plan, from, to, said)| {
            Box::pin(async move {
                let halted = sqlx::query!(
                    "/* redrive_halt */ UPDATE redrive_plans
                     SET state = $3, next_step_at = CASE WHEN state <> 'planned' THEN now() END, version = version + 1
                     WHERE id = $1 AND state = ANY($2)",
                    plan,
                    *from,
                    to,
                )
                .execute(&mut *connection)
                .await?;
                let is_halted = halted.rows_affected() == 1;
                if is_halted {
                    note(connection, *plan, to, said).await?;
                }
                Ok(is_halted)
            })
        })
        .await
    }
}

/// Writes who did what to a plan.
pub(crate) async fn note(
    connection: &mut PgConnection,
    plan: i64,
    what: &str,
    said: &Said<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* redrive_note */ INSERT INTO redrive_changes (plan_id, what, author, reason) VALUES ($1, $2, $3, $4)",
        plan,
        what,
        said.author,
        said.reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}
