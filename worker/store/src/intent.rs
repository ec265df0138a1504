//! Transaction 1: the intent is committed before the provider is called, so that whatever happens
//! during the call, the next claimer knows that it may have had its effect.

use std::time::Duration;

use payfleet_core::ids::RequestHash;
use payfleet_core::kinds::lifecycle::{Event, Operation};
use payfleet_core::kinds::{NewOperation, Reservation};
use payfleet_core::provider::Action;
use payfleet_core::{OperationId, ProviderKey};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::claim::made;
use crate::record::Next;
use crate::write::{Draft, JobRef, apply_event, insert_operation, lock_version, save_operation};
use crate::{Claimed, OpenIntent, Store, StoreError};

/// How long a call is left alone by all but the job it is made for: it leaves within a minute of its
/// claim, and takes half of one. Then the rescuer makes a job that resolves it.
pub(crate) const CALL_PATIENCE_MS: u64 = 90_000;

/// How long an unanswered commit is asked about, in seconds.
const PATIENCE_S: u32 = 60;

/// What is about to be asked of a provider.
#[derive(Clone, Debug)]
pub struct NewIntent {
    /// Its number; the same as before where a proven non-effect is tried again.
    pub number: i32,
    /// What it does there.
    pub action: Action,
    /// Its key.
    pub key: ProviderKey,
    /// The key as the provider takes it.
    pub reference: String,
    /// SHA-256 of the effect.
    pub request_hash: RequestHash,
    /// What must be set aside for it.
    pub reservation: Option<Reservation>,
}

/// How opening an intent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Committed: the call may be made.
    Open,
    /// There is not enough left to set aside. Nothing was changed.
    TooLittleLeft {
        /// How much is, in the pool's unit.
        left: Decimal,
    },
}

struct Opening<'a> {
    claimed: &'a Claimed,
    intent: &'a NewIntent,
    job: &'a JobRef,
}

struct Beginning<'a> {
    id: OperationId,
    first: &'a NewOperation,
    intent: &'a NewIntent,
    job: &'a JobRef,
}

impl OpenIntent {
    /// One that was opened a moment ago, by us.
    fn fresh(intent: &NewIntent) -> Self {
        Self {
            number: intent.number,
            key: intent.key.clone(),
            age_ms: 0,
            opened_at: None,
            attempts: 1,
            probes: 0,
            key_is_spent: false,
        }
    }
}

impl Store {
    /// Saves the intent and moves `claimed` on to it.
    ///
    /// # Errors
    /// [`StoreError::LostRace`] where somebody else has claimed the operation;
    /// [`StoreError::EventsWait`] where something has come for it since. Where the commit's
    /// outcome is unknown it is read back; only if that fails too, [`StoreError::UnknownCommit`]:
    /// the call must not be made then.
    pub async fn open_intent(
        &self,
        claimed: &mut Claimed,
        intent: &NewIntent,
        job: &JobRef,
    ) -> Result<Opened, StoreError> {
        let opening = Opening { claimed, intent, job };
        let result = self.transaction("open_intent", &opening, |c, opening| Box::pin(open(c, opening))).await;
        let version = claimed.version.saturating_add(1);
        let opened = match result {
            Err(StoreError::UnknownCommit { transaction }) => {
                let landed = self.landed(claimed.operation.id, version, "submitting").await?;
                if landed { Opened::Open } else { return Err(StoreError::UnknownCommit { transaction }) }
            }
            result => result?,
        };
        if opened == Opened::Open {
            let event = Event::IntentOpened { intent: intent.number };
            claimed.operation.state = claimed.operation.apply(&event)?.state;
            claimed.version = version;
            let fresh = OpenIntent::fresh(intent);
            claimed.intent = Some(match claimed.intent.take() {
                None => fresh,
                Some(known) => OpenIntent {
                    number: fresh.number,
                    key: fresh.key,
                    attempts: known.attempts.saturating_add(1),
                    ..known
                },
            });
        }
        Ok(opened)
    }

    /// Makes an operation, claims it and saves its first intent, all in one transaction: what takes two
    /// where it is claimed first. `None`, and nothing was written, where there is a row; it is to be
    /// claimed. Nothing is set aside for it, and it builds on no other operation.
    ///
    /// # Errors
    /// [`StoreError`]: the call must not be made then. Whoever claims the operation finds nothing, or an
    /// intent that may have been used.
    pub async fn begin(
        &self,
        id: OperationId,
        first: &NewOperation,
        intent: &NewIntent,
        job: &JobRef,
    ) -> Result<Option<Box<Claimed>>, StoreError> {
        let beginning = Beginning { id, first, intent, job };
        self.transaction("begin", &beginning, |c, beginning| Box::pin(begin(c, beginning))).await
    }

    /// Whether a write whose commit was not answered is there: only its writer can have made this
    /// state at this version. Waits for Postgres to come back, because the alternative is doubt about
    /// a call that was never made.
    pub(crate) async fn landed(
        &self,
        id: OperationId,
        version: i64,
        state: &str,
    ) -> Result<bool, StoreError> {
        let mut tries = 0;
        loop {
            match self.is_at(id, version, state).await {
                Err(error) if error.is_unavailable() && tries < PATIENCE_S => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                answer => return answer,
            }
        }
    }

    async fn is_at(&self, id: OperationId, version: i64, state: &str) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            "/* operation_landed */ SELECT true AS \"landed!\" FROM operations
             WHERE id = $1 AND version = $2 AND state = $3",
            id.as_uuid(),
            version,
            state,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.unwrap_or(false))
    }
}

async fn open(connection: &mut PgConnection, opening: &Opening<'_>) -> Result<Opened, StoreError> {
    let Opening { claimed, intent, job } = opening;
    let mut operation = claimed.operation.clone();
    let mut draft = Draft::after(claimed.version, job);
    if let Some(reservation) = &intent.reservation {
        // Every writer locks the row first. Without a pool the write of the row is all the lock it needs.
        lock_version(connection, claimed.operation.id, claimed.version).await?;
        if let Some(left) = reserve(connection, opening, reservation).await? {
            return Ok(Opened::TooLittleLeft { left });
        }
    }
    let event = Event::IntentOpened { intent: intent.number };
    apply_event(connection, &mut operation, &mut draft, &event).await?;
    let next = Next::After { ms: CALL_PATIENCE_MS };
    save_operation(connection, &operation, claimed.version, &draft, &next).await?;
    if save_intent(connection, &operation, intent).await? {
        Ok(Opened::Open)
    } else {
        Err(StoreError::EventsWait { id: operation.id })
    }
}

async fn begin(
    connection: &mut PgConnection,
    beginning: &Beginning<'_>,
) -> Result<Option<Box<Claimed>>, StoreError> {
    let Beginning { id, first, intent, job } = beginning;
    let mut operation = Operation::asked(*id, first);
    let mut draft = Draft::of_new(&operation.state, job);
    // The version of a claim, which leaves no history, and the one after it.
    draft.version = draft.version.saturating_add(1);
    let event = Event::IntentOpened { intent: intent.number };
    apply_event(connection, &mut operation, &mut draft, &event).await?;
    let key = first.idempotency_key.as_str();
    if !insert_operation(connection, &operation, key, &draft, CALL_PATIENCE_MS).await? {
        return Ok(None);
    }
    // Nothing can have come for what was not there.
    save_intent(connection, &operation, intent).await?;
    Ok(Some(made(operation, draft.version, Some(OpenIntent::fresh(intent)))))
}

/// Saves it, unless events wait. Nobody who decided on this call knew of what has come: it may be the
/// client's word that it is not wanted any more. Looked for here, where the row is locked and no statement
/// more is needed.
async fn save_intent(
    connection: &mut PgConnection,
    operation: &Operation,
    intent: &NewIntent,
) -> Result<bool, StoreError> {
    let saved = sqlx::query!(
        "/* intent_save */ INSERT INTO intents
             (operation_id, number, action, provider, account, provider_key, reference, request_hash, attempts)
         SELECT $1::uuid, $2::integer, $3::text, $4::text, $5::text, $6::text, $7::text, $8::bytea, 1
         WHERE NOT EXISTS (SELECT 1 FROM inbox WHERE operation_id = $1 AND applied_at IS NULL)
         ON CONFLICT (operation_id, number) DO UPDATE SET attempts = intents.attempts + 1",
        operation.id.as_uuid(),
        intent.number,
        intent.action.as_str(),
        operation.request.provider().as_str(),
        operation.account.as_str(),
        intent.key.as_str(),
        intent.reference,
        intent.request_hash.as_bytes().as_slice(),
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok(saved > 0)
}

/// Sets it aside, once per operation. The pool's row serialises those who draw on it.
async fn reserve(
    connection: &mut PgConnection,
    opening: &Opening<'_>,
    reservation: &Reservation,
) -> Result<Option<Decimal>, StoreError> {
    let operation = &opening.claimed.operation;
    let (tenant, provider, account) =
        (operation.tenant.as_str(), operation.request.provider().as_str(), operation.account.as_str());
    let pool = reservation.pool.as_str();
    sqlx::query!(
        "/* pool_ensure */ INSERT INTO pools (tenant, provider, account, pool, whole)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        tenant,
        provider,
        account,
        pool,
        reservation.whole,
    )
    .execute(&mut *connection)
    .await?;
    let held = sqlx::query_scalar!(
        "/* reservation_held */ SELECT true AS \"held!\" FROM reservations
         WHERE operation_id = $1 AND released_at IS NULL",
        operation.id.as_uuid(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    if held.is_some() {
        return Ok(None);
    }
    let taken = sqlx::query!(
        "/* pool_take */ UPDATE pools SET reserved = reserved + $5
         WHERE tenant = $1 AND provider = $2 AND account = $3 AND pool = $4 AND reserved + $5 <= whole",
        tenant,
        provider,
        account,
        pool,
        reservation.amount,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if taken == 0 {
        let left = sqlx::query_scalar!(
            "/* pool_left */ SELECT whole - reserved AS \"left!\" FROM pools
             WHERE tenant = $1 AND provider = $2 AND account = $3 AND pool = $4",
            tenant,
            provider,
            account,
            pool,
        )
        .fetch_one(&mut *connection)
        .await?;
        return Ok(Some(left));
    }
    sqlx::query!(
        "/* reservation_insert */ INSERT INTO reservations
             (operation_id, tenant, provider, account, pool, amount)
         VALUES ($1, $2, $3, $4, $5, $6)",
        operation.id.as_uuid(),
        tenant,
        provider,
        account,
        pool,
        reservation.amount,
    )
    .execute(connection)
    .await?;
    Ok(None)
}
