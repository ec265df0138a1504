//! Addresses of orders, and what is paid to them. A deposit is a fact about a chain; what it means for
//! its order is an event in that order's inbox.

use payfleet_core::address::Network;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::provider::Provider;
use payfleet_core::{Asset, Money, OperationId};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::inbox::{self, Delivered, Woken};
use crate::operation_row::clean;
use crate::webhooks::note_webhook;
use crate::{Claimed, Store, StoreError};

/// A transfer to an address of ours, as a webhook tells of it.
#[derive(Clone, Debug)]
pub struct SeenDeposit {
    /// On which chain.
    pub network: Network,
    /// In which transaction.
    pub transaction: String,
    /// Which of that transaction's transfers, where it is a token's.
    pub place: String,
    /// To which address, as [`Network::key_of`] writes it.
    pub address_key: String,
    /// How much of what.
    pub money: Money,
    /// Whether it is of the chain's own coin.
    pub is_coin: bool,
    /// In which block, where in any.
    pub block: Option<u64>,
}

impl SeenDeposit {
    /// What its order calls it.
    #[must_use]
    pub fn name(&self) -> String {
        let Self { transaction, place, .. } = self;
        if place.is_empty() { transaction.clone() } else { format!("{transaction}:{place}") }
    }

    /// The key of its event in the inbox of its order.
    #[must_use]
    pub fn event_key(&self) -> String {
        format!("deposited:{}:{}", self.network, self.name())
    }
}

/// A deposit that is not final yet.
#[derive(Clone, Debug)]
pub struct WaitingDeposit {
    /// What was seen.
    pub seen: SeenDeposit,
    /// Whose it is.
    pub operation: OperationId,
    /// For how long it has been known, in milliseconds.
    pub known_ms: i64,
    /// Whether another webhook told of another amount or asset: the first one's is in `seen`.
    pub told_otherwise: bool,
}

/// What a chain says of a deposit that does not count, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In this block, or in none.
    In(Option<u64>),
    /// It never took effect.
    Gone,
}

/// What counts of a deposit that is deep enough to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// How much of what.
    pub money: Money,
    /// Whether it is of the chain's own coin.
    pub is_coin: bool,
}

/// Says what counts of a deposit, by what of the same transaction and address counts already under other
/// names; `None` where nothing does.
pub type Judge<'a> = dyn Fn(&[Money]) -> Option<Counts> + Sync + 'a;

struct Final<'a> {
    deposit: &'a WaitingDeposit,
    judge: &'a Judge<'a>,
}

struct Allotment<'a> {
    id: OperationId,
    network: Network,
    derive: &'a (dyn Fn(u32) -> Result<String, String> + Sync),
}

impl Store {
    /// Allots the next address of `network` to a claimed order, once: asking again finds the first.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] where no address can be derived.
    pub async fn allot(
        &self,
        claimed: &mut Claimed,
        network: Network,
        derive: &(dyn Fn(u32) -> Result<String, String> + Sync),
    ) -> Result<(), StoreError> {
        let allotment = Allotment { id: claimed.operation.id, network, derive };
        let address = self.transaction("allot", &allotment, |c, a| Box::pin(allot(c, a))).await?;
        claimed.operation.address = Some(address);
        Ok(())
    }

    /// The order that an address was allotted to.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn order_at(
        &self,
        network: Network,
        address_key: &str,
    ) -> Result<Option<OperationId>, StoreError> {
        let id = sqlx::query_scalar!(
            "/* order_at */ SELECT operation_id FROM deposit_addresses WHERE network = $1 AND address_key = $2",
            network.as_str(),
            address_key,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(OperationId::from_uuid))
    }

    /// Writes down a transfer to an order's address. What is final stays final; what was gone waits for
    /// its chain anew.
    ///
    /// # Errors
    /// [`StoreError`]; writing it down again is always right.
    pub async fn see_deposit(&self, order: OperationId, seen: &SeenDeposit) -> Result<(), StoreError> {
        let one = [(order, seen, false)];
        self.transaction("see_deposit", &one.as_slice(), |c, one| Box::pin(see_deposits(c, one))).await
    }

    /// The chains on which deposits wait.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn networks_waiting(&self) -> Result<Vec<Network>, StoreError> {
        let names = sqlx::query_scalar!(
            "/* deposits_networks */ SELECT DISTINCT network FROM deposits WHERE status = 'seen'"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Up to `limit` deposits of a chain that are not final and may be: those in block `deepest` or below,
    /// then those in none; of each, those that were not looked at for longest first. A row that this
    /// version cannot read is left to another and said.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn due_deposits(
        &self,
        network: Network,
        deepest: u64,
        limit: i64,
    ) -> Result<Vec<WaitingDeposit>, StoreError> {
        let rows = sqlx::query!(
            "/* deposits_due */ SELECT transaction, place, address_key, operation_id, amount, asset, is_coin, block,
                 told_otherwise, (EXTRACT(EPOCH FROM now() - seen_at) * 1000)::bigint AS \"known_ms!\"
             FROM deposits WHERE network = $1 AND status = 'seen' AND (block <= $2 OR block IS NULL)
             ORDER BY block IS NULL, checked_at LIMIT $3",
            network.as_str(),
            i64::try_from(deepest).unwrap_or(i64::MAX),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let operation = OperationId::from_uuid(row.operation_id);
            let money = match money(&operation, row.amount, &row.asset) {
                Ok(money) => money,
                Err(error) => {
                    tracing::error!(operation.id = %operation, "A deposit is left to another version: {error}");
                    continue;
                }
            };
            let seen = SeenDeposit {
                network,
                transaction: row.transaction,
                place: row.place,
                address_key: row.address_key,
                money,
                is_coin: row.is_coin,
                block: row.block.and_then(|block| u64::try_from(block).ok()),
            };
            let (known_ms, told_otherwise) = (row.known_ms, row.told_otherwise);
            due.push(WaitingDeposit { seen, operation, known_ms, told_otherwise });
        }
        Ok(due)
    }

    /// Writes down what the chain says of a deposit that does not count, or not yet.
    ///
    /// # Errors
    /// [`StoreError`]; writing it down again is always right.
    pub async fn mark_deposit(&self, seen: &SeenDeposit, standing: Standing) -> Result<(), StoreError> {
        let (status, block) = match standing {
            Standing::In(block) => ("seen", block),
            Standing::Gone => ("gone", None),
        };
        sqlx::query!(
            "/* deposit_mark */ UPDATE deposits SET status = $5, block = $6, checked_at = now()
             WHERE network = $1 AND transaction = $2 AND place = $3 AND address_key = $4 AND status = 'seen'",
            seen.network.as_str(),
            seen.transaction,
            seen.place,
            seen.address_key,
            status,
            block.and_then(|block| i64::try_from(block).ok()),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Has a deposit that is deep enough to stay count once: it is final, and into the inbox of its order,
    /// which is answered where it must be woken. `judge` is asked while the order is locked, so looks that
    /// meet do not both count one transfer that was told under two names. Where it is other money than was
    /// told, a person is shown that; where it is none, the deposit is gone.
    ///
    /// # Errors
    /// [`StoreError`]; trying again is always right.
    pub async fn count_deposit(
        &self,
        deposit: &WaitingDeposit,
        judge: &Judge<'_>,
    ) -> Result<Option<Woken>, StoreError> {
        let last = Final { deposit, judge };
        self.transaction("count_deposit", &last, |c, last| Box::pin(count_deposit(c, last))).await
    }

    /// Whether an order has deposits that may still become final.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn has_waiting_deposits(&self, order: OperationId) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            "/* deposits_of_order */ SELECT true AS \"waits!\" FROM deposits
             WHERE operation_id = $1 AND status = 'seen' LIMIT 1",
            order.as_uuid(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.unwrap_or(false))
    }
}

async fn count_deposit(connection: &mut PgConnection, last: &Final<'_>) -> Result<Option<Woken>, StoreError> {
    let WaitingDeposit { seen, operation, .. } = last.deposit;
    let Some(order) = inbox::lock(connection, *operation).await? else { return Ok(None) };
    if !waits(connection, seen).await? {
        return Ok(None);
    }
    let counts = (last.judge)(&counted_beside(connection, last.deposit).await?);
    if counts.is_none_or(|counts| counts.money != seen.money) {
        let what = counts.map_or_else(
            || "was told, and its chain does not bear that out".to_owned(),
            |counts| format!("was told; its chain shows {}, which counts", counts.money),
        );
        tracing::warn!(network = %seen.network, "Transaction {} of {} {what}.", seen.transaction, seen.money);
        let detail = format!("transaction {} of {} {what}", seen.transaction, seen.money);
        note_webhook(connection, Provider::Tatum, "deposit_differs", Some(&seen.transaction), &detail)
            .await?;
    }
    let Counts { money, is_coin } = counts.unwrap_or(Counts { money: seen.money, is_coin: seen.is_coin });
    sqlx::query!(
        "/* deposit_count */ UPDATE deposits
         SET status = $5, amount = $6, asset = $7, is_coin = $8, checked_at = now()
         WHERE network = $1 AND transaction = $2 AND place = $3 AND address_key = $4",
        seen.network.as_str(),
        seen.transaction,
        seen.place,
        seen.address_key,
        if counts.is_some() { "final" } else { "gone" },
        money.amount(),
        money.asset().code(),
        is_coin,
    )
    .execute(&mut *connection)
    .await?;
    if counts.is_none() {
        return Ok(None);
    }
    let event = Event::Deposited { transaction: seen.name(), money };
    Ok(match inbox::put(connection, order, &seen.event_key(), &event).await? {
        Delivered::New(woken) | Delivered::Repeated(woken) | Delivered::DuringCall(woken) => Some(woken),
        Delivered::Unknown => None,
    })
}

/// Whether nobody has come to the end of it yet.
async fn waits(connection: &mut PgConnection, seen: &SeenDeposit) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        "/* deposit_lock */ SELECT true AS \"waits!\" FROM deposits
         WHERE network = $1 AND transaction = $2 AND place = $3 AND address_key = $4 AND status = 'seen'
         FOR UPDATE",
        seen.network.as_str(),
        seen.transaction,
        seen.place,
        seen.address_key,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.unwrap_or(false))
}

/// What of the same transaction and address counts already, under other names.
async fn counted_beside(
    connection: &mut PgConnection,
    deposit: &WaitingDeposit,
) -> Result<Vec<Money>, StoreError> {
    let seen = &deposit.seen;
    let rows = sqlx::query!(
        "/* deposits_beside */ SELECT amount, asset FROM deposits
         WHERE network = $1 AND transaction = $2 AND address_key = $3 AND place <> $4 AND status = 'final'",
        seen.network.as_str(),
        seen.transaction,
        seen.address_key,
        seen.place,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| money(&deposit.operation, row.amount, &row.asset)).collect()
}

/// Writes down transfers to addresses of orders, each once, and of each whether others told of another
/// amount. What is final stays final, and of which amount it is: a webhook is a hint. What was gone is
/// waited for as if it had not been seen before: a pool may forget a transaction that is sent again later.
pub(crate) async fn see_deposits(
    connection: &mut PgConnection,
    seen: &[(OperationId, &SeenDeposit, bool)],
) -> Result<(), StoreError> {
    if seen.is_empty() {
        return Ok(());
    }
    let text = |of: fn(&SeenDeposit) -> String| seen.iter().map(|(_, one, _)| of(one)).collect::<Vec<_>>();
    let orders: Vec<Uuid> = seen.iter().map(|(order, ..)| order.as_uuid()).collect();
    let amounts: Vec<Decimal> = seen.iter().map(|(_, one, _)| one.money.amount()).collect();
    let coins: Vec<bool> = seen.iter().map(|(_, one, _)| one.is_coin).collect();
    let contradicted: Vec<bool> = seen.iter().map(|(.., contradicted)| *contradicted).collect();
    let block = |one: &SeenDeposit| one.block.and_then(|block| i64::try_from(block).ok());
    let blocks: Vec<Option<i64>> = seen.iter().map(|(_, one, _)| block(one)).collect();
    sqlx::query!(
        "/* deposits_seen */ INSERT INTO deposits
             (network, transaction, place, address_key, operation_id, amount, asset, is_coin, block, told_otherwise)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::numeric[], $7::text[],
             $8::bool[], $9::bigint[], $10::bool[])
         ON CONFLICT (network, transaction, place, address_key) DO UPDATE
             SET block = excluded.block, status = 'seen',
                 told_otherwise = deposits.told_otherwise OR excluded.told_otherwise
                     OR (deposits.amount, deposits.asset) <> (excluded.amount, excluded.asset),
                 seen_at = CASE WHEN deposits.status = 'gone' THEN now() ELSE deposits.seen_at END
             WHERE deposits.status <> 'final'",
        &text(|one| one.network.as_str().to_owned()),
        &text(|one| clean(&one.transaction)),
        &text(|one| clean(&one.place)),
        &text(|one| one.address_key.clone()),
        orders.as_slice(),
        amounts.as_slice(),
        &text(|one| one.money.asset().code().to_owned()),
        coins.as_slice(),
        &blocks as _,
        contradicted.as_slice(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The address that is allotted to an operation, where one is.
pub(crate) async fn address_of(
    connection: &mut PgConnection,
    id: OperationId,
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "/* address_of */ SELECT address FROM deposit_addresses WHERE operation_id = $1",
        id.as_uuid(),
    )
    .fetch_optional(connection)
    .await?)
}

async fn allot(connection: &mut PgConnection, allotment: &Allotment<'_>) -> Result<String, StoreError> {
    let Allotment { id, network, derive } = allotment;
    let index = sqlx::query_scalar!(
        "/* address_next */ INSERT INTO address_counters (network, next_index) VALUES ($1, 1)
         ON CONFLICT (network) DO UPDATE SET next_index = address_counters.next_index + 1
         RETURNING next_index - 1 AS \"index!\"",
        network.as_str(),
    )
    .fetch_one(&mut *connection)
    .await?;
    // The counter's row is locked now: whoever allots to the same order has been before us, or waits.
    if let Some(address) = address_of(connection, *id).await? {
        return Ok(address);
    }
    let impossible = |why: String| StoreError::Corrupt {
        table: "address_counters",
        column: "next_index",
        id: network.as_str().to_owned(),
        why,
    };
    let number = u32::try_from(index).map_err(|_| impossible("there are no addresses left".to_owned()))?;
    let address = derive(number).map_err(impossible)?;
    sqlx::query!(
        "/* address_allot */ INSERT INTO deposit_addresses (network, address_index, address, address_key, operation_id)
         VALUES ($1, $2, $3, $4, $5)",
        network.as_str(),
        index,
        address,
        network.key_of(&address),
        id.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(address)
}

pub(crate) fn money(operation: &OperationId, amount: Decimal, asset: &str) -> Result<Money, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt {
        table: "deposits",
        column: "amount",
        id: operation.to_string(),
        why,
    };
    let asset: Asset = asset.parse().map_err(|_| corrupt(format!("unknown asset {asset:?}")))?;
    Money::new(amount, asset).map_err(|error| corrupt(error.to_string()))
}
