//! Our own record of a window, and what of ours has not moved, page by page.

use payfleet_core::OperationId;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::reconcile::Held;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::OpenRun;
use crate::operation_row::json;
use crate::{Store, StoreError};

/// Behind which of our entries a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPlace {
    /// When its intent was opened, in microseconds: all that Postgres keeps.
    at_us: i64,
    id: Uuid,
}

/// A page of our record.
#[derive(Clone, Debug)]
pub struct HeldPage {
    /// Ours that a list can show, each with whether the provider's record has shown it.
    pub held: Vec<(Held, bool)>,
    /// Where the next page begins; `None` behind the last.
    pub next: Option<HeldPlace>,
}

/// Behind which operation a page of those that have not moved begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckPlace {
    due_us: i64,
    id: Uuid,
}

/// An operation that is alive, and for how long it has been as it is.
#[derive(Clone, Debug)]
pub struct Unmoved {
    /// Which.
    pub held: Held,
    /// Since its last transition, in milliseconds.
    pub for_ms: u64,
    /// Whether an earlier run has woken it since.
    pub was_woken: bool,
}

/// A page of those.
#[derive(Clone, Debug)]
pub struct StuckPage {
    /// Those that nobody was told of since they moved last.
    pub unmoved: Vec<Unmoved>,
    /// Where the next page begins; `None` behind the last.
    pub next: Option<StuckPlace>,
}

impl Store {
    /// Up to `limit` of ours whose last intent was opened in the run's window, in that order.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn held(
        &self,
        run: &OpenRun,
        after: Option<HeldPlace>,
        limit: i64,
    ) -> Result<HeldPage, StoreError> {
        let (from, to): (OffsetDateTime, OffsetDateTime) =
            (run.reconcile.from.into(), run.reconcile.to.into());
        let rows = sqlx::query!(
            // OFFSET 0 makes each look one of its own by an index: joined or hashed, every page would read all
            // of these tables.
            "/* run_held */ SELECT i.opened_at, i.number, i.reference, i.id, o.state, o.provider_ref, o.request,
                 EXISTS (SELECT 1 FROM reconciliation_seen s WHERE s.run_id = $1 AND s.operation_id = i.id OFFSET 0) AS \"seen!\"
             FROM (
                 SELECT opened_at, number, reference, operation_id AS id FROM intents i
                 WHERE provider = $2 AND account = $3 AND opened_at >= $4 AND opened_at < $5
                     AND (opened_at, operation_id) > ($6, $7)
                     AND NOT EXISTS (
                         SELECT 1 FROM intents later
                         WHERE later.operation_id = i.operation_id AND later.number > i.number OFFSET 0
                     )
                 ORDER BY opened_at, operation_id LIMIT $8
             ) i
             CROSS JOIN LATERAL (SELECT state, provider_ref, request FROM operations WHERE id = i.id OFFSET 0) o
             ORDER BY i.opened_at, i.id",
            run.id,
            run.reconcile.provider.as_str(),
            run.reconcile.account.as_str(),
            from,
            to,
            after.map_or(OffsetDateTime::UNIX_EPOCH, |place| at(place.at_us)),
            after.map_or_else(Uuid::nil, |place| place.id),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let next = rows.last().map(|row| HeldPlace { at_us: micros(row.opened_at), id: row.id });
        let mut held = Vec::with_capacity(rows.len());
        for row in rows {
            let operation = OperationId::from_uuid(row.id);
            let request: Request = json("request", &operation, row.request)?;
            // What no list shows cannot be missing in one.
            if request.is_listed() {
                let (intent, reference) = (row.number, row.reference);
                let (provider_ref, state) = (row.provider_ref, row.state);
                held.push((Held { operation, intent, reference, provider_ref, state, request }, row.seen));
            }
        }
        Ok(HeldPage { held, next })
    }

    /// Up to `limit` operations that are alive, were made before the window's end, and of which nobody was
    /// told that they are stuck since they moved last.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn unmoved(
        &self,
        run: &OpenRun,
        after: Option<StuckPlace>,
        limit: i64,
    ) -> Result<StuckPage, StoreError> {
        let before: OffsetDateTime = run.reconcile.to.into();
        let rows = sqlx::query!(
            "/* run_unmoved */ SELECT o.id, o.state, o.provider_ref, o.request, o.next_wake_at AS \"due!\",
                 i.number, i.reference,
                 (EXTRACT(EPOCH FROM now() - COALESCE(t.at, o.created_at)) * 1000)::bigint AS \"for_ms!\",
                 COALESCE(d.told, false) AS \"told!\", COALESCE(d.woken, false) AS \"woken!\"
             FROM operations o
             JOIN LATERAL (
                 SELECT number, reference FROM intents WHERE operation_id = o.id ORDER BY number DESC LIMIT 1
             ) i ON true
             LEFT JOIN transitions t ON t.operation_id = o.id AND t.sequence = o.transitions
             LEFT JOIN LATERAL (
                 SELECT bool_or(remedy IS NULL OR run_id = $1) AS told, bool_or(remedy IS NOT NULL) AS woken
                 FROM discrepancies
                 WHERE operation_id = o.id AND kind = 'stuck' AND at >= COALESCE(t.at, o.created_at)
             ) d ON true
             WHERE o.next_wake_at IS NOT NULL AND o.provider = $2 AND o.account = $3 AND o.created_at < $4
                 AND o.state IN ('submitting', 'retrying', 'in_doubt', 'accepted')
                 AND (o.next_wake_at, o.id) > ($5, $6)
             ORDER BY o.next_wake_at, o.id LIMIT $7",
            run.id,
            run.reconcile.provider.as_str(),
            run.reconcile.account.as_str(),
            before,
            after.map_or(OffsetDateTime::UNIX_EPOCH, |place| at(place.due_us)),
            after.map_or_else(Uuid::nil, |place| place.id),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let next = rows.last().map(|row| StuckPlace { due_us: micros(row.due), id: row.id });
        let mut unmoved = Vec::new();
        for row in rows.into_iter().filter(|row| !row.told) {
            let operation = OperationId::from_uuid(row.id);
            let request: Request = json("request", &operation, row.request)?;
            let (intent, reference) = (row.number, row.reference);
            let (provider_ref, state) = (row.provider_ref, row.state);
            let held = Held { operation, intent, reference, provider_ref, state, request };
            let for_ms = u64::try_from(row.for_ms).unwrap_or(0);
            unmoved.push(Unmoved { held, for_ms, was_woken: row.woken });
        }
        Ok(StuckPage { unmoved, next })
    }
}

pub(super) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

pub(super) fn at(micros: i64) -> OffsetDateTime {
    let nanos = i128::from(micros).saturating_mul(1_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
