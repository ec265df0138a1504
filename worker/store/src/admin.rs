//! Creating and migrating a database: for the operator's command and the test harness.

use std::str::FromStr;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::{Store, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Creates the database that `url` names, if there is none.
///
/// # Errors
/// [`StoreError`], where Postgres is away or refuses.
pub async fn create_database_if_missing(url: &str) -> Result<(), StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(StoreError::InvalidUrl)?;
    let name = options.get_database().unwrap_or("payfleet").to_owned();
    let mut connection = options.database("postgres").connect().await?;
    let exists: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_optional(&mut connection)
        .await?;
    if exists.is_none() {
        let quoted = name.replace('"', "\"\"");
        let create =
            connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE \"{quoted}\"")))).await;
        // Somebody else may have been quicker (42P04: it exists by now; 23505: at this very moment).
        if let Err(error) = create {
            let code = error.as_database_error().and_then(|db| db.code().map(std::borrow::Cow::into_owned));
            if !matches!(code.as_deref(), Some("42P04" | "23505")) {
                return Err(error.into());
            }
        }
    }
    connection.close().await?;
    Ok(())
}

/// Runs the migrations that have not run yet. Safe to run from several processes at once.
///
/// # Errors
/// [`StoreError::Migration`], which names the migration that failed.
pub async fn migrate(store: &Store) -> Result<(), StoreError> {
    MIGRATIONS.run(&store.pool).await?;
    Ok(())
}

/// The partitions for this month and the next; called at start and daily by every worker.
///
/// # Errors
/// [`StoreError`], where Postgres is away or refuses.
pub async fn ensure_partitions(store: &Store) -> Result<(), StoreError> {
    sqlx::query("SELECT ensure_month(now()), ensure_month(now() + interval '1 month')")
        .execute(&store.pool)
        .await?;
    Ok(())
}
