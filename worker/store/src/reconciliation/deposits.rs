//! Deposits in a reconciliation: what a list of webhooks names, and those we have.

use payfleet_core::address::Network;
use payfleet_core::{Money, OperationId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::OpenRun;
use super::ours::{at, micros};
use crate::deposits::money;
use crate::operation_row::clean;
use crate::{Store, StoreError};

/// What makes a transfer to an address of ours this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DepositName {
    /// On which chain.
    pub network: Network,
    /// In which transaction.
    pub transaction: String,
    /// Which of that transaction's transfers.
    pub place: String,
    /// To which address, as [`Network::key_of`] writes it.
    pub address_key: String,
}

/// A deposit that we have.
#[derive(Clone, Debug)]
pub struct KnownDeposit {
    /// Which.
    pub name: DepositName,
    /// Whose.
    pub order: OperationId,
    /// How much of what.
    pub money: Money,
    /// `seen`, `final` or `gone`.
    pub status: String,
    /// When we learned of it.
    pub seen_at: payfleet_core::Timestamp,
    /// Whether the run has met it in the provider's record.
    pub met: bool,
}

/// A page of our deposits.
#[derive(Clone, Debug)]
pub struct DepositPage {
    /// In the order in which we learned of them.
    pub deposits: Vec<KnownDeposit>,
    /// Behind which the next page begins; `None` behind the last.
    pub next: Option<DepositPlace>,
}

/// Behind which deposit a page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositPlace {
    seen_us: i64,
    name: DepositName,
}

impl DepositName {
    /// Its name among what a run has met.
    #[must_use]
    pub fn entry(&self) -> String {
        let Self { network, transaction, place, address_key } = self;
        format!("{network}:{}:{}:{address_key}", clean(transaction), clean(place))
    }
}

impl Store {
    /// The orders at the addresses that `names` pay to, and what we have of each, in their order.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn deposits_named(
        &self,
        names: &[DepositName],
    ) -> Result<Vec<(Option<OperationId>, Option<KnownDeposit>)>, StoreError> {
        let column = |of: fn(&DepositName) -> String| names.iter().map(of).collect::<Vec<String>>();
        let rows = sqlx::query!(
            // One look each, by an index: joined, a page could read all of these tables.
            "/* deposits_named */ SELECT n.place_in_list AS \"place_in_list!\", a.operation_id AS \"order_id?\",
                 d.amount AS \"amount?\", d.asset AS \"asset?\", d.status AS \"status?\", d.seen_at AS \"seen_at?\"
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[])
                 WITH ORDINALITY AS n (network, transaction, place, address_key, place_in_list)
             LEFT JOIN LATERAL (
                 SELECT operation_id FROM deposit_addresses
                 WHERE network = n.network AND address_key = n.address_key OFFSET 0
             ) a ON true
             LEFT JOIN LATERAL (
                 SELECT amount, asset, status, seen_at FROM deposits
                 WHERE network = n.network AND transaction = n.transaction AND place = n.place
                     AND address_key = n.address_key OFFSET 0
             ) d ON true
             ORDER BY n.place_in_list",
            &column(|name| name.network.as_str().to_owned()),
            &column(|name| clean(&name.transaction)),
            &column(|name| clean(&name.place)),
            &column(|name| name.address_key.clone()),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut found = Vec::with_capacity(names.len());
        for (name, row) in names.iter().zip(rows) {
            let order = row.order_id.map(OperationId::from_uuid);
            let known = match (order, row.amount, row.asset, row.status, row.seen_at) {
                (Some(order), Some(amount), Some(asset), Some(status), Some(seen_at)) => Some(KnownDeposit {
                    name: name.clone(),
                    order,
                    money: money(&order, amount, &asset)?,
                    status,
                    seen_at: seen_at.into(),
                    met: true,
                }),
                _ => None,
            };
            found.push((order, known));
        }
        Ok(found)
    }

    /// Up to `limit` deposits that we learned of in the run's window, in that order.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn deposits_held(
        &self,
        run: &OpenRun,
        after: Option<&DepositPlace>,
        limit: i64,
    ) -> Result<DepositPage, StoreError> {
        let from: OffsetDateTime = run.reconcile.from.into();
        let to: OffsetDateTime = run.reconcile.to.into();
        let name = after.map(|place| &place.name);
        let rows = sqlx::query!(
            // As in `held`: one look each.
            "/* run_deposits */ SELECT network, transaction, place, address_key, operation_id, amount, asset, status,
                 seen_at, EXISTS (
                     SELECT 1 FROM reconciliation_seen s WHERE s.run_id = $1
                         AND s.entry = network || ':' || transaction || ':' || place || ':' || address_key OFFSET 0
                 ) AS \"met!\"
             FROM deposits
             WHERE seen_at >= $2 AND seen_at < $3
                 AND (seen_at, network, transaction, place, address_key) > ($4, $5, $6, $7, $8)
             ORDER BY seen_at, network, transaction, place, address_key LIMIT $9",
            run.id,
            from,
            to,
            after.map_or(OffsetDateTime::UNIX_EPOCH, |place| at(place.seen_us)),
            name.map_or("", |name| name.network.as_str()),
            name.map_or("", |name| name.transaction.as_str()),
            name.map_or("", |name| name.place.as_str()),
            name.map_or("", |name| name.address_key.as_str()),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut deposits = Vec::with_capacity(rows.len());
        let mut next = None;
        for row in rows {
            let order = OperationId::from_uuid(row.operation_id);
            let network = network(&order, &row.network)?;
            let (transaction, place, address_key) = (row.transaction, row.place, row.address_key);
            let name = DepositName { network, transaction, place, address_key };
            next = Some(DepositPlace { seen_us: micros(row.seen_at), name: name.clone() });
            let money = money(&order, row.amount, &row.asset)?;
            let seen_at = row.seen_at.into();
            deposits.push(KnownDeposit { name, order, money, status: row.status, seen_at, met: row.met });
        }
        Ok(DepositPage { deposits, next })
    }

    /// Up to `limit` deposits that wait for their chain for more than `for_ms`, and of which nobody was told.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn deposits_unmoved(&self, for_ms: u64, limit: i64) -> Result<Vec<KnownDeposit>, StoreError> {
        let rows = sqlx::query!(
            "/* run_deposits_unmoved */ SELECT network, transaction, place, address_key, operation_id, amount, asset,
                 status, seen_at
             FROM deposits d
             WHERE status = 'seen' AND seen_at < now() - make_interval(secs => $1::float8 / 1000) AND NOT EXISTS (
                 SELECT 1 FROM discrepancies k WHERE k.operation_id = d.operation_id AND k.kind = 'stuck'
                     AND k.provider_ref = d.transaction
             )
             ORDER BY seen_at, network, transaction, place, address_key LIMIT $2",
            crate::write::millis(for_ms),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let order = OperationId::from_uuid(row.operation_id);
                let network = network(&order, &row.network)?;
                let (transaction, place, address_key) = (row.transaction, row.place, row.address_key);
                let name = DepositName { network, transaction, place, address_key };
                let money = money(&order, row.amount, &row.asset)?;
                let seen_at = row.seen_at.into();
                Ok(KnownDeposit { name, order, money, status: row.status, seen_at, met: false })
            })
            .collect()
    }
}

fn network(order: &OperationId, name: &str) -> Result<Network, StoreError> {
    name.parse().map_err(|_| StoreError::Corrupt {
        table: "deposits",
        column: "network",
        id: order.to_string(),
        why: format!("unknown network {name:?}"),
    })
}
