//! Reading the ledger back: what every account holds.

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
}
