//! What a handler gets.

use payfleet_core::Timestamp;
use payfleet_core::job::Job;
use tokio_util::sync::CancellationToken;

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
    lost: CancellationToken,
}

impl LeaseHandle {
    /// Whether the queue has given the job to someone else, or may do so.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Returns once [`Self::is_lost`].
    pub async fn lost(&self) {
        self.lost.cancelled().await;
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

    pub(super) fn lose(&self) {
        self.lost.cancel();
    }
}

impl From<Leased> for Delivery {
    fn from(leased: Leased) -> Self {
        let Leased { job, lease, leased_at } = leased;
        Self { job, lease: LeaseHandle { lease, leased_at, lost: CancellationToken::new() } }
    }
}
