//! Dead letters: where jobs that will not be tried again by themselves wait for a person.

use payfleet_core::job::DeadJob;
use payfleet_core::kinds::lifecycle::Parked;
use payfleet_core::kinds::{JobKind, OperationKind};
use payfleet_core::{JobId, OperationId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::operation_row::{clean, to_json};
use crate::{Store, StoreError, notifications};

/// The code of a job that died because its idempotency key was another request's.
pub const IDEMPOTENCY_CONFLICT: &str = "idempotency_conflict";

/// A dead job, as on-call sees it.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    /// The job.
    pub job_id: JobId,
    /// When it died.
    pub died_at: Timestamp,
    /// Where it waited.
    pub queue: String,
    /// What it was to do.
    pub kind: String,
    /// Whose it is.
    pub tenant: String,
    /// The operation it was about, if it was about one.
    pub operation_id: Option<Uuid>,
    /// The class of what it died of.
    pub class: String,
    /// The code of what it died of.
    pub code: String,
    /// What it died of, for people.
    pub message: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was last released again.
    pub redriven_at: Option<Timestamp>,
    /// The job, whole, as JSON: see `payfleet_core::job::DeadJob`.
    pub job: Value,
}

impl Store {
    /// Archives a dead job. Archiving it again changes nothing. If it was to advance an operation that
    /// nothing has moved since, that operation is parked with it: otherwise the rescuer would make
    /// the same job again, to die again.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn archive(&self, dead: &DeadJob) -> Result<(), StoreError> {
        self.transaction("archive", dead, |connection, dead| Box::pin(archive(connection, dead))).await
    }

    /// Whether a dead letter about this operation waits for a person: one of a job that was to advance
    /// it. That of a look or a notification does not count, nor that of a request refused for its key:
    /// to release them moves nothing.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn has_dead_letter(&self, id: OperationId) -> Result<bool, StoreError> {
        let advancing = OperationKind::ALL.map(|kind| kind.job_kind().as_str().to_owned());
        Ok(sqlx::query_scalar!(
            "/* dead_letter_exists */ SELECT EXISTS (
                 SELECT 1 FROM dead_letters
                 WHERE operation_id = $1 AND redriven_at IS NULL AND kind = ANY($2) AND code <> $3
             ) AS \"exists!\"",
            id.as_uuid(),
            advancing.as_slice(),
            IDEMPOTENCY_CONFLICT,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// The newest dead letters; released ones too where `redriven` says so.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn dead_letters(&self, limit: i64, redriven: bool) -> Result<Vec<DeadLetter>, StoreError> {
        let rows = sqlx::query_as!(
            DeadLetterRow,
            "/* dead_letters_list */ SELECT job_id, died_at, queue, kind, tenant, operation_id, class, code,
                 message, attempts, redriven_at, job
             FROM dead_letters WHERE redriven_at IS NULL OR $2 ORDER BY died_at DESC LIMIT $1",
            limit,
            redriven,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(DeadLetter::from).collect())
    }

    /// The last death of one job.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn dead_letter(&self, id: JobId) -> Result<Option<DeadLetter>, StoreError> {
        let row = sqlx::query_as!(
            DeadLetterRow,
            "/* dead_letter_one */ SELECT job_id, died_at, queue, kind, tenant, operation_id, class, code,
                 message, attempts, redriven_at, job
             FROM dead_letters WHERE job_id = $1 ORDER BY died_at DESC LIMIT 1",
            id.as_uuid(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(DeadLetter::from))
    }

    /// Marks the deaths of a job up to this one as released again; it may have died anew since.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn mark_redriven(&self, id: JobId, died_at: Timestamp) -> Result<(), StoreError> {
        // The stored moment is finer than a Timestamp.
        let until: OffsetDateTime = died_at.plus_ms(1).into();
        sqlx::query!(
            "/* dead_letter_redriven */ UPDATE dead_letters SET redriven_at = now()
             WHERE job_id = $1 AND died_at < $2 AND redriven_at IS NULL",
            id.as_uuid(),
            until,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

async fn archive(connection: &mut PgConnection, dead: &DeadJob) -> Result<(), StoreError> {
    let envelope = &dead.job.envelope;
    let operation_id = envelope.facts.get("operation_id").and_then(|id| Uuid::parse_str(id).ok());
    let died_at: OffsetDateTime = dead.died_at.into();
    let stored = sqlx::query!(
        "/* dead_letter_archive */ INSERT INTO dead_letters
             (job_id, died_at, queue, kind, tenant, operation_id, class, code, message, attempts, job)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT DO NOTHING",
        envelope.id.as_uuid(),
        died_at,
        envelope.queue.as_str(),
        envelope.kind,
        envelope.tenant.as_str(),
        operation_id,
        clean(&dead.failure.class),
        clean(&dead.failure.code),
        clean(&dead.failure.message),
        i32::try_from(dead.job.attempt).unwrap_or(i32::MAX),
        to_json(dead),
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if stored == 1
        && envelope.kind == JobKind::Notify.as_str()
        && let Ok(notify) = serde_json::from_str(envelope.payload.get())
    {
        let reason = format!("its job died: {}", clean(&dead.failure.message));
        return notifications::park_with_job(connection, &notify, &reason).await;
    }
    // A request that was refused for another's key says nothing about that other's operation.
    let is_about_it = dead.failure.code != IDEMPOTENCY_CONFLICT;
    match operation_id {
        Some(id) if stored == 1 && is_about_it => park_with_job(connection, id, dead).await,
        _ => Ok(()),
    }
}

/// `updated_at` is Postgres' time, the death Redis': a second between the two clocks is allowed for.
/// Events that have come lately may move the operation yet; those that have waited for longer are what
/// its jobs die of.
async fn park_with_job(connection: &mut PgConnection, id: Uuid, dead: &DeadJob) -> Result<(), StoreError> {
    let died_at: OffsetDateTime = dead.died_at.into();
    sqlx::query!(
        "/* operation_park_with_job */ UPDATE operations
         SET parked = $2, parked_reason = $3, next_wake_at = NULL, version = version + 1
         WHERE id = $1 AND kind = ANY($4) AND parked IS NULL AND next_wake_at IS NOT NULL
           AND updated_at <= $5::timestamptz + interval '1 second'
           AND NOT EXISTS (
               SELECT 1 FROM inbox WHERE operation_id = $1 AND applied_at IS NULL
                   AND received_at > $5::timestamptz - interval '1 minute'
           )",
        id,
        Parked::JobDied.as_str(),
        format!("its job died: {}", clean(&dead.failure.message)),
        &advanced_by(&dead.job.envelope.kind),
        died_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The kinds of the operations that jobs of a kind advance, by name; of a job that only looks, none.
fn advanced_by(job_kind: &str) -> Vec<String> {
    let kinds = OperationKind::ALL.into_iter().filter(|kind| kind.job_kind().as_str() == job_kind);
    kinds.map(|kind| kind.as_str().to_owned()).collect()
}

struct DeadLetterRow {
    job_id: Uuid,
    died_at: OffsetDateTime,
    queue: String,
    kind: String,
    tenant: String,
    operation_id: Option<Uuid>,
    class: String,
    code: String,
    message: String,
    attempts: i32,
    redriven_at: Option<OffsetDateTime>,
    job: Value,
}

impl From<DeadLetterRow> for DeadLetter {
    fn from(row: DeadLetterRow) -> Self {
        Self {
            job_id: JobId::from_uuid(row.job_id),
            died_at: row.died_at.into(),
            queue: row.queue,
            kind: row.kind,
            tenant: row.tenant,
            operation_id: row.operation_id,
            class: row.class,
            code: row.code,
            message: row.message,
            attempts: row.attempts,
            redriven_at: row.redriven_at.map(Timestamp::from),
            job: row.job,
        }
    }
}
