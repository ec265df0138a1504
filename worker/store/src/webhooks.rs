//! The log of verified webhooks: every one is here once, with what became of it.

use payfleet_core::ids::RequestHash;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::provider::Provider;
use payfleet_core::{OperationId, Timestamp};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::operation_row::clean;
use crate::{Store, StoreError};

/// What became of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookStatus {
    /// Its operation is not known yet; looked for again.
    Parked,
    /// It is in the inbox of its operation.
    Processed {
        /// Which.
        operation: OperationId,
    },
    /// None of our business.
    Ignored {
        /// Why.
        detail: String,
    },
    /// It could not be read, or contradicts our record.
    Failed {
        /// Why.
        detail: String,
    },
}

/// A webhook as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedWebhook {
    /// Its number in the log.
    pub id: i64,
    /// Whether what became of it was written down before.
    pub handled: bool,
    /// The operation whose inbox it is in, if it is.
    pub operation: Option<OperationId>,
    /// Another body came before under the same event key.
    pub variant: bool,
}

struct Receipt<'a> {
    event: &'a WebhookEvent,
    event_type: &'a str,
    body: &'a [u8],
}

impl Store {
    /// Stores a webhook, once per provider, event key and body.
    ///
    /// # Errors
    /// [`StoreError`]; receiving again is always right.
    pub async fn receive_webhook(
        &self,
        event: &WebhookEvent,
        event_type: &str,
        body: &[u8],
    ) -> Result<ReceivedWebhook, StoreError> {
        let receipt = Receipt { event, event_type, body };
        self.transaction("receive_webhook", &receipt, |c, receipt| Box::pin(receive(c, receipt))).await
    }

    /// Writes down what became of a webhook.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn mark_webhook(&self, id: i64, status: &WebhookStatus) -> Result<(), StoreError> {
        let (name, operation, detail) = match status {
            WebhookStatus::Parked => ("parked", None, None),
            WebhookStatus::Processed { operation } => ("processed", Some(operation.as_uuid()), None),
            WebhookStatus::Ignored { detail } => ("ignored", None, Some(detail.as_str())),
            WebhookStatus::Failed { detail } => ("failed", None, Some(detail.as_str())),
        };
        sqlx::query!(
            "/* webhook_mark */ UPDATE webhook_events
             SET status = $2, operation_id = $3, detail = $4, handled_at = now() WHERE id = $1",
            id,
            name,
            operation,
            detail,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl Store {
    /// Puts something that a webhook says in front of a person, unless it is there already.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn note_webhook(
        &self,
        provider: Provider,
        kind: &str,
        provider_ref: Option<&str>,
        detail: &str,
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        note_webhook(&mut connection, provider, kind, provider_ref, detail).await
    }
}

pub(crate) async fn note_webhook(
    connection: &mut PgConnection,
    provider: Provider,
    kind: &str,
    provider_ref: Option<&str>,
    detail: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* discrepancy_of_webhook */ INSERT INTO discrepancies (source, kind, provider, provider_ref, detail)
         VALUES ('webhook', $1, $2, $3, $4) ON CONFLICT DO NOTHING",
        kind,
        provider.as_str(),
        provider_ref,
        detail,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn receive(
    connection: &mut PgConnection,
    receipt: &Receipt<'_>,
) -> Result<ReceivedWebhook, StoreError> {
    let Receipt { event, event_type, body } = receipt;
    let (provider, hash) = (event.provider.as_str(), RequestHash::of(body));
    let received_at: OffsetDateTime = Timestamp::into(event.received_at);
    let inserted = sqlx::query!(
        "/* webhook_insert */ INSERT INTO webhook_events
             (provider, event_key, body_hash, event_type, variant, status, received_at)
         VALUES ($1, $2, $3, $4,
                 EXISTS (SELECT 1 FROM webhook_events WHERE provider = $1 AND event_key = $2), 'received', $5)
         ON CONFLICT ON CONSTRAINT webhook_events_once DO NOTHING
         RETURNING id, variant",
        provider,
        event.event_key,
        hash.as_bytes().as_slice(),
        clean(event_type),
        received_at,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = inserted {
        sqlx::query!(
            "/* webhook_body_insert */ INSERT INTO webhook_bodies (webhook_id, received_at, body) VALUES ($1, $2, $3)",
            row.id,
            received_at,
            body,
        )
        .execute(connection)
        .await?;
        return Ok(ReceivedWebhook { id: row.id, handled: false, operation: None, variant: row.variant });
    }
    let row = sqlx::query!(
        "/* webhook_again */ SELECT id, variant, operation_id, status IN ('processed', 'ignored', 'failed') AS \"handled!\"
         FROM webhook_events WHERE provider = $1 AND event_key = $2 AND body_hash = $3",
        provider,
        event.event_key,
        hash.as_bytes().as_slice(),
    )
    .fetch_one(connection)
    .await?;
    let operation = row.operation_id.map(OperationId::from_uuid);
    Ok(ReceivedWebhook { id: row.id, handled: row.handled, operation, variant: row.variant })
}
