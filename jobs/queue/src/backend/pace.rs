//! How fast handlers end, and so how many jobs may be taken ahead of free slots.
//!
//! A job that waits in a worker's memory is out of reach for other workers, so no more are taken
//! ahead than will start within moments: none for handlers that take seconds, hundreds for handlers
//! that take microseconds.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Jobs taken ahead are to start within this time at the present pace.
const AHEAD: Duration = Duration::from_millis(20);
const MOST: usize = 500;
/// How long is measured at a time.
const WINDOW: Duration = Duration::from_millis(5);
/// After handlers held up the loop this many jobs run on tasks of their own from the start.
const SPAWNED: usize = 64;
/// A handler that takes longer than this before it first waits holds up the loop.
pub(super) const INLINE: Duration = Duration::from_micros(100);

#[derive(Debug, Default)]
pub(super) struct Pace {
    count: AtomicU64,
    prefetch: AtomicUsize,
    spawn: AtomicUsize,
    measured: Mutex<Option<(Instant, u64)>>,
}

impl Pace {
    /// A handler ended.
    pub(super) fn ended(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn prefetch(&self) -> usize {
        self.prefetch.load(Ordering::Relaxed)
    }

    /// Looks at how many ended since it last did.
    pub(super) fn measure(&self) {
        let now = Instant::now();
        let count = self.count.load(Ordering::Relaxed);
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((since, before)) = *measured else {
            *measured = Some((now, count));
            return;
        };
        let passed = now.saturating_duration_since(since);
        if passed < WINDOW {
            return;
        }
        *measured = Some((now, count));
        let ended = u128::from(count.saturating_sub(before));
        let ahead = ended.saturating_mul(AHEAD.as_micros()) / passed.as_micros().max(1);
        self.prefetch.store(usize::try_from(ahead).unwrap_or(MOST).min(MOST), Ordering::Relaxed);
    }

    /// Whether the next handler is to run on a task of its own from the start.
    pub(super) fn spawns(&self) -> bool {
        let left = self.spawn.load(Ordering::Relaxed);
        if left > 0 {
            self.spawn.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        left > 0
    }

    /// A handler held up the loop.
    pub(super) fn held_up(&self) {
        self.spawn.store(SPAWNED, Ordering::Relaxed);
    }
}
