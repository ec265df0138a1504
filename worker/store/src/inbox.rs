//! The inbox: events reach an operation here, whoever brings them, and are applied by the job that
//! advances it. Storing one wakes the operation.

use payfleet_core::OperationId;
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::provider::{CallOutcome, DoubtPolicy, Provider};
use payfleet_core::{AccountId, TenantId};
use sqlx::PgConnection;

use crate::operation_row::{kind, tenant, to_json};
use crate::{Claimed, Store, StoreError};

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
    /// Stored. A call is under way: whoever makes it looks into the inbox when it has ended, and
    /// claiming the operation from under it would only make doubt out of an answer that is coming.
    DuringCall(Woken),
    /// It was there already, and the operation's next wake-up with it. Waking again is harmless, and
    /// quicker where the first waker died.
    Repeated(Woken),
    /// There is no such operation.
    Unknown,
}

struct Delivery<'a> {
    id: OperationId,
    event_key: &'a str,
    event: &'a Event,
}

/// The answer of a call whose claim has passed on.
struct LateAnswer<'a> {
    claimed: &'a Claimed,
    intent: i32,
    outcome: &'a CallOutcome,
    doubt: DoubtPolicy,
}

/// An operation whose row is locked.
pub(crate) struct Locked {
    woken: Woken,
    state: String,
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

    /// Keeps the outcome of a call or probe of `intent` whose claim, `claimed`, has passed on, and wakes the
    /// operation. It changes no state and no ledger by itself. `doubt` is how doubt about it is resolved.
    ///
    /// # Errors
    /// [`StoreError`]; trying again is always right.
    pub async fn keep_evidence(
        &self,
        claimed: &Claimed,
        intent: i32,
        outcome: &CallOutcome,
        doubt: DoubtPolicy,
    ) -> Result<(), StoreError> {
        let late = LateAnswer { claimed, intent, outcome, doubt };
        self.transaction("keep_evidence", &late, |connection, late| Box::pin(keep(connection, late))).await
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
    match lock(connection, delivery.id).await? {
        Some(locked) => put(connection, locked, delivery.event_key, delivery.event).await,
        None => Ok(Delivered::Unknown),
    }
}

async fn keep(connection: &mut PgConnection, late: &LateAnswer<'_>) -> Result<(), StoreError> {
    let id = late.claimed.operation.id;
    let Some(locked) = lock(connection, id).await? else { return Ok(()) };
    let (intent, held) = (late.intent, late.claimed.version);
    let decides = late.doubt == DoubtPolicy::Operator && was_last(connection, late).await?;
    let event = Event::Evidence { intent, outcome: late.outcome.clone(), decides };
    let event_key = format!("evidence:{intent}:{held}");
    put(connection, locked, &event_key, &event).await?;
    Ok(())
}

/// Whether the intent was not sent again after this call. One that was sent again and refused with "slow
/// down" counts as not sent, and rightly so: that had no effect.
async fn was_last(connection: &mut PgConnection, late: &LateAnswer<'_>) -> Result<bool, StoreError> {
    let attempts = late.claimed.intent.as_ref().map(|intent| intent.attempts);
    let was_last = sqlx::query_scalar!(
        "/* intent_not_sent_again */ SELECT true AS \"was_last!\" FROM intents
         WHERE operation_id = $1 AND number = $2 AND attempts = $3 AND closed_at IS NULL",
        late.claimed.operation.id.as_uuid(),
        late.intent,
        attempts,
    )
    .fetch_optional(connection)
    .await?;
    Ok(was_last.unwrap_or(false))
}

/// The row is locked first, as every writer does: a call's outcome is written before this, and then the
/// state has moved on, or after, and then its writer sees the event.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    id: OperationId,
) -> Result<Option<Locked>, StoreError> {
    let row = sqlx::query!(
        "/* operation_lock_inbox */ SELECT kind, tenant, version, state FROM operations WHERE id = $1 FOR UPDATE",
        id.as_uuid(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    row.map(|row| {
        let (kind, tenant) = (kind(&id, &row.kind)?, tenant(&id, row.tenant)?);
        Ok(Locked { woken: Woken { id, kind, tenant, version: row.version }, state: row.state })
    })
    .transpose()
}

/// Stores an event of an operation that is locked, once under its key, and makes the operation due.
pub(crate) async fn put(
    connection: &mut PgConnection,
    locked: Locked,
    event_key: &str,
    event: &Event,
) -> Result<Delivered, StoreError> {
    let Locked { woken, state } = locked;
    let id = woken.id;
    let stored = sqlx::query!(
        "/* inbox_insert */ INSERT INTO inbox (operation_id, event_key, event) VALUES ($1, $2, $3)
         ON CONFLICT ON CONSTRAINT inbox_once DO NOTHING",
        id.as_uuid(),
        event_key,
        to_json(event),
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if stored == 0 {
        return Ok(Delivered::Repeated(woken));
    }
    if state == "submitting" {
        return Ok(Delivered::DuringCall(woken));
    }
    // The provider's own late answer, and a person's word, are worth waking what waits for a person.
    let unparks =
        matches!(event, Event::Evidence { .. } | Event::ConfirmedByHand { .. } | Event::DeniedByHand { .. });
    sqlx::query!(
        "/* operation_wake */ UPDATE operations
         SET next_wake_at = CASE WHEN parked IS NULL OR $2 THEN now() END,
             parked = CASE WHEN NOT $2 THEN parked END,
             parked_reason = CASE WHEN NOT $2 THEN parked_reason END
         WHERE id = $1",
        id.as_uuid(),
        unparks,
    )
    .execute(connection)
    .await?;
    Ok(Delivered::New(woken))
}
