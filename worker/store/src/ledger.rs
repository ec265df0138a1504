//! Reading the ledger back: what every account holds, and whether everything balances.

use rust_decimal::Decimal;
use serde::Serialize;

use crate::{Store, StoreError};

/// What one account holds of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountBalance {
    /// The account.
    pub account: String,
    /// The unit.
    pub unit: String,
    /// The sum of its postings.
    pub balance: Decimal,
}

/// Whether the ledger agrees with itself and with the operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerAudit {
    /// Units whose postings do not sum to zero, over everything.
    pub unbalanced_units: Vec<String>,
    /// Settled operations without a movement.
    pub settled_without_movement: i64,
    /// Movements of operations that are not settled.
    pub movements_without_settlement: i64,
}

impl LedgerAudit {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unbalanced_units.is_empty()
            && self.settled_without_movement == 0
            && self.movements_without_settlement == 0
    }
}

impl Store {
    /// Every account's balance, by unit.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn balances(&self) -> Result<Vec<AccountBalance>, StoreError> {
        let rows = sqlx::query_as!(
            AccountBalance,
            "/* ledger_balances */ SELECT account, unit, sum(amount) AS \"balance!\"
             FROM postings GROUP BY account, unit ORDER BY account, unit",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    /// Recomputes the ledger and compares it with the operations.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn audit_ledger(&self) -> Result<LedgerAudit, StoreError> {
        let unbalanced_units = sqlx::query_scalar!(
            "/* ledger_unbalanced */ SELECT DISTINCT unit FROM (
                 SELECT unit FROM postings GROUP BY movement_id, unit HAVING sum(amount) <> 0
             ) AS uneven ORDER BY unit",
        )
        .fetch_all(&self.pool)
        .await?;
        let row = sqlx::query!(
            "/* ledger_against_operations */ SELECT
                 (SELECT count(*) FROM operations WHERE state = 'settled' AND NOT EXISTS (
                     SELECT 1 FROM movements WHERE operation_id = operations.id AND event = 'settled'
                 )) AS \"missing!\",
                 (SELECT count(*) FROM movements JOIN operations ON operations.id = movements.operation_id
                  WHERE operations.state <> 'settled') AS \"stray!\"",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(LedgerAudit {
            unbalanced_units,
            settled_without_movement: row.missing,
            movements_without_settlement: row.stray,
        })
    }
}
