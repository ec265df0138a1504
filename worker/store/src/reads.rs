//! What others read: one operation whole, and counts.

use payfleet_core::kinds::lifecycle::{Operation, State};
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_core::provider::Effect;
use payfleet_core::{AccountId, OperationId, TenantId, Timestamp};
use serde::Serialize;
use sqlx::Row;

use crate::operation_row::{OperationRow, kind};
use crate::{Store, StoreError};

/// An operation as it is shown.
#[derive(Clone, Debug)]
pub struct OperationView {
    /// Which one.
    pub id: OperationId,
    /// Its kind.
    pub kind: OperationKind,
    /// Whose it is.
    pub tenant: TenantId,
    /// Our account at the provider.
    pub account: AccountId,
    /// The client's name for its request.
    pub idempotency_key: String,
    /// What was asked.
    pub request: Request,
    /// How far it has come.
    pub state: State,
    /// Its version.
    pub version: i64,
    /// The provider's id of it, once the provider has answered.
    pub provider_ref: Option<String>,
    /// The provider's id of what it builds on, once that is known.
    pub on: Option<String>,
    /// Why it stands still, by name, if it does.
    pub parked: Option<String>,
    /// Why it stands still, in words.
    pub parked_reason: Option<String>,
    /// When its row was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How many operations are in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationCount {
    /// The kind.
    pub kind: String,
    /// The state.
    pub state: String,
    /// Of these, how many.
    pub count: i64,
}

/// How many webhooks of a provider have a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookCount {
    /// The provider.
    pub provider: String,
    /// The status.
    pub status: String,
    /// Of these, how many.
    pub count: i64,
}

impl OperationView {
    /// The call that carries it out.
    #[must_use]
    pub fn effect(&self) -> Effect {
        Effect { asked: self.request.clone(), on: self.on.clone() }
    }
}

impl Store {
    /// One operation.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or the row contradicts the model.
    pub async fn operation(&self, id: OperationId) -> Result<Option<OperationView>, StoreError> {
        let Some(row) = sqlx::query!(
            "/* operation_view */ SELECT o.id, o.tenant, o.kind, o.account, o.idempotency_key, o.request, o.state_data, o.version,
                 o.provider_ref, subject.provider_ref AS \"on?\", o.parked, o.parked_reason, o.created_at, o.updated_at
             FROM operations o LEFT JOIN operations subject ON subject.id = o.subject_id
             WHERE o.id = $1",
            id.as_uuid(),
        )
        .fetch_optional(&self.pool)
        .await?
        else {
            return Ok(None);
        };
        let operation = Operation::try_from(OperationRow {
            id: row.id,
            tenant: row.tenant,
            account: row.account,
            request: row.request,
            state_data: row.state_data,
        })?;
        Ok(Some(OperationView {
            id,
            kind: kind(&id, &row.kind)?,
            tenant: operation.tenant,
            account: operation.account,
            idempotency_key: row.idempotency_key,
            request: operation.request,
            state: operation.state,
            version: row.version,
            provider_ref: row.provider_ref,
            on: row.on,
            parked: row.parked,
            parked_reason: row.parked_reason,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }))
    }

    /// How many operations there are, by kind and state.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn operation_counts(&self) -> Result<Vec<OperationCount>, StoreError> {
        Ok(sqlx::query_as!(
            OperationCount,
            "/* operation_counts */ SELECT kind, state, count(*) AS \"count!\"
             FROM operations GROUP BY kind, state ORDER BY kind, state",
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// How many webhooks there are, by provider and status.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn webhook_counts(&self) -> Result<Vec<WebhookCount>, StoreError> {
        Ok(sqlx::query_as!(
            WebhookCount,
            "/* webhook_counts */ SELECT provider, status, count(*) AS \"count!\"
             FROM webhook_events GROUP BY provider, status ORDER BY provider, status",
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Operations that are neither final nor parked and have nothing that will wake them. Always
    /// zero: each would be lost.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn forgotten(&self) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "/* operations_forgotten */ SELECT count(*) AS forgotten FROM operations
             WHERE next_wake_at IS NULL AND parked IS NULL AND state NOT IN ('settled', 'returned', 'failed')",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get("forgotten")?)
    }

    /// Discrepancies that nobody has resolved.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn open_discrepancies(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            "/* discrepancies_open */ SELECT count(*) AS \"count!\" FROM discrepancies WHERE resolved_at IS NULL",
        )
        .fetch_one(&self.pool)
        .await?)
    }
}
