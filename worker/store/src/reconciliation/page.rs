//! What a page of a run came to, written in one transaction with where the next page begins.

use std::collections::BTreeMap;

use payfleet_core::kinds::reconcile::{Found, Remedy};
use payfleet_core::{Money, OperationId};
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{OpenRun, Step};
use crate::operation_row::{clean, to_json};
use crate::{Store, StoreError};

/// What a page came to.
#[derive(Clone, Debug, Default)]
pub struct ComparedPage {
    /// The provider's ids that this run has not met before, each with the operation it names.
    pub seen: Vec<(String, Option<OperationId>)>,
    /// What each of the provider's entries of the window says it moved.
    pub listed: Vec<Option<Money>>,
    /// What was asked by each of ours of the window.
    pub held: Vec<Option<Money>>,
    /// How they differ.
    pub found: Vec<Found>,
}

struct Write<'a> {
    run: &'a OpenRun,
    page: &'a ComparedPage,
    next: Option<(Step, Option<&'a Value>)>,
}

impl Store {
    /// Writes a page down. `next` is where the next one begins; with `None` the run ends with this one.
    /// Answers whether the run was still this worker's: if not, nothing was written.
    ///
    /// # Errors
    /// [`StoreError`]; writing the page again is always right.
    pub async fn save_page(
        &self,
        run: &mut OpenRun,
        page: &ComparedPage,
        next: Option<(Step, Option<Value>)>,
    ) -> Result<bool, StoreError> {
        let write = Write { run, page, next: next.as_ref().map(|(step, cursor)| (*step, cursor.as_ref())) };
        let saved = self.transaction("save_page", &write, |c, write| Box::pin(save(c, write))).await?;
        if saved {
            run.version = run.version.saturating_add(1);
            match next {
                Some((step, cursor)) => (run.step, run.cursor) = (step, cursor),
                None => run.is_over = true,
            }
        }
        Ok(saved)
    }
}

async fn save(connection: &mut PgConnection, write: &Write<'_>) -> Result<bool, StoreError> {
    let Write { run, page, next } = write;
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let saved = sqlx::query!(
        "/* run_advance */ UPDATE reconciliation_runs
         SET version = version + 1, step = COALESCE($3, step), cursor = $4,
             finished_at = CASE WHEN $3::text IS NULL THEN now() END,
             listed = COALESCE(listed, 0) + $5, held = COALESCE(held, 0) + $6,
             differences = COALESCE(differences, 0) + $7
         WHERE id = $1 AND version = $2 AND finished_at IS NULL",
        run.id,
        run.version,
        next.map(|(step, _)| step.as_str()),
        next.and_then(|(_, cursor)| cursor),
        count(page.listed.len()),
        count(page.held.len()),
        count(page.found.len()),
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if saved == 0 {
        return Ok(false);
    }
    if next.is_some() {
        remember(connection, run.id, &page.seen).await?;
    } else {
        sqlx::query!("/* run_forget */ DELETE FROM reconciliation_seen WHERE run_id = $1", run.id)
            .execute(&mut *connection)
            .await?;
    }
    add(connection, run.id, "theirs", &page.listed).await?;
    add(connection, run.id, "ours", &page.held).await?;
    note(connection, run, &page.found).await?;
    Ok(true)
}

async fn remember(
    connection: &mut PgConnection,
    run: i64,
    seen: &[(String, Option<OperationId>)],
) -> Result<(), StoreError> {
    let (entries, operations): (Vec<String>, Vec<Option<Uuid>>) =
        seen.iter().map(|(entry, id)| (clean(entry), id.map(|id| id.as_uuid()))).unzip();
    sqlx::query!(
        "/* run_remember */ INSERT INTO reconciliation_seen (run_id, entry, operation_id)
         SELECT $1, * FROM UNNEST($2::text[], $3::uuid[]) ON CONFLICT DO NOTHING",
        run,
        entries.as_slice(),
        &operations as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn add(
    connection: &mut PgConnection,
    run: i64,
    side: &str,
    amounts: &[Option<Money>],
) -> Result<(), StoreError> {
    let mut sums: BTreeMap<&str, (i64, Decimal)> = BTreeMap::new();
    for money in amounts.iter().flatten() {
        let (count, sum) = sums.entry(money.asset().code()).or_default();
        *count = count.saturating_add(1);
        *sum = sum.saturating_add(money.amount());
    }
    let assets: Vec<String> = sums.keys().map(|&asset| asset.to_owned()).collect();
    let (counts, amounts): (Vec<i64>, Vec<Decimal>) = sums.values().copied().unzip();
    sqlx::query!(
        "/* run_add */ INSERT INTO reconciliation_sums (run_id, side, asset, count, amount)
         SELECT $1, $2, * FROM UNNEST($3::text[], $4::bigint[], $5::numeric[])
         ON CONFLICT (run_id, side, asset) DO UPDATE SET
             count = reconciliation_sums.count + excluded.count,
             amount = reconciliation_sums.amount + excluded.amount",
        run,
        side,
        assets.as_slice(),
        counts.as_slice(),
        amounts.as_slice(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What the run has remedied is nobody's business any more.
async fn note(connection: &mut PgConnection, run: &OpenRun, found: &[Found]) -> Result<(), StoreError> {
    let side = |of: fn(&Found) -> Option<Value>| found.iter().map(of).collect::<Vec<Option<Value>>>();
    let theirs = side(|one| one.theirs.as_ref().map(to_json));
    let ours = side(|one| one.ours.as_ref().map(to_json));
    let kinds: Vec<String> = found.iter().map(|one| one.difference.as_str().to_owned()).collect();
    let remedies: Vec<Option<String>> =
        found.iter().map(|one| one.remedy.map(Remedy::as_str).map(str::to_owned)).collect();
    let operations: Vec<Option<Uuid>> =
        found.iter().map(|one| one.operation.map(|id| id.as_uuid())).collect();
    let refs: Vec<Option<String>> = found.iter().map(|one| one.provider_ref.as_deref().map(clean)).collect();
    let details: Vec<String> = found.iter().map(|one| clean(&one.detail())).collect();
    sqlx::query!(
        "/* discrepancies_of_run */ INSERT INTO discrepancies
             (source, kind, provider, run_id, operation_id, provider_ref, detail, remedy, resolved_at, theirs, ours)
         SELECT 'reconciliation', n.kind, $1, $2, n.operation_id, n.provider_ref, n.detail, n.remedy,
             CASE WHEN n.remedy IS NOT NULL THEN now() END, n.theirs, n.ours
         FROM UNNEST($3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::jsonb[])
             AS n (kind, operation_id, provider_ref, detail, remedy, theirs, ours)",
        run.reconcile.provider.as_str(),
        run.id,
        kinds.as_slice(),
        &operations as _,
        &refs as _,
        details.as_slice(),
        &remedies as _,
        &theirs as _,
        &ours as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
