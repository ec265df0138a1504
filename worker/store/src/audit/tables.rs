//! What no single operation shows: sums over tables, and rows that belong to nothing. Every answer is
//! read row by row.

use futures::TryStreamExt;
use sqlx::PgConnection;

use super::{Check, Desk};
use crate::StoreError;

pub(super) async fn check(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    orphans(connection, desk).await?;
    pools(connection, desk).await?;
    issued_shares(connection, desk).await?;
    parts(connection, desk).await?;
    schedules(connection, desk).await?;
    deposits(connection, desk).await?;
    webhooks(connection, desk).await?;
    runs(connection, desk).await
}

async fn orphans(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut rows = sqlx::query_file!("src/audit/orphans.sql").fetch(connection);
    while let Some(row) = rows.try_next().await? {
        desk.found(Check::Orphan, row.subject, format!("belongs to {}, which does not exist", row.parent));
    }
    Ok(())
}

async fn pools(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut rows = sqlx::query!(
        "/* audit_pools */ SELECT COALESCE(p.pool, r.pool) AS \"pool!\",
             COALESCE(p.reserved, 0)::text AS \"stored!\", COALESCE(r.amount, 0)::text AS \"sum!\"
         FROM pools p FULL JOIN (
             SELECT tenant, provider, account, pool, sum(amount) AS amount FROM reservations
             WHERE released_at IS NULL GROUP BY tenant, provider, account, pool
         ) AS r USING (tenant, provider, account, pool)
         WHERE COALESCE(p.reserved, 0) <> COALESCE(r.amount, 0)
            OR COALESCE(p.reserved, 0) NOT BETWEEN 0 AND COALESCE(p.whole, 0)",
    )
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let detail = format!("{} is stored as set aside, the reservations sum to {}", row.stored, row.sum);
        desk.found(Check::Pool, format!("pool {}", row.pool), detail);
    }
    Ok(())
}

async fn issued_shares(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut rows = sqlx::query!(
        "/* audit_issued */ SELECT account, unit, (-sum(amount))::text AS \"issued!\" FROM postings
         WHERE unit LIKE 'share:%' AND account LIKE 'shares:issued:%'
         GROUP BY account, unit HAVING sum(amount) < -100",
    )
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let detail = format!("{} % of {} have been issued", row.issued, row.unit);
        desk.found(Check::Pool, format!("account {}", row.account), detail);
    }
    Ok(())
}

async fn parts(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut rows = sqlx::query_file!("src/audit/parts.sql").fetch(connection);
    while let Some(row) = rows.try_next().await? {
        desk.found(Check::Parts, row.subject, row.detail);
    }
    Ok(())
}

async fn schedules(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut rows = sqlx::query_file!("src/audit/schedules.sql").fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let detail = format!("its payouts pay {}, owed are {}", row.paid, row.owed);
        desk.found(Check::Schedules, format!("payout schedule {}", row.id), detail);
    }
    Ok(())
}

async fn deposits(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut rows = sqlx::query_file!("src/audit/deposits.sql").fetch(connection);
    while let Some(row) = rows.try_next().await? {
        desk.found(Check::Deposits, row.subject, row.detail);
    }
    Ok(())
}

async fn webhooks(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    // Tatum tells of deposits, which have a table of their own.
    // The key is that of payfleet-worker's webhook handler: the event's, and the start of the body's hash.
    let mut rows = sqlx::query!(
        "/* audit_webhooks */ SELECT id, operation_id FROM webhook_events w
         WHERE status = 'processed' AND provider <> 'tatum' AND NOT EXISTS (
             SELECT 1 FROM inbox i WHERE i.operation_id = w.operation_id
               AND i.event_key = 'webhook:' || w.event_key || ':' || left(encode(w.body_hash, 'hex'), 16)
         )",
    )
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let operation = row.operation_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let detail = format!("was handled, and is not in the inbox of its operation ({operation})");
        desk.found(Check::Webhook, format!("webhook event {}", row.id), detail);
    }
    Ok(())
}

async fn runs(connection: &mut PgConnection, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut rows = sqlx::query!(
        "/* audit_runs */ SELECT r.id, r.differences, count(d.id) AS \"found!\"
         FROM reconciliation_runs r LEFT JOIN discrepancies d ON d.run_id = r.id
         WHERE r.finished_at IS NOT NULL GROUP BY r.id HAVING count(d.id) <> COALESCE(r.differences, -1)",
    )
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let counted = row.differences.map_or_else(|| "none".to_owned(), |count| count.to_string());
        let detail = format!("counted {counted} differences, {} are kept", row.found);
        desk.found(Check::Run, format!("reconciliation run {}", row.id), detail);
    }
    Ok(())
}
