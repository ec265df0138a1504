//! The queue as an apalis backend.
//!
//! apalis polls this for jobs and runs the handlers; everything that touches Redis runs in tasks
//! of its own: one takes jobs, one renews every lease that is held, one sends the outcomes, one
//! sees to jobs that may have ended a worker. So neither a slow handler nor a worker loop that stops being polled nor a Redis
//! that is gone can end a heartbeat, drop a running handler or end the worker: [`Backend::poll_next`]
//! never yields an error.
//!
//! A handler gets a [`Delivery`] and returns an [`Outcome`], or an error, which counts as a failed
//! attempt. Neither shutdown nor a lost lease cancels it.

mod admission;
mod delivery;
mod fetcher;
mod floor;
mod hold;
mod keeper;
mod layer;
mod pace;
mod progress;
mod settler;
mod suspects;
mod trouble;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::into_response::IntoResponse;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use payfleet_core::backoff::Backoff;
use payfleet_core::job::QueueName;
use tracing::Instrument;

pub use delivery::{Delivery, LeaseHandle};
pub(crate) use floor::Floor;
use hold::Hold;
pub use layer::{SettleLayer, SettleService, Started};
pub use progress::ProgressHandle;

use crate::limits::Limiter;
use crate::{Outcome, Queue};

/// How a worker works on one queue.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    /// The worker's name, as operators see it beside its jobs.
    pub worker: String,
    /// Jobs at a time. Beside them no more are leased than will start within moments.
    pub concurrency: usize,
    /// How often leases are renewed; at most a third of a lease is used. Default 10 s, which means that third.
    pub renew_every: Duration,
    /// The pause after a handler's error or panic.
    pub retry: Backoff,
    /// What the queue's jobs call is limited by these: no more jobs are taken than could call at once.
    /// Each call still takes a permit of its own. Default: none.
    pub limiters: Vec<Limiter>,
}

impl BackendOptions {
    /// Defaults for a worker of this name: 16 jobs at a time.
    #[must_use]
    pub fn new(worker: impl Into<String>) -> Self {
        Self {
            worker: worker.into(),
            concurrency: 16,
            renew_every: Duration::from_secs(10),
            retry: Backoff { base_ms: 1_000, cap_ms: 300_000 },
            limiters: Vec::new(),
        }
    }
}

/// One worker's share of one queue.
///
/// Closing it waits until Redis has taken every outcome, so a service gives its shutdown a limit;
/// what is cut off there comes back when the leases expire.
#[derive(Debug)]
pub struct RedisBackend {
    hold: Arc<Hold>,
    options: BackendOptions,
    started: bool,
}

impl RedisBackend {
    /// A backend for `name`. Starts its tasks when a worker first polls it, on the worker's runtime.
    #[must_use]
    pub fn new(queue: Queue, name: QueueName, options: BackendOptions) -> Self {
        let hold = Arc::new(Hold::new(queue, name, options.clone()));
        Self { hold, options, started: false }
    }

    /// Tells whether this backend gets on.
    #[must_use]
    pub fn progress(&self) -> ProgressHandle {
        ProgressHandle::new(Arc::clone(&self.hold))
    }

    fn start(&mut self, worker: &WorkerContext) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.hold.begin_fetching();
        spawn(fetcher::run(Arc::clone(&self.hold), worker.clone()));
        spawn(keeper::run(Arc::clone(&self.hold)));
        spawn(settler::run(Arc::clone(&self.hold)));
        spawn(suspects::run(Arc::clone(&self.hold)));
    }
}

impl Drop for RedisBackend {
    /// Leases that were not started go back; running handlers finish and are settled.
    fn drop(&mut self) {
        self.hold.stop();
    }
}

impl Backend for RedisBackend {
    type Task = Task<Delivery>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.start(worker);
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        match self.hold.start_next(cx.waker()) {
            Some(delivery) => Poll::Ready(Some(Ok(task(delivery)))),
            None => Poll::Pending,
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.hold.stop();
        if self.hold.is_finished(cx.waker()) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl BackendConfig for RedisBackend {
    type Args = Delivery;
    type Id = String;
    type Kind = Ephemeral;
    type Config = BackendOptions;
    type Layer = SettleLayer;

    fn config(&self) -> &BackendOptions {
        &self.options
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> SettleLayer {
        SettleLayer::new(Arc::clone(&self.hold))
    }
}

impl IntoResponse for Outcome {
    type Output = Self;

    fn into_response(self) -> Result<Self, BoxDynError> {
        Ok(self)
    }
}

fn task(delivery: Delivery) -> Task<Delivery> {
    let id = TaskId::from_string(delivery.job.envelope.id.to_string());
    let before = delivery.job.attempt.saturating_sub(1);
    let attempt = usize::try_from(before).unwrap_or(usize::MAX);
    TaskBuilder::new(delivery).task_id(id).attempt(attempt).build()
}

/// Starts a task within the present span; this crate may not use payfleet-process, which would.
pub(crate) fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    spawn_on(&tokio::runtime::Handle::current(), future)
}

/// The same from where no runtime may be entered, as in a destructor.
pub(crate) fn spawn_on<T: Send + 'static>(
    runtime: &tokio::runtime::Handle,
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    runtime.spawn(future.in_current_span())
}
