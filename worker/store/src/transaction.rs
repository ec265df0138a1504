//! Named transactions: run, committed, and run again (bounded, with jitter) where Postgres asks for
//! it after a serialization failure or a deadlock. Only SQL happens inside, so running it again is
//! always safe.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, Postgres};

use crate::{Store, StoreError};

/// How often a transaction is tried before its deadlock is given back.
const TRIES: u32 = 5;

/// A boxed future that borrows a connection.
pub(crate) type InTransaction<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// A connection for a transaction. One that is not given back is closed: a task cancelled inside BEGIN
/// leaves sqlx 0.9.0 with an open transaction that it does not know of, and what the next user wrote
/// would be rolled back in silence.
pub(crate) struct Lent {
    connection: PoolConnection<Postgres>,
    is_clean: bool,
}

impl Lent {
    /// Its transaction has come to its end.
    pub(crate) fn give_back(mut self) {
        self.is_clean = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_clean {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Store {
    /// A connection to begin a transaction on.
    pub(crate) async fn lend(&self) -> Result<Lent, StoreError> {
        Ok(Lent { connection: self.pool.acquire().await?, is_clean: false })
    }

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
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        let value = match body(&mut transaction, input).await {
            Ok(value) => value,
            Err(error) => {
                if transaction.rollback().await.is_ok() {
                    lent.give_back();
                }
                return Err(error);
            }
        };
        match transaction.commit().await.map_err(StoreError::from) {
            Ok(()) => {
                lent.give_back();
                Ok(value)
            }
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
