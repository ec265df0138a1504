//! The pool of connections.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use crate::StoreError;

/// A connection that lay idle for longer is asked whether it is still there before it is used.
const FRESH: Duration = Duration::from_secs(1);

/// The store: a handle that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: PgPool,
}

/// Whether `url` can be read as the URL of a Postgres database.
///
/// # Errors
/// [`StoreError::InvalidUrl`].
pub fn check_database_url(url: &str) -> Result<(), StoreError> {
    // The parser takes any scheme.
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(StoreError::InvalidUrl(sqlx::Error::Configuration("another scheme".into())));
    }
    PgConnectOptions::from_str(url).map(|_| ()).map_err(StoreError::InvalidUrl)
}

impl Store {
    /// A store that connects when it is first used, so that a process starts while Postgres is away.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`].
    pub fn connect_lazy(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(StoreError::InvalidUrl)?
            .application_name("payfleet")
            // A statement that hangs must not hold a lease's worth of time; a transaction whose
            // worker is gone must not hold a row.
            .options([
                ("statement_timeout", "15s"),
                ("lock_timeout", "5s"),
                ("idle_in_transaction_session_timeout", "15s"),
                ("client_min_messages", "error"),
            ])
            .log_statements(tracing::log::LevelFilter::Off);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(5))
            // One that is used all the time says by its use whether it is there.
            .test_before_acquire(false)
            .before_acquire(|connection, lay| {
                Box::pin(async move {
                    if lay.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Whether Postgres answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.pool.execute("SELECT 1").await?;
        Ok(())
    }

    /// Closes the connections, waiting for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
