//! What must be in Redis, read from Postgres page by page: for a rebuild after Redis has lost its data.

use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::notify::Notify;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, JobId, OperationId, TenantId, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::inbox::Woken;
use crate::notifications::receiver;
use crate::operation_row::{kind, tenant};
use crate::{Store, StoreError};

/// How far a walk over the unfinished operations has come, by when they are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    due_at: OffsetDateTime,
    id: Uuid,
}

impl Place {
    /// Before every operation.
    pub const START: Self = Self { due_at: OffsetDateTime::UNIX_EPOCH, id: Uuid::nil() };
}

/// An operation that something must wake.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// The operation.
    pub operation: Woken,
    /// Its state's name.
    pub state: String,
    /// In how many milliseconds of Postgres' clock it is due; 0 where it is overdue.
    pub due_in_ms: u64,
}

/// One page of a walk.
#[derive(Clone, Debug)]
pub struct Page<T, K> {
    /// What is on it. Rows that this version cannot read are left out and said.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` behind the last.
    pub next: Option<K>,
}

/// A webhook that was stored and not handled.
#[derive(Clone, Debug)]
pub struct UnhandledWebhook {
    /// Whose event.
    pub provider: Provider,
    /// Unique per provider.
    pub event_key: String,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Its raw body.
    pub body: Vec<u8>,
    /// What its provider calls it.
    pub event_type: String,
}

/// A reconciliation that was started and not finished.
#[derive(Clone, Debug)]
pub struct RunningRun {
    /// Its job.
    pub job: JobId,
    /// What it compares.
    pub reconcile: Reconcile,
}

impl Store {
    /// When the last of the unfinished operations is due now: where a walk that began now ends.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn last_due(&self) -> Result<Option<Place>, StoreError> {
        let due_at = sqlx::query_scalar!(
            "/* operations_last_due */ SELECT next_wake_at AS \"due_at!\" FROM operations
             WHERE next_wake_at IS NOT NULL ORDER BY next_wake_at DESC LIMIT 1",
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(due_at.map(|due_at| Place { due_at, id: Uuid::max() }))
    }

    /// Up to `limit` unfinished operations behind `after` and up to `end`, soonest due first.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn unfinished(
        &self,
        after: Place,
        end: Place,
        limit: i64,
    ) -> Result<Page<Unfinished, Place>, StoreError> {
        let rows = sqlx::query!(
            "/* operations_unfinished */ SELECT id, kind, tenant, version, state, next_wake_at AS \"due_at!\",
                 GREATEST((EXTRACT(EPOCH FROM next_wake_at - now()) * 1000)::bigint, 0) AS \"due_in_ms!\"
             FROM operations WHERE (next_wake_at, id) > ($1, $2) AND next_wake_at <= $3
             ORDER BY next_wake_at, id LIMIT $4",
            after.due_at,
            after.id,
            end.due_at,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let next = rows.last().map(|row| Place { due_at: row.due_at, id: row.id });
        let read = rows.into_iter().filter_map(|row| {
            let operation = woken(row.id, &row.kind, row.tenant, row.version)?;
            let due_in_ms = u64::try_from(row.due_in_ms).unwrap_or(0);
            Some(Unfinished { operation, state: row.state, due_in_ms })
        });
        Ok(Page { rows: read.collect(), next })
    }

    /// Up to `limit` parked operations behind `after`, by id, of which no dead letter tells a person.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn parked_in_silence(
        &self,
        after: Option<OperationId>,
        limit: i64,
    ) -> Result<Page<Woken, OperationId>, StoreError> {
        let rows = sqlx::query!(
            "/* operations_parked_in_silence */ SELECT id, kind, tenant, version FROM operations o
             WHERE parked IS NOT NULL AND id > $1 AND NOT EXISTS (
                 SELECT 1 FROM dead_letters WHERE operation_id = o.id AND redriven_at IS NULL AND kind <> $3
             ) ORDER BY id LIMIT $2",
            after.map_or_else(Uuid::nil, |id| id.as_uuid()),
            limit,
            JobKind::Notify.as_str(),
        )
        .fetch_all(&self.pool)
        .await?;
        let next = rows.last().map(|row| OperationId::from_uuid(row.id));
        let read = rows.into_iter().filter_map(|row| woken(row.id, &row.kind, row.tenant, row.version));
        Ok(Page { rows: read.collect(), next })
    }

    /// Up to `limit` parked notifications behind `after`, of which no dead letter tells a person.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn untold_in_silence(
        &self,
        after: Option<&Notify>,
        limit: i64,
    ) -> Result<Page<(Notify, TenantId), Notify>, StoreError> {
        let rows = sqlx::query!(
            "/* notifications_parked_in_silence */ SELECT n.operation_id, n.receiver, n.version, o.tenant
             FROM notifications n JOIN operations o ON o.id = n.operation_id
             WHERE n.parked_reason IS NOT NULL AND (n.operation_id, n.receiver) > ($1, $2) AND NOT EXISTS (
                 SELECT 1 FROM dead_letters d WHERE d.operation_id = n.operation_id AND d.redriven_at IS NULL
                   AND d.kind = $4 AND d.job #>> '{job,envelope,facts,receiver}' = n.receiver
             ) ORDER BY n.operation_id, n.receiver LIMIT $3",
            after.map_or_else(Uuid::nil, |last| last.operation_id.as_uuid()),
            after.map_or("", |last| last.receiver.as_str()),
            limit,
            JobKind::Notify.as_str(),
        )
        .fetch_all(&self.pool)
        .await?;
        let rows: Vec<(Notify, TenantId)> = rows
            .into_iter()
            .map(|row| {
                let operation_id = OperationId::from_uuid(row.operation_id);
                let receiver = receiver(&operation_id, row.receiver)?;
                let notify = Notify { receiver, version: row.version, operation_id };
                Ok((notify, tenant(&operation_id, row.tenant)?))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Page { next: rows.last().map(|(last, _)| last.clone()), rows })
    }

    /// Up to `limit` webhooks behind `after` that were stored and not handled.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn unhandled_webhooks(
        &self,
        after: i64,
        limit: i64,
    ) -> Result<Page<UnhandledWebhook, i64>, StoreError> {
        let rows = sqlx::query!(
            "/* webhooks_unhandled */ SELECT e.id, e.provider, e.event_key, e.event_type, e.received_at, b.body
             FROM webhook_events e JOIN webhook_bodies b ON b.webhook_id = e.id AND b.received_at = e.received_at
             WHERE e.status IN ('received', 'parked') AND e.id > $1 ORDER BY e.id LIMIT $2",
            after,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let next = rows.last().map(|row| row.id);
        let read = rows.into_iter().filter_map(|row| {
            let Ok(provider) = row.provider.parse() else {
                tracing::error!(webhook.id = row.id, "A webhook is of an unknown provider and is left out.");
                return None;
            };
            Some(UnhandledWebhook {
                provider,
                event_key: row.event_key,
                received_at: row.received_at.into(),
                body: row.body,
                event_type: row.event_type,
            })
        });
        Ok(Page { rows: read.collect(), next })
    }

    /// Up to `limit` reconciliations behind `after` that were started and not finished.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn running_runs(&self, after: i64, limit: i64) -> Result<Page<RunningRun, i64>, StoreError> {
        let rows = sqlx::query!(
            "/* runs_running */ SELECT id, job_id, provider, account, window_start, window_end
             FROM reconciliation_runs WHERE finished_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
            after,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let next = rows.last().map(|row| row.id);
        let read = rows.into_iter().filter_map(|row| {
            let (Ok(provider), Ok(account)) = (row.provider.parse(), AccountId::try_from(row.account)) else {
                tracing::error!(
                    run.id = row.id,
                    "A reconciliation is of an unknown provider and is left out."
                );
                return None;
            };
            let (from, to) = (Timestamp::from(row.window_start), Timestamp::from(row.window_end));
            let reconcile = Reconcile { provider, account, from, to };
            Some(RunningRun { job: JobId::from_uuid(row.job_id), reconcile })
        });
        Ok(Page { rows: read.collect(), next })
    }
}

/// `None`, and said, where this version cannot read the row.
fn woken(id: Uuid, of_kind: &str, of_tenant: String, version: i64) -> Option<Woken> {
    let id = OperationId::from_uuid(id);
    match (kind(&id, of_kind), tenant(&id, of_tenant)) {
        (Ok(kind), Ok(tenant)) => Some(Woken { id, kind, tenant, version }),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(operation.id = %id, "An operation is left to another version: {error}");
            None
        }
    }
}
