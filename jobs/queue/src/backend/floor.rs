//! Which handlers of this process may run: any number of ordinary ones, or one suspect alone.
//!
//! A suspect is a job whose lease expired: perhaps it ended its worker. Whoever wants to run one closes
//! the floor, waits until all handlers of the process have ended, and opens it again afterwards. All
//! backends of one [`crate::Queue`] and its clones share a floor.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use tokio::sync::{Mutex as AsyncMutex, MutexGuard, Notify};

#[derive(Debug, Default)]
pub(crate) struct Floor {
    running: AtomicUsize,
    closed: AtomicBool,
    /// A handler ended while it was closed.
    ended: Notify,
    /// One suspect at a time.
    turn: AsyncMutex<()>,
    /// Worker loops that wait until it opens.
    waiting: Mutex<Vec<Waker>>,
}

/// The floor is closed for all others while this is there.
pub(super) struct Alone<'a> {
    floor: &'a Floor,
    _turn: MutexGuard<'a, ()>,
}

impl Floor {
    /// An ordinary handler may begin; else `waker` is woken when it may be worth asking again.
    pub(super) fn enter(&self, waker: &Waker) -> bool {
        if self.closed.load(Ordering::SeqCst) {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waker.clone());
            // It may have opened just before that.
            if self.closed.load(Ordering::SeqCst) {
                return false;
            }
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            self.leave();
            return self.enter(waker);
        }
        true
    }

    /// An ordinary handler ended.
    pub(super) fn leave(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            self.ended.notify_one();
        }
    }

    /// Returns when no handler runs in this process and none can begin.
    pub(super) async fn alone(&self) -> Alone<'_> {
        let turn = self.turn.lock().await;
        let alone = Alone { floor: self, _turn: turn };
        self.closed.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) > 0 {
            self.ended.notified().await;
        }
        alone
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.floor.closed.store(false, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.floor.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}
