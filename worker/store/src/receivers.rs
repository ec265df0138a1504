//! Whom workers tell of transitions, as Postgres knows them, and who of them is disabled.

use payfleet_core::TenantId;
use payfleet_core::ids::ReceiverName;
use serde::Serialize;
use sqlx::PgConnection;

use crate::{Store, StoreError};

/// A receiver, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiverView {
    /// Its name.
    pub name: String,
    /// Whose operations it is told of.
    pub tenant: String,
    /// Where it listens.
    pub url: String,
    /// Why it is told nothing any more, if it is not.
    pub disabled_reason: Option<String>,
    /// Operations it has yet to be told of.
    pub waiting: i64,
    /// Operations it is told nothing more of until a dead letter is released.
    pub parked: i64,
}

impl Store {
    /// Makes known a receiver of the settings. One whose URL has changed is enabled again.
    ///
    /// # Errors
    /// [`StoreError`]; trying again is always right.
    pub async fn register_receiver(
        &self,
        name: &ReceiverName,
        tenant: &TenantId,
        url: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "/* receiver_register */ INSERT INTO receivers (name, tenant, url) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE
             SET tenant = EXCLUDED.tenant, url = EXCLUDED.url,
                 disabled_at = CASE WHEN receivers.url = EXCLUDED.url THEN receivers.disabled_at END,
                 disabled_reason = CASE WHEN receivers.url = EXCLUDED.url THEN receivers.disabled_reason END
             WHERE receivers.tenant <> EXCLUDED.tenant OR receivers.url <> EXCLUDED.url",
            name.as_str(),
            tenant.as_str(),
            url,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All receivers, by name.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn receivers(&self) -> Result<Vec<ReceiverView>, StoreError> {
        Ok(sqlx::query_as!(
            ReceiverView,
            "/* receivers_list */ SELECT r.name, r.tenant, r.url, r.disabled_reason,
                 count(n.next_wake_at) AS \"waiting!\", count(n.parked_reason) AS \"parked!\"
             FROM receivers r LEFT JOIN notifications n ON n.receiver = r.name AND n.delivered < n.written
             GROUP BY r.name ORDER BY r.name",
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Has a disabled receiver told again: what waited for it is due. Answers whether it was disabled.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn enable_receiver(&self, name: &ReceiverName) -> Result<bool, StoreError> {
        let enabled = sqlx::query!(
            "/* receiver_enable */ UPDATE receivers SET disabled_at = NULL, disabled_reason = NULL
             WHERE name = $1 AND disabled_at IS NOT NULL",
            name.as_str(),
        )
        .execute(&self.pool)
        .await?;
        Ok(enabled.rows_affected() == 1)
    }
}

/// Stops telling a receiver.
pub(crate) async fn disable(
    connection: &mut PgConnection,
    receiver: &ReceiverName,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* receiver_disable */ UPDATE receivers SET disabled_at = now(), disabled_reason = $2
         WHERE name = $1 AND disabled_at IS NULL",
        receiver.as_str(),
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}
