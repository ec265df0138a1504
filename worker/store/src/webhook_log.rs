//! The log of webhooks as it is shown: filtered, page by page, and one with its body.

use payfleet_core::Timestamp;
use payfleet_core::provider::Provider;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// What can become of a webhook, by name.
pub const WEBHOOK_OUTCOMES: [&str; 5] = ["received", "parked", "processed", "ignored", "failed"];

/// Which webhooks. What is `None` selects nothing by itself.
#[derive(Clone, Debug, Default)]
pub struct WebhookFilter {
    /// Of this provider.
    pub provider: Option<Provider>,
    /// Of which became this: one of [`WEBHOOK_OUTCOMES`].
    pub outcome: Option<&'static str>,
    /// Of this type, in the provider's word.
    pub event_type: Option<String>,
    /// That reached us at this moment or later.
    pub from: Option<Timestamp>,
    /// That reached us before this moment.
    pub to: Option<Timestamp>,
}

/// A webhook on the log.
#[derive(Clone, Debug)]
pub struct LoggedWebhook {
    /// Its number in the log.
    pub id: i64,
    /// Whose.
    pub provider: String,
    /// Unique per provider.
    pub event_key: String,
    /// What its provider calls it.
    pub event_type: String,
    /// Another body came before under the same event key.
    pub variant: bool,
    /// What became of it: one of [`WEBHOOK_OUTCOMES`].
    pub outcome: String,
    /// Why, where that needs words.
    pub detail: Option<String>,
    /// The operation in whose inbox it is.
    pub operation_id: Option<Uuid>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// When what became of it was written down.
    pub handled_at: Option<Timestamp>,
}

/// Its body, as it was kept.
#[derive(Clone, Debug)]
pub struct WebhookWithBody {
    /// What is on the log.
    pub logged: LoggedWebhook,
    /// `None` where its month has been archived.
    pub body: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    provider: String,
    event_key: String,
    event_type: String,
    variant: bool,
    status: String,
    detail: Option<String>,
    operation_id: Option<Uuid>,
    received_at: OffsetDateTime,
    handled_at: Option<OffsetDateTime>,
}

impl Store {
    /// At most `limit` webhooks of `filter`, the last stored first: those before the one numbered `before`.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn webhook_log(
        &self,
        filter: &WebhookFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<LoggedWebhook>, StoreError> {
        // Planned anew for the values of each request, as lists of operations are.
        let rows: Vec<Row> = sqlx::query_as(
            "/* webhook_log */ SELECT id, provider, event_key, event_type, variant, status, detail, operation_id,
                 received_at, handled_at
             FROM webhook_events
             WHERE id < $1 AND ($2 IS NULL OR provider = $2) AND ($3 IS NULL OR status = $3)
               AND ($4 IS NULL OR event_type = $4) AND ($5 IS NULL OR received_at >= $5)
               AND ($6 IS NULL OR received_at < $6)
             ORDER BY id DESC LIMIT $7",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(filter.provider.map(Provider::as_str))
        .bind(filter.outcome)
        .bind(filter.event_type.as_deref())
        .bind(filter.from.map(OffsetDateTime::from))
        .bind(filter.to.map(OffsetDateTime::from))
        .bind(limit)
        .persistent(false)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(LoggedWebhook::from).collect())
    }

    /// One webhook with its body.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn logged_webhook(&self, id: i64) -> Result<Option<WebhookWithBody>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "/* webhook_one */ SELECT id, provider, event_key, event_type, variant, status, detail, operation_id,
                 received_at, handled_at
             FROM webhook_events WHERE id = $1",
            id,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let body = sqlx::query_scalar!(
            "/* webhook_body */ SELECT body FROM webhook_bodies WHERE webhook_id = $1 AND received_at = $2",
            id,
            row.received_at,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(Some(WebhookWithBody { logged: row.into(), body }))
    }
}

impl From<Row> for LoggedWebhook {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            provider: row.provider,
            event_key: row.event_key,
            event_type: row.event_type,
            variant: row.variant,
            outcome: row.status,
            detail: row.detail,
            operation_id: row.operation_id,
            received_at: row.received_at.into(),
            handled_at: row.handled_at.map(Timestamp::from),
        }
    }
}
