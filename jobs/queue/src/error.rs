//! What can go wrong between a caller and Redis, sorted by what the caller should do about it.

use payfleet_core::JobId;
use payfleet_core::job::QueueName;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call to the queue failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used.
    #[error("the queue's Redis URL is not usable: {reason}; expected redis://[user:password@]host:port[/db]")]
    InvalidUrl {
        /// What the parser said, without the URL.
        reason: String,
    },
    /// Redis is gone, slow, loading, read-only or busy: the same call may succeed later. Whether
    /// it took effect is unknown; repeating it is safe.
    #[error("the queue's Redis is unavailable: {reason}; {advice}")]
    Unavailable {
        /// What Redis or the network said.
        reason: String,
        /// What an operator should look at.
        advice: &'static str,
    },
    /// The queue holds as many jobs as it may. Nothing of the batch was enqueued.
    #[error("queue {queue} is full; let workers drain it, or raise its maximal depth")]
    QueueFull {
        /// Which queue.
        queue: QueueName,
    },
    /// Redis has reached `maxmemory`. Nothing of the batch was enqueued; workers can still drain.
    #[error("the queue's Redis has reached maxmemory; let workers drain it, or give it more memory")]
    OutOfMemory,
    /// Redis refused the command for good: wrong password, missing permission, a foreign value
    /// under one of our keys.
    #[error("the queue's Redis refused a command: {reason}")]
    Refused {
        /// What Redis said.
        reason: String,
    },
    /// The batch itself is not acceptable. Nothing of it was enqueued.
    #[error("job {id} cannot be enqueued, because of its {field}: {reason}")]
    InvalidJob {
        /// Which job.
        id: JobId,
        /// Which of its fields.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument is out of its range. Nothing was done.
    #[error("{field} is not acceptable: {reason}")]
    InvalidArgument {
        /// Which argument.
        field: &'static str,
        /// What it must be.
        reason: String,
    },
    /// Fewer replicas than asked for have confirmed. The jobs exist, but do not report success:
    /// enqueue them again under the same ids.
    #[error("only {confirmed} of {asked} replicas confirmed the write in time; repeat the request")]
    DurabilityShortfall {
        /// How many were asked for.
        asked: u32,
        /// How many confirmed.
        confirmed: u32,
    },
    /// What Redis holds or answered is not what this crate writes.
    #[error("{what} could not be read or written: {reason}")]
    Encoding {
        /// What was being converted.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
}

impl Error {
    /// Whether waiting and repeating the same call may help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn encoding(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Encoding { what, reason: reason.to_string() }
    }

    /// Sorts what the client library reported about a call on `queue`.
    pub(crate) fn from_redis(error: &RedisError, queue: Option<&QueueName>) -> Self {
        let reason = error.to_string();
        if error.code() == Some("QUEUEFULL")
            && let Some(queue) = queue
        {
            return Self::QueueFull { queue: queue.clone() };
        }
        if error.code() == Some("OOM") {
            return Self::OutOfMemory;
        }
        match advice(error) {
            Some(advice) => Self::Unavailable { reason, advice },
            None if error.kind() == ErrorKind::UnexpectedReturnType => {
                Self::Encoding { what: "a reply of Redis", reason }
            }
            None => Self::Refused { reason },
        }
    }
}

/// What to look at, if `error` is one that passes.
fn advice(error: &RedisError) -> Option<&'static str> {
    const REACH: &str = "check that it runs and that the network path to it is open";
    const FAILOVER: &str = "it is a replica or is failing over; check which node is the primary";
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => return Some(REACH),
        ErrorKind::Server(ServerErrorKind::BusyLoading) => {
            return Some("it is loading its data after a start; wait");
        }
        ErrorKind::Server(
            ServerErrorKind::ReadOnly
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => return Some(FAILOVER),
        ErrorKind::Server(ServerErrorKind::NoScript) => {
            return Some("it dropped its scripts; they are loaded again with the next call");
        }
        _ => {}
    }
    match error.code() {
        Some("BUSY") => Some("a script or module blocks it; see SLOWLOG"),
        Some("MISCONF") => Some("it cannot persist and refuses writes; check its disk and its log"),
        Some("NOREPLICAS") => Some("it has fewer replicas than min-replicas-to-write; check them"),
        Some("ERR") if error.to_string().contains("max number of clients") => {
            Some("it has no free connection; raise maxclients or find who holds them")
        }
        _ => None,
    }
}

/// Whether the connection on which `error` was seen should be replaced.
pub(crate) fn spoils_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    )
}
