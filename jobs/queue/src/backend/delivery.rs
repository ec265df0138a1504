//! What a handler gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use payfleet_core::Timestamp;
use payfleet_core::job::Job;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{LeaseRef, Leased};

/// A job and the lease under which this worker may run it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The job.
    pub job: Job,
    /// The lease.
    pub lease: LeaseHandle,
}

/// Tells a handler whether the job is still its own. Losing it cancels nothing: the handler
/// decides, and what it returns is refused by the queue.
#[derive(Clone, Debug)]
pub struct LeaseHandle {
    lease: LeaseRef,
    leased_at: Timestamp,
    suspect: bool,
    arrived: Instant,
    lost: Arc<Lost>,
}

#[derive(Debug, Default)]
struct Lost {
    is: AtomicBool,
    told: Notify,
}

impl LeaseHandle {
    /// Whether the queue has given the job to someone else, or may do so.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.is.load(Ordering::Acquire)
    }

    /// Returns once [`Self::is_lost`].
    pub async fn lost(&self) {
        loop {
            // Asked for before looking, so that what happens in between is not missed.
            let told = self.lost.told.notified();
            if self.is_lost() {
                return;
            }
            told.await;
        }
    }

    /// The proof itself.
    #[must_use]
    pub const fn lease(&self) -> LeaseRef {
        self.lease
    }

    /// When the job was handed out, by Redis' clock.
    #[must_use]
    pub const fn leased_at(&self) -> Timestamp {
        self.leased_at
    }

    /// Whether an earlier lease on the job expired: it runs alone in this process.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// For how long this process has had it.
    pub(super) fn here_for(&self) -> Duration {
        self.arrived.elapsed()
    }

    pub(super) fn lose(&self) {
        self.lost.is.store(true, Ordering::Release);
        self.lost.told.notify_waiters();
    }
}

impl From<Leased> for Delivery {
    fn from(leased: Leased) -> Self {
        let Leased { job, lease, leased_at, suspect } = leased;
        let arrived = Instant::now();
        Self { job, lease: LeaseHandle { lease, leased_at, suspect, arrived, lost: Arc::default() } }
    }
}
