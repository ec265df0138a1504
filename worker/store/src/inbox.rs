//! The inbox: events reach an operation here, whoever brings them, and are applied by the job that
//! advances it. Storing one wakes the operation.

use payfleet_core::OperationId;
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, TenantId};
use sqlx::PgConnection;

use crate::operation_row::{kind, tenant, to_json};
use crate::{Store, StoreError};

/// An operation that has an event waiting.
#[derive(Clone, Debug)]
pub struct Woken {
    /// Which one.
    pub id: OperationId,
    /// Its kind: in which queue its job belongs.
    pub kind: OperationKind,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its version when the event was stored.
    pub version: i64,
}

/// How a delivery ended.
#[derive(Clone, Debug)]
pub enum Delivered {
    /// Stored; the operation must be woken.
    New(Woken),
    /// It was there already. Waking again is harmless, and needed where the first waker died.
    Repeated(Woken),
    /// There is no such operation.
    Unknown,
}

struct Delivery<'a> {
    id: OperationId,
    event_key: &'a str,
    event: &'a Event,
}

impl Store {
    /// Stores `event` once under `event_key` and makes the operation due.
    ///
    /// # Errors
    /// [`StoreError`]; delivering again is always right.
    pub async fn deliver(
        &self,
        id: OperationId,
        event_key: &str,
        event: &Event,
    ) -> Result<Delivered, StoreError> {
        let delivery = Delivery { id, event_key, event };
        self.transaction("deliver", &delivery, |connection, delivery| Box::pin(deliver(connection, delivery)))
            .await
    }

    /// The operations that a provider's event can be about: by our reference, else by the
    /// provider's id. More than one is a contradiction for a person.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn find_by_reference(
        &self,
        provider: Provider,
        account: &AccountId,
        our_reference: Option<&str>,
        provider_ref: Option<&str>,
    ) -> Result<Vec<OperationId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "/* operations_by_reference */
             SELECT operation_id AS \"id!\" FROM intents WHERE provider = $1 AND account = $2 AND reference = $3
             UNION
             SELECT id FROM operations WHERE provider = $1 AND account = $2 AND provider_ref = $4
             LIMIT 2",
            provider.as_str(),
            account.as_str(),
            our_reference,
            provider_ref,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(OperationId::from_uuid).collect())
    }
}

async fn deliver(connection: &mut PgConnection, delivery: &Delivery<'_>) -> Result<Delivered, StoreError> {
    let id = delivery.id;
    // Locked first, as a claim does, so that a claim sees the event or leaves the wake-up to us.
    let Some(row) = sqlx::query!(
        "/* operation_wake */ UPDATE operations
         SET next_wake_at = CASE WHEN parked IS NULL THEN now() END
         WHERE id = $1 RETURNING kind, tenant, version",
        id.as_uuid(),
    )
    .fetch_optional(&mut *connection)
    .await?
    else {
        return Ok(Delivered::Unknown);
    };
    let stored = sqlx::query!(
        "/* inbox_insert */ INSERT INTO inbox (operation_id, event_key, event) VALUES ($1, $2, $3)
         ON CONFLICT ON CONSTRAINT inbox_once DO NOTHING",
        id.as_uuid(),
        delivery.event_key,
        to_json(delivery.event),
    )
    .execute(connection)
    .await?
    .rows_affected();
    let woken =
        Woken { id, kind: kind(&id, &row.kind)?, tenant: tenant(&id, row.tenant)?, version: row.version };
    Ok(if stored == 1 { Delivered::New(woken) } else { Delivered::Repeated(woken) })
}
