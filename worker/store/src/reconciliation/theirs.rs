//! What the entries of a page of the provider's record are to us.

use std::collections::BTreeMap;

use payfleet_core::OperationId;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::reconcile::{Held, Listed};
use uuid::Uuid;

use super::OpenRun;
use crate::operation_row::json;
use crate::{Store, StoreError};

impl Store {
    /// The operations that each of `entries` names, by our reference or by the provider's id, wherever
    /// in our record they are.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn named_by(&self, run: &OpenRun, entries: &[Listed]) -> Result<Vec<Vec<Held>>, StoreError> {
        let places: Vec<i32> = (0_i32..).take(entries.len()).collect();
        let ours: Vec<Option<String>> = entries.iter().map(|entry| entry.our_reference.clone()).collect();
        let theirs: Vec<String> = entries.iter().map(|entry| entry.report.provider_ref.clone()).collect();
        let rows = sqlx::query!(
            // One look each, by an index: joined, a page could read all of these tables.
            "/* run_named_by */ WITH named AS (
                 SELECT * FROM UNNEST($3::int[], $4::text[], $5::text[]) AS named (place, ours, theirs)
             ), found AS (
                 SELECT n.place, i.id, i.number FROM named n CROSS JOIN LATERAL (
                     SELECT operation_id AS id, number FROM intents
                     WHERE provider = $1 AND account = $2 AND reference = n.ours OFFSET 0
                 ) i
                 UNION ALL
                 SELECT n.place, o.id, NULL FROM named n CROSS JOIN LATERAL (
                     SELECT id FROM operations WHERE provider = $1 AND account = $2 AND provider_ref = n.theirs OFFSET 0
                 ) o
             )
             SELECT f.place AS \"place!\", f.id AS \"id!\", o.state, o.provider_ref, o.request, i.number, i.reference
             FROM (SELECT place, id, max(number) AS number FROM found GROUP BY place, id) f
             CROSS JOIN LATERAL (SELECT state, provider_ref, request FROM operations WHERE id = f.id OFFSET 0) o
             CROSS JOIN LATERAL (
                 SELECT number, reference FROM intents WHERE operation_id = f.id AND number <= COALESCE(f.number, number)
                 ORDER BY number DESC LIMIT 1
             ) i
             ORDER BY f.id",
            run.reconcile.provider.as_str(),
            run.reconcile.account.as_str(),
            places.as_slice(),
            &ours as _,
            theirs.as_slice(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut named = vec![Vec::new(); entries.len()];
        for row in rows {
            let operation = OperationId::from_uuid(row.id);
            let held = Held {
                operation,
                intent: row.number,
                reference: row.reference,
                provider_ref: row.provider_ref,
                state: row.state,
                request: json::<Request>("request", &operation, row.request)?,
            };
            if let Some(of_entry) = usize::try_from(row.place).ok().and_then(|place| named.get_mut(place)) {
                of_entry.push(held);
            }
        }
        Ok(named)
    }

    /// What this run has met before of `entries`, and as what it has met each of `operations`.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn met_before(
        &self,
        run: &OpenRun,
        entries: &[String],
        operations: &[OperationId],
    ) -> Result<BTreeMap<String, Option<OperationId>>, StoreError> {
        let operations: Vec<Uuid> = operations.iter().map(OperationId::as_uuid).collect();
        let rows = sqlx::query!(
            // One look each: the table grows with the run, and a plan from when it was short would read all of it.
            "/* run_met_before */ SELECT seen.entry AS \"entry!\", seen.operation_id FROM UNNEST($2::text[]) AS n (entry)
             CROSS JOIN LATERAL (
                 SELECT entry, operation_id FROM reconciliation_seen WHERE run_id = $1 AND entry = n.entry OFFSET 0
             ) seen
             UNION
             SELECT seen.entry, seen.operation_id FROM UNNEST($3::uuid[]) AS n (id)
             CROSS JOIN LATERAL (
                 SELECT entry, operation_id FROM reconciliation_seen WHERE run_id = $1 AND operation_id = n.id OFFSET 0
             ) seen",
            run.id,
            entries,
            operations.as_slice(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.entry, row.operation_id.map(OperationId::from_uuid))).collect())
    }

    /// Up to `limit` connected accounts that we know, after the operation `after`: the operation that made
    /// each, and its id at the provider.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn connected_accounts(
        &self,
        run: &OpenRun,
        after: Option<OperationId>,
        limit: i64,
    ) -> Result<Vec<(OperationId, String)>, StoreError> {
        let rows = sqlx::query!(
            "/* connected_accounts */ SELECT id, provider_ref AS \"provider_ref!\" FROM operations
             WHERE provider = $1 AND account = $2 AND kind = 'account' AND provider_ref IS NOT NULL AND id > $3
             ORDER BY id LIMIT $4",
            run.reconcile.provider.as_str(),
            run.reconcile.account.as_str(),
            after.map_or_else(Uuid::nil, |id| id.as_uuid()),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (OperationId::from_uuid(row.id), row.provider_ref)).collect())
    }
}
