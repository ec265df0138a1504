//! Lists and statistics of operations. A page is found by where the last one ended, newest first, so
//! that operations made meanwhile neither repeat nor hide one.

use payfleet_core::kinds::lifecycle::State;
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_core::provider::Provider;
use payfleet_core::{Asset, OperationId, TenantId, Timestamp};
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::FromRow;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::{Store, StoreError};

/// Which operations. What is `None` selects nothing by itself.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub tenant: TenantId,
    /// Of this kind.
    pub kind: Option<OperationKind>,
    /// In the state of this name.
    pub state: Option<&'static str>,
    /// At this provider.
    pub provider: Option<Provider>,
    /// Of this asset.
    pub asset: Option<Asset>,
    /// Made for this reason, by name; of payouts.
    pub origin: Option<&'static str>,
    /// Standing still until a person acts, or not.
    pub parked: Option<bool>,
    /// Made at this moment or later.
    pub from: Option<Timestamp>,
    /// Made before this moment.
    pub to: Option<Timestamp>,
}

/// Where a page ended: the last operation on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// When it was made, in microseconds since 1970: as fine as Postgres stores it.
    pub created_us: i64,
    /// Which one.
    pub id: OperationId,
}

/// One page.
#[derive(Clone, Debug)]
pub struct OperationPage {
    /// Newest first.
    pub operations: Vec<ListedOperation>,
    /// Where it ended, if there are more.
    pub next: Option<Position>,
}

/// An operation on a list.
#[derive(Clone, Debug)]
pub struct ListedOperation {
    /// Which one.
    pub id: OperationId,
    /// Its kind's name.
    pub kind: String,
    /// The client's name for its request.
    pub idempotency_key: String,
    /// Who carries it out.
    pub provider: String,
    /// Our account there.
    pub account: String,
    /// Its state's name.
    pub state: String,
    /// How far it has come; `None` where a newer version wrote it.
    pub progress: Option<State>,
    /// What the client gave as the amount, where the kind has one.
    pub amount: Option<Decimal>,
    /// The asset's code, where the kind has one.
    pub asset: Option<String>,
    /// What was asked; `None` where a newer version wrote it.
    pub request: Option<Request>,
    /// The provider's id of it, once the provider has answered.
    pub provider_ref: Option<String>,
    /// Why it stands still, by name, if it does.
    pub parked: Option<String>,
    /// Why it stands still, in words.
    pub parked_reason: Option<String>,
    /// When its row was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What statistics are told apart by, beside the asset: amounts of two assets have no sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupBy {
    /// By kind.
    pub kind: bool,
    /// By provider.
    pub provider: bool,
    /// By state.
    pub state: bool,
    /// By day in UTC.
    pub day: bool,
}

/// One group of operations.
#[derive(Clone, Debug)]
pub struct Statistic {
    /// Their kind, where told apart by it.
    pub kind: Option<String>,
    /// Their provider, where told apart by it.
    pub provider: Option<String>,
    /// Their asset; `None` for those that have no amount.
    pub asset: Option<String>,
    /// Their state, where told apart by it.
    pub state: Option<String>,
    /// The day they were made on, where told apart by it.
    pub day: Option<Date>,
    /// How many.
    pub count: i64,
    /// The sum of their amounts, exact and of any length, as a decimal string.
    pub amount: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    kind: String,
    idempotency_key: String,
    provider: String,
    account: String,
    state: String,
    amount: Option<Decimal>,
    asset: Option<String>,
    request: Value,
    provider_ref: Option<String>,
    state_data: Value,
    parked: Option<String>,
    parked_reason: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl Store {
    /// At most `limit` operations of `filter`, those after `after`.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn operations(
        &self,
        filter: &Filter,
        after: Option<Position>,
        limit: u16,
    ) -> Result<OperationPage, StoreError> {
        // Planned anew for the values of each request, without which no index would fit: so it is no
        // prepared statement, and the macro that checks those does not know it.
        let mut rows: Vec<Row> = sqlx::query_as(include_str!("listing/operations.sql"))
            .bind(filter.tenant.as_str())
            .bind(filter.kind.map(OperationKind::as_str))
            .bind(filter.state)
            .bind(filter.provider.map(Provider::as_str))
            .bind(filter.asset.map(Asset::code))
            .bind(filter.parked)
            .bind(filter.from.map(OffsetDateTime::from))
            .bind(filter.to.map(OffsetDateTime::from))
            .bind(after.map(moment))
            .bind(after.map(|after| after.id.as_uuid()))
            .bind(i64::from(limit).saturating_add(1))
            .bind(filter.origin)
            .persistent(false)
            .fetch_all(&self.pool)
            .await?;
        let more = rows.len() > usize::from(limit);
        rows.truncate(limit.into());
        let next = rows.last().filter(|_| more).map(Position::of);
        Ok(OperationPage { operations: rows.into_iter().map(ListedOperation::from).collect(), next })
    }

    /// Counts and sums of `filter`, at most `limit` groups.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn operation_statistics(
        &self,
        filter: &Filter,
        by: GroupBy,
        limit: i64,
    ) -> Result<Vec<Statistic>, StoreError> {
        let (from, to) = (filter.from.map(OffsetDateTime::from), filter.to.map(OffsetDateTime::from));
        Ok(sqlx::query_file_as!(
            Statistic,
            "src/listing/statistics.sql",
            filter.tenant.as_str(),
            filter.kind.map(OperationKind::as_str),
            filter.state,
            filter.provider.map(Provider::as_str),
            filter.asset.map(Asset::code),
            filter.parked,
            from,
            to,
            by.kind,
            by.provider,
            by.state,
            by.day,
            limit,
            filter.origin,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

impl Position {
    fn of(row: &Row) -> Self {
        let created_us = row.created_at.unix_timestamp_nanos() / 1_000;
        let created_us = i64::try_from(created_us).unwrap_or(i64::MAX);
        Self { created_us, id: OperationId::from_uuid(row.id) }
    }
}

/// A moment that no row has is the end of every list.
fn moment(position: Position) -> OffsetDateTime {
    let nanos = i128::from(position.created_us).saturating_mul(1_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl From<Row> for ListedOperation {
    fn from(row: Row) -> Self {
        Self {
            id: OperationId::from_uuid(row.id),
            kind: row.kind,
            idempotency_key: row.idempotency_key,
            provider: row.provider,
            account: row.account,
            state: row.state,
            progress: serde_json::from_value(row.state_data).ok(),
            amount: row.amount,
            asset: row.asset,
            request: serde_json::from_value(row.request).ok(),
            provider_ref: row.provider_ref,
            parked: row.parked,
            parked_reason: row.parked_reason,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}
