//! What can go wrong in the store, in the domain's words. SQL constraints become domain errors by
//! their name, here and nowhere else.

use payfleet_core::kinds::lifecycle::Illegal;
use payfleet_core::{Classify, OperationId, OutcomeClass};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be reached, or dropped the connection. Nothing is known to have been written.
    #[error("Postgres is not reachable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The connection broke during COMMIT: written or not, nobody knows until somebody reads.
    #[error("the outcome of the commit of {transaction} is unknown")]
    UnknownCommit {
        /// The transaction's name.
        transaction: &'static str,
    },
    /// Another worker has claimed the operation since. What we know must become evidence.
    #[error("operation {id} has been claimed by another worker since version {version}")]
    LostRace {
        /// Which operation.
        id: OperationId,
        /// The version we held.
        version: i64,
    },
    /// Something has come for the operation since its inbox was applied. What was to be written did not know
    /// of it and was not written; claiming again is right.
    #[error("something has come for operation {id} since it was claimed")]
    EventsWait {
        /// Which operation.
        id: OperationId,
    },
    /// A row contradicts the model.
    #[error("{table}.{column} of {id} cannot be read: {why}")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// Which row.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// An event that cannot happen in the operation's state.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// A month of history could not be written to its file. It stays in the database.
    #[error("the month cannot be written to its file: {0}")]
    Export(#[source] std::io::Error),
    /// A month of history has changed since it was exported. It stays in the database.
    #[error("{partition} has {there} rows, {exported} were exported: run it again")]
    Changed {
        /// Which month of which table.
        partition: String,
        /// How many rows were exported.
        exported: i64,
        /// How many it has.
        there: i64,
    },
    /// Anything else Postgres refused: a bug of ours, or a schema older than this program.
    #[error("Postgres refused: {0}")]
    Refused(#[source] sqlx::Error),
    /// The URL of the database cannot be read.
    #[error("DATABASE_URL is not a Postgres URL such as postgres://user:password@host:5432/payfleet: {0}")]
    InvalidUrl(#[source] sqlx::Error),
    /// The migrations could not be run.
    #[error("migrating the database failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl StoreError {
    /// Whether waiting is all there is to do.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::UnknownCommit { .. })
    }

    /// A short machine-readable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "postgres_unavailable",
            Self::UnknownCommit { .. } => "unknown_commit",
            Self::LostRace { .. } => "lost_race",
            Self::EventsWait { .. } => "events_wait",
            Self::Corrupt { .. } => "corrupt_row",
            Self::Illegal(_) => "illegal_event",
            Self::Refused(_) => "postgres_refused",
            Self::Export(_) => "export_failed",
            Self::Changed { .. } => "month_changed",
            Self::InvalidUrl(_) => "invalid_url",
            Self::Migration(_) => "migration_failed",
        }
    }

    /// Whether the same write may be tried again: nothing was written, and the reason may pass.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::UnknownCommit { .. } | Self::Refused(_) => true,
            Self::LostRace { .. }
            | Self::EventsWait { .. }
            | Self::Corrupt { .. }
            | Self::Illegal(_)
            | Self::Export(_)
            | Self::Changed { .. }
            | Self::InvalidUrl(_)
            | Self::Migration(_) => false,
        }
    }

    /// Serialization failure, deadlock, lock or statement time-out: Postgres asks for the
    /// transaction to be run again.
    pub(crate) fn wants_retry(&self) -> bool {
        let (Self::Refused(error) | Self::Unavailable(error)) = self else { return false };
        error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .is_some_and(|code| matches!(&*code, "40001" | "40P01" | "55P03" | "57014" | "25P03"))
    }
}

impl Classify for StoreError {
    fn class(&self) -> OutcomeClass {
        // Whatever the store cannot do, no provider has been called for it.
        match self {
            Self::Corrupt { .. } | Self::Illegal(_) | Self::InvalidUrl(_) => OutcomeClass::Terminal,
            Self::Unavailable(_)
            | Self::UnknownCommit { .. }
            | Self::LostRace { .. }
            | Self::EventsWait { .. }
            | Self::Refused(_)
            | Self::Export(_)
            | Self::Changed { .. }
            | Self::Migration(_) => OutcomeClass::Retryable,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let gone = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            // Class 08: connection; 57P: shut down, crashed, starting up; 53: out of resources;
            // 25006: read-only (a standby, or a primary that is being demoted).
            sqlx::Error::Database(db) => db.code().is_some_and(|code| {
                code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") || code == "25006"
            }),
            _ => false,
        };
        if gone { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}
