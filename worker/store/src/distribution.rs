//! Turning a distribution into payouts, and seeing how they ended. One transaction divides: parts,
//! payouts and the event are there together or not at all, so a crash leaves nothing half done.

use std::collections::BTreeMap;

use payfleet_core::kinds::distribution::{Distribution, Holder};
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::payout::Origin;
use payfleet_core::kinds::{NewOperation, Request};
use payfleet_core::{Money, OperationId};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::children::insert_children;
use crate::holders::Holders;
use crate::record::Next;
use crate::write::{Draft, JobRef, apply_event, lock_version, save_operation};
use crate::{Claimed, Store, StoreError};

/// How long a divided operation waits before it looks at its payouts for the first time.
const FIRST_LOOK_MS: u64 = 5_000;

/// How dividing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Divided {
    /// These payouts or transfers were made; they are due at once.
    Into(Vec<OperationId>),
    /// Not all holders are known yet. Nothing was changed.
    Waits {
        /// How many are.
        have: usize,
        /// How many there are.
        of: usize,
    },
    /// Our own rules forbid it. Nothing was changed.
    Refused {
        /// Which rule.
        reason: String,
    },
}

/// How the payouts of a distribution stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// What was paid.
    pub moved: Decimal,
    /// How many were.
    pub settled: u32,
    /// How many failed or came back.
    pub failed: u32,
    /// How many are under way.
    pub live: u32,
}

struct Dividing<'a> {
    claimed: &'a Claimed,
    job: &'a JobRef,
    parts: &'a [Part<'a>],
    of: &'a Distribution,
    minimum: Decimal,
}

/// One holder and what of this revenue is theirs.
struct Part<'a> {
    holder: &'a Holder,
    amount: Decimal,
}

/// How the transaction ended.
enum Division {
    Done { made: Vec<OperationId> },
    HadTheirs { holder: String },
}

impl Store {
    /// Writes each holder's part and makes the payouts, all under the claim.
    ///
    /// # Errors
    /// [`StoreError::LostRace`] where somebody else has claimed the operation, [`StoreError::EventsWait`]
    /// where something has come for it since. Where the commit's outcome is unknown, the next claim finds
    /// it done or not.
    pub async fn divide(&self, claimed: &mut Claimed, job: &JobRef) -> Result<Divided, StoreError> {
        let Request::Distribution(of) = claimed.operation.request.clone() else {
            return Ok(Divided::Refused { reason: "it is nothing that can be divided".to_owned() });
        };
        let holders = match self.holders(claimed.operation.id, &of).await? {
            Holders::All(holders) => holders,
            Holders::Some { have, of } => return Ok(Divided::Waits { have, of }),
            Holders::Wrong { reason } => return Ok(Divided::Refused { reason }),
        };
        let amounts = match of.parts(&holders) {
            Ok(amounts) => amounts,
            Err(error) => return Ok(Divided::Refused { reason: error.to_string() }),
        };
        let parts: Vec<Part<'_>> =
            holders.iter().zip(amounts).map(|(holder, amount)| Part { holder, amount }).collect();
        let minimum = of.minimum();
        let dividing = Dividing { claimed, job, parts: &parts, of: &of, minimum };
        let division = self.transaction("divide", &dividing, |c, d| Box::pin(divide(c, d))).await?;
        let made = match division {
            Division::Done { made } => made,
            Division::HadTheirs { holder } => {
                let reason = format!(
                    "{holder:?} has had a part of {} in period {}; what of it could not be paid is carried over to \
                     the next",
                    of.asset_id, of.period
                );
                return Ok(Divided::Refused { reason });
            }
        };
        let event = divided(parts.len(), made.len());
        claimed.operation.state = claimed.operation.apply(&event)?.state;
        claimed.version = claimed.version.saturating_add(1);
        claimed.events_wait = false;
        Ok(Divided::Into(made))
    }

    /// How the payouts of a distribution stand.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn gather(&self, distribution: OperationId) -> Result<Gathered, StoreError> {
        let rows = sqlx::query!(
            "/* distribution_gather */ SELECT o.state, count(*) AS \"count!\", sum(p.amount + p.carried_in) AS \"sum!\"
             FROM distribution_parts p JOIN operations o ON o.id = p.payout_id
             WHERE p.distribution_id = $1 GROUP BY o.state",
            distribution.as_uuid(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut gathered = Gathered { moved: Decimal::ZERO, settled: 0, failed: 0, live: 0 };
        for row in rows {
            let count = u32::try_from(row.count).unwrap_or(u32::MAX);
            match row.state.as_str() {
                "settled" => {
                    gathered.settled = gathered.settled.saturating_add(count);
                    gathered.moved = gathered.moved.saturating_add(row.sum);
                }
                "failed" | "returned" => gathered.failed = gathered.failed.saturating_add(count),
                _ => gathered.live = gathered.live.saturating_add(count),
            }
        }
        Ok(gathered)
    }
}

fn divided(parts: usize, paid: usize) -> Event {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Event::Divided { parts: count(parts), paid: count(paid) }
}

async fn divide(connection: &mut PgConnection, dividing: &Dividing<'_>) -> Result<Division, StoreError> {
    let Dividing { claimed, job, parts, of, minimum } = dividing;
    lock_version(connection, claimed.operation.id, claimed.version).await?;
    one_at_a_time(connection, dividing).await?;
    if let Some(holder) = had_theirs(connection, dividing).await? {
        return Ok(Division::HadTheirs { holder });
    }
    let carried = take_over(connection, dividing).await?;
    let mut payouts = Vec::with_capacity(parts.len());
    for part in *parts {
        let carried = carried.get(&part.holder.holder).copied().unwrap_or_default();
        let due = part.amount.saturating_add(carried);
        if due.is_zero() || due < *minimum {
            payouts.push(None);
            continue;
        }
        let money = Money::new(due, of.money.asset()).map_err(|error| StoreError::Corrupt {
            table: "distribution_parts",
            column: "carried_in",
            id: claimed.operation.id.to_string(),
            why: error.to_string(),
        })?;
        payouts.push(Some(payout(claimed, of, part.holder, money)));
    }
    let ordered: Vec<&NewOperation> = payouts.iter().flatten().collect();
    insert_children(connection, &ordered, job).await?;
    let made: Vec<Option<OperationId>> =
        payouts.iter().map(|payout| payout.as_ref().map(NewOperation::id)).collect();
    insert_parts(connection, dividing, &carried, &made).await?;
    let made: Vec<OperationId> = made.into_iter().flatten().collect();
    let mut operation = claimed.operation.clone();
    let mut draft = Draft::after(claimed.version, job);
    apply_event(connection, &mut operation, &mut draft, &divided(parts.len(), made.len())).await?;
    let next = Next::After { ms: FIRST_LOOK_MS };
    // It may be the client's word that nothing is to be paid.
    if save_operation(connection, &operation, claimed.version, &draft, &next).await? {
        return Err(StoreError::EventsWait { id: operation.id });
    }
    Ok(Division::Done { made })
}

/// The payout of one part. Its key names the holder, so that it is the same however often it is made.
fn payout(claimed: &Claimed, of: &Distribution, holder: &Holder, money: Money) -> NewOperation {
    let operation = &claimed.operation;
    let reference = format!("distribution of {} for {}", of.asset_id, of.period);
    let origin = Origin::Distribution { distribution: operation.id };
    NewOperation {
        tenant: operation.tenant.clone(),
        idempotency_key: format!("distribution:{}:{}", operation.id, holder.holder),
        account: operation.account.clone(),
        request: holder.to.paid(money, reference, origin),
    }
}

/// Distributions of one asset and period wait for each other, so that they see each other's parts.
async fn one_at_a_time(connection: &mut PgConnection, dividing: &Dividing<'_>) -> Result<(), StoreError> {
    let tenant = dividing.claimed.operation.tenant.as_str();
    let of = format!("{tenant}\n{}\n{}", dividing.of.asset_id, dividing.of.period);
    sqlx::query!(
        "/* distribution_lock */ SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS \"locked!: ()\"",
        of
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A holder who has had a part in this period, if there is one.
async fn had_theirs(
    connection: &mut PgConnection,
    dividing: &Dividing<'_>,
) -> Result<Option<String>, StoreError> {
    let holders: Vec<String> = dividing.parts.iter().map(|part| part.holder.holder.clone()).collect();
    Ok(sqlx::query_scalar!(
        "/* distribution_had */ SELECT holder FROM distribution_parts
         WHERE tenant = $1 AND asset_id = $2 AND period = $3 AND holder = ANY($4) LIMIT 1",
        dividing.claimed.operation.tenant.as_str(),
        dividing.of.asset_id,
        dividing.of.period,
        &holders,
    )
    .fetch_optional(connection)
    .await?)
}

/// What the holders have left from earlier parts, which were too little or could not be paid, taken over
/// by this distribution.
async fn take_over(
    connection: &mut PgConnection,
    dividing: &Dividing<'_>,
) -> Result<BTreeMap<String, Decimal>, StoreError> {
    let holders: Vec<String> = dividing.parts.iter().map(|part| part.holder.holder.clone()).collect();
    let rows = sqlx::query!(
        "/* distribution_take_over */ UPDATE distribution_parts SET carried_to = $1
         WHERE tenant = $2 AND asset_id = $3 AND unit = $4 AND holder = ANY($5)
           AND (payout_id IS NULL OR unpaid) AND carried_to IS NULL
         RETURNING holder, amount + carried_in AS \"left!\"",
        dividing.claimed.operation.id.as_uuid(),
        dividing.claimed.operation.tenant.as_str(),
        dividing.of.asset_id,
        dividing.of.money.asset().code(),
        &holders,
    )
    .fetch_all(connection)
    .await?;
    let mut carried: BTreeMap<String, Decimal> = BTreeMap::new();
    for row in rows {
        let sum = carried.entry(row.holder).or_default();
        *sum = sum.saturating_add(row.left);
    }
    Ok(carried)
}

/// The part that this payout was to pay is left to its holder, whose next part takes it over.
pub(crate) async fn leave_unpaid(
    connection: &mut PgConnection,
    payout: OperationId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* distribution_unpaid */ UPDATE distribution_parts SET unpaid = true WHERE payout_id = $1",
        payout.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[expect(clippy::as_conversions, reason = "how sqlx is told of an array of optional values")]
async fn insert_parts(
    connection: &mut PgConnection,
    dividing: &Dividing<'_>,
    carried: &BTreeMap<String, Decimal>,
    payouts: &[Option<OperationId>],
) -> Result<(), StoreError> {
    let parts = dividing.parts;
    let holders: Vec<String> = parts.iter().map(|part| part.holder.holder.clone()).collect();
    let amounts: Vec<Decimal> = parts.iter().map(|part| part.amount).collect();
    let carried: Vec<Decimal> =
        holders.iter().map(|holder| carried.get(holder).copied().unwrap_or_default()).collect();
    let payouts: Vec<Option<uuid::Uuid>> =
        payouts.iter().map(|payout| payout.map(|id| id.as_uuid())).collect();
    sqlx::query!(
        "/* distribution_parts_insert */ INSERT INTO distribution_parts
             (distribution_id, tenant, asset_id, period, unit, holder, amount, carried_in, payout_id)
         SELECT $1, $2, $3, $4, $5, part.holder, part.amount, part.carried_in, part.payout_id
         FROM UNNEST($6::text[], $7::numeric[], $8::numeric[], $9::uuid[])
             AS part (holder, amount, carried_in, payout_id)",
        dividing.claimed.operation.id.as_uuid(),
        dividing.claimed.operation.tenant.as_str(),
        dividing.of.asset_id,
        dividing.of.period,
        dividing.of.money.asset().code(),
        &holders,
        &amounts,
        &carried,
        &payouts as &[Option<uuid::Uuid>],
    )
    .execute(connection)
    .await?;
    Ok(())
}
