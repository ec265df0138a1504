//! How it stands with a provider: its webhooks, the secrets they are signed with, and whether it lets us
//! in.

use payfleet_core::provider::Provider;
use payfleet_core::{JobId, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::operation_row::clean;
use crate::{Store, StoreError};

/// How it stands with a provider.
#[derive(Clone, Debug)]
pub struct ProviderHealth {
    /// When its last webhook reached us.
    pub last_event_at: Option<Timestamp>,
    /// How many of its webhooks of the last day could not be read, or need a person.
    pub failed_last_day: i64,
    /// Which secrets its webhooks were signed with, the one that was first used last, first.
    pub secrets: Vec<SecretUse>,
    /// The last test of the connection, if there was one.
    pub last_test: Option<ConnectionTest>,
}

/// When a secret was used.
#[derive(Clone, Debug)]
pub struct SecretUse {
    /// Tells it from the others.
    pub fingerprint: String,
    /// When the first event that was signed with it reached us.
    pub first_used_at: Timestamp,
    /// When a late one did: the last one came within the hour after.
    pub last_used_at: Timestamp,
}

/// What came of one call that only asks whether we are let in.
#[derive(Clone, Debug)]
pub struct ConnectionTest {
    /// The job that made it.
    pub job: JobId,
    /// When it ended.
    pub tested_at: Timestamp,
    /// Which worker made it.
    pub worker: String,
    /// How it ended.
    pub result: TestResult,
}

/// How a test of a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Code and words of the failure; `None` where the provider let us in.
    pub failure: Option<(String, String)>,
    /// Of the answer, if there was one.
    pub http_status: Option<u16>,
    /// How long it took, with the wait at our own limits.
    pub duration_ms: u64,
}

struct TestRow {
    job_id: Uuid,
    tested_at: OffsetDateTime,
    worker: String,
    code: Option<String>,
    detail: Option<String>,
    http_status: Option<i32>,
    duration_ms: i64,
}

impl Store {
    /// How it stands with `provider`.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn provider_health(&self, provider: Provider) -> Result<ProviderHealth, StoreError> {
        let name = provider.as_str();
        let webhooks = sqlx::query!(
            "/* provider_webhooks */ SELECT
                 (SELECT received_at FROM webhook_events WHERE provider = $1
                  ORDER BY received_at DESC LIMIT 1) AS last_event_at,
                 (SELECT count(*) FROM webhook_events WHERE provider = $1 AND status = 'failed'
                  AND received_at > now() - interval '1 day') AS \"failed!\"",
            name,
        )
        .fetch_one(&self.pool)
        .await?;
        let secrets = sqlx::query!(
            "/* provider_secrets */ SELECT fingerprint, first_used_at, last_used_at FROM webhook_secrets
             WHERE provider = $1 ORDER BY first_used_at DESC, fingerprint",
            name,
        )
        .fetch_all(&self.pool)
        .await?;
        let last_test = sqlx::query_as!(
            TestRow,
            "/* provider_last_test */ SELECT job_id, tested_at, worker, code, detail, http_status, duration_ms
             FROM connection_tests WHERE provider = $1 ORDER BY tested_at DESC LIMIT 1",
            name,
        )
        .fetch_optional(&self.pool)
        .await?;
        let secrets = secrets.into_iter().map(|row| SecretUse {
            fingerprint: row.fingerprint,
            first_used_at: row.first_used_at.into(),
            last_used_at: row.last_used_at.into(),
        });
        Ok(ProviderHealth {
            last_event_at: webhooks.last_event_at.map(Timestamp::from),
            failed_last_day: webhooks.failed,
            secrets: secrets.collect(),
            last_test: last_test.map(ConnectionTest::from),
        })
    }

    /// What the test that `job` makes has found, once it has.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn connection_test(&self, job: JobId) -> Result<Option<ConnectionTest>, StoreError> {
        let row = sqlx::query_as!(
            TestRow,
            "/* connection_test */ SELECT job_id, tested_at, worker, code, detail, http_status, duration_ms
             FROM connection_tests WHERE job_id = $1",
            job.as_uuid(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(ConnectionTest::from))
    }

    /// Keeps what the test of `job` found. The first word of a job counts: it may be delivered twice.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn keep_connection_test(
        &self,
        job: JobId,
        provider: Provider,
        worker: &str,
        result: &TestResult,
    ) -> Result<(), StoreError> {
        let (code, detail) = result.failure.clone().unzip();
        sqlx::query!(
            "/* connection_test_keep */ INSERT INTO connection_tests
                 (job_id, provider, worker, code, detail, http_status, duration_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (job_id) DO NOTHING",
            job.as_uuid(),
            provider.as_str(),
            worker,
            code,
            detail.as_deref().map(clean),
            result.http_status.map(i32::from),
            i64::try_from(result.duration_ms).unwrap_or(i64::MAX),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes that an event which reached us at `at` was signed with a secret.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn note_webhook_secret(
        &self,
        provider: Provider,
        fingerprint: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let at = OffsetDateTime::from(at);
        sqlx::query!(
            "/* webhook_secret_note */ INSERT INTO webhook_secrets AS known
                 (provider, fingerprint, first_used_at, last_used_at)
             VALUES ($1, $2, $3, $3) ON CONFLICT (provider, fingerprint) DO UPDATE
             SET first_used_at = LEAST(known.first_used_at, EXCLUDED.first_used_at),
                 last_used_at = GREATEST(known.last_used_at, EXCLUDED.last_used_at)",
            provider.as_str(),
            fingerprint,
            at,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl From<TestRow> for ConnectionTest {
    fn from(row: TestRow) -> Self {
        let result = TestResult {
            failure: row.code.zip(row.detail),
            http_status: row.http_status.and_then(|status| u16::try_from(status).ok()),
            duration_ms: u64::try_from(row.duration_ms).unwrap_or(0),
        };
        Self {
            job: JobId::from_uuid(row.job_id),
            tested_at: row.tested_at.into(),
            worker: row.worker,
            result,
        }
    }
}
