//! Payout schedules at their moments: what is owed is read, its payout is made, and the moment is dealt
//! with, in one transaction under the claim. So a moment pays at most once, whoever dies.

use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::payout::{Origin, Payout};
use payfleet_core::kinds::payout_schedule::PayoutSchedule;
use payfleet_core::kinds::{NewOperation, Request};
use payfleet_core::{Money, OperationId, Timestamp};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::children::insert_children;
use crate::record::Next;
use crate::write::{Draft, JobRef, apply_event, lock_version, save_operation};
use crate::{Claimed, Store, StoreError};

/// What time it is for a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleClock {
    /// By Postgres.
    pub now: Timestamp,
    /// Up to when its moments have been dealt with; `None` where it has not begun.
    pub ticked_at: Option<Timestamp>,
}

struct Ticking<'a> {
    claimed: &'a Claimed,
    job: &'a JobRef,
    of: &'a PayoutSchedule,
    at: Timestamp,
    next: &'a Next,
}

/// What the transaction did.
struct Ticked {
    event: Option<Event>,
    payout: Option<OperationId>,
}

impl Store {
    /// What time it is for a schedule.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn schedule_clock(&self, schedule: OperationId) -> Result<ScheduleClock, StoreError> {
        let row = sqlx::query!(
            "/* schedule_clock */ SELECT now() AS \"now!\",
                 (SELECT ticked_at FROM payout_schedules WHERE operation_id = $1) AS ticked_at",
            schedule.as_uuid(),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(ScheduleClock { now: row.now.into(), ticked_at: row.ticked_at.map(Timestamp::from) })
    }

    /// Deals with the schedule's moments up to `at`: makes the payout of what is owed then, if there is
    /// enough, and answers which it is. The first time it only begins. Afterwards it is woken by `next`.
    ///
    /// # Errors
    /// [`StoreError::LostRace`] where somebody else has claimed the schedule, [`StoreError::EventsWait`]
    /// where something has come for it since. Where the commit's outcome is unknown, the next claim finds
    /// the moment dealt with or not.
    pub async fn tick(
        &self,
        claimed: &mut Claimed,
        job: &JobRef,
        at: Timestamp,
        next: &Next,
    ) -> Result<Option<OperationId>, StoreError> {
        let Request::PayoutSchedule(of) = claimed.operation.request.clone() else { return Ok(None) };
        let ticking = Ticking { claimed, job, of: &of, at, next };
        let Ticked { event, payout } =
            self.transaction("tick", &ticking, |c, ticking| Box::pin(tick(c, ticking))).await?;
        if let Some(event) = event {
            claimed.operation.state = claimed.operation.apply(&event)?.state;
        }
        claimed.version = claimed.version.saturating_add(1);
        claimed.events_wait = false;
        Ok(payout)
    }
}

async fn tick(connection: &mut PgConnection, ticking: &Ticking<'_>) -> Result<Ticked, StoreError> {
    let Ticking { claimed, job, of, at, next } = ticking;
    let id = claimed.operation.id;
    lock_version(connection, id, claimed.version).await?;
    let has_begun = deal_with(connection, id, *at).await?;
    let due = if has_begun { due(connection, claimed, of).await? } else { None };
    let payout = due.map(|money| payout(claimed, of, *at, money));
    if let Some(payout) = &payout {
        insert_children(connection, &[payout], job).await?;
    }
    let mut operation = claimed.operation.clone();
    let mut draft = Draft::after(claimed.version, job);
    // A moment that pays nothing is no event: most of them are none.
    let event = (due.is_some() || !has_begun).then_some(Event::Ticked { at: *at, paid: due });
    if let Some(event) = &event {
        apply_event(connection, &mut operation, &mut draft, event).await?;
    }
    // It may be the client's word that nothing more is to be paid.
    if save_operation(connection, &operation, claimed.version, &draft, next).await? {
        return Err(StoreError::EventsWait { id });
    }
    Ok(Ticked { event, payout: payout.map(|payout| payout.id()) })
}

/// Notes that moments up to `at` are dealt with, and answers whether the schedule had begun before.
async fn deal_with(
    connection: &mut PgConnection,
    schedule: OperationId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let at = OffsetDateTime::from(at);
    let updated = sqlx::query!(
        "/* schedule_tick */ UPDATE payout_schedules SET ticked_at = $2 WHERE operation_id = $1",
        schedule.as_uuid(),
        at,
    )
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() == 1 {
        return Ok(true);
    }
    sqlx::query!(
        "/* schedule_begin */ INSERT INTO payout_schedules (operation_id, ticked_at) VALUES ($1, $2)",
        schedule.as_uuid(),
        at,
    )
    .execute(connection)
    .await?;
    Ok(false)
}

/// What is owed and not paid or being paid already. A payout that failed or came back pays nothing.
async fn due(
    connection: &mut PgConnection,
    claimed: &Claimed,
    of: &PayoutSchedule,
) -> Result<Option<Money>, StoreError> {
    let taken = sqlx::query_scalar!(
        "/* schedule_taken */ SELECT COALESCE(sum(amount), 0) AS \"taken!\" FROM operations
         WHERE origin_id = $1 AND state NOT IN ('failed', 'returned')",
        claimed.operation.id.as_uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(of.due(claimed.operation.owed_so_far(), taken))
}

/// The payout of one moment. Its key names the moment, so that it is the same however often it is made.
fn payout(claimed: &Claimed, of: &PayoutSchedule, at: Timestamp, money: Money) -> NewOperation {
    let operation = &claimed.operation;
    let origin = Origin::Scheduled { schedule: operation.id };
    NewOperation {
        tenant: operation.tenant.clone(),
        idempotency_key: format!("schedule:{}:{}", operation.id, at.unix_ms()),
        account: operation.account.clone(),
        request: Request::Payout(Payout {
            money,
            to: of.to.clone(),
            reference: of.reference.clone(),
            origin,
        }),
    }
}
