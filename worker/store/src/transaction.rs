//! Named transactions: run, committed, and run again (bounded, with jitter) where Postgres asks for
//! it after a serialization failure or a deadlock. Only SQL happens inside, so running it again is
//! always safe.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::{Store, StoreError};

/// How often a transaction is tried before its deadlock is given back.
const TRIES: u32 = 5;

/// A boxed future that borrows a connection.
pub(crate) type InTransaction<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

impl Store {
    /// Runs `body` in a transaction called `name`, in a span of its own.
    #[tracing::instrument(name = "postgres.transaction", skip_all, fields(db.transaction = name))]
    pub(crate) async fn transaction<I, T, F>(
        &self,
        name: &'static str,
        input: &I,
        body: F,
    ) -> Result<T, StoreError>
    where
        I: Sync,
        F: for<'c> Fn(&'c mut PgConnection, &'c I) -> InTransaction<'c, T> + Sync,
        T: Send,
    {
        let mut tries = 1;
        loop {
            match self.once(name, input, &body).await {
                Err(error) if error.wants_retry() && tries < TRIES => {
                    tracing::debug!(transaction = name, tries, "running the transaction again: {error}");
                    tokio::time::sleep(jitter(tries)).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    async fn once<I, T, F>(&self, name: &'static str, input: &I, body: &F) -> Result<T, StoreError>
    where
        I: Sync,
        F: for<'c> Fn(&'c mut PgConnection, &'c I) -> InTransaction<'c, T> + Sync,
        T: Send,
    {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        let value = body(&mut transaction, input).await?;
        match transaction.commit().await.map_err(StoreError::from) {
            Ok(()) => Ok(value),
            Err(StoreError::Unavailable(_)) => Err(StoreError::UnknownCommit { transaction: name }),
            Err(error) => Err(error),
        }
    }
}

/// 0 to 10, 20, 40, ... milliseconds.
fn jitter(tries: u32) -> Duration {
    let ceiling = 10_u64 << tries.min(6);
    #[expect(
        clippy::disallowed_methods,
        reason = "the spread of two deadlocked workers decides nothing else"
    )]
    Duration::from_millis(fastrand::u64(0..=ceiling))
}
