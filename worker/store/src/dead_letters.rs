//! Dead letters: where jobs that will not be tried again by themselves wait for a person.

use payfleet_core::job::DeadJob;
use payfleet_core::{JobId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::operation_row::to_json;
use crate::{Store, StoreError};

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
    /// Archives a dead job. Archiving it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn archive(&self, dead: &DeadJob) -> Result<(), StoreError> {
        let envelope = &dead.job.envelope;
        let operation_id = envelope.facts.get("operation_id").and_then(|id| Uuid::parse_str(id).ok());
        let died_at: OffsetDateTime = dead.died_at.into();
        sqlx::query!(
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
            dead.failure.class,
            dead.failure.code,
            dead.failure.message,
            i32::try_from(dead.job.attempt).unwrap_or(i32::MAX),
            to_json(dead),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
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
