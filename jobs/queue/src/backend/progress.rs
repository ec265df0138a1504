//! Whether a worker gets on: the truth behind its readiness.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::hold::Hold;

/// When the fetcher last got what it asked for: jobs, or that none is due, or had no room for more.
#[derive(Debug)]
pub(super) struct Progress {
    last: Mutex<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { last: Mutex::new(Instant::now()) }
    }
}

impl Progress {
    pub(super) fn made(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn stalled_for(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Tells whether a [`super::RedisBackend`] gets on; it outlives the backend.
#[derive(Clone, Debug)]
pub struct ProgressHandle {
    hold: Arc<Hold>,
}

impl ProgressHandle {
    pub(super) const fn new(hold: Arc<Hold>) -> Self {
        Self { hold }
    }

    /// For how long the queue has given neither a job nor the word that none is due, though there was
    /// room for one. Not asking counts: a task that hangs is no progress.
    #[must_use]
    pub fn stalled_for(&self) -> Duration {
        self.hold.progress.stalled_for()
    }

    /// Whether the worker is ready: it was not stalled for longer than `threshold`, or is shutting
    /// down and only finishes what it has.
    #[must_use]
    pub fn is_ready(&self, threshold: Duration) -> bool {
        self.hold.is_stopping() || self.stalled_for() <= threshold
    }
}
