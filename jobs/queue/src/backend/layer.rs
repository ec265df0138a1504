//! Runs each handler so that nothing cancels it, and sends what it returned.
//!
//! apalis puts this around all other layers. A handler is polled once where it is; one that has to
//! wait goes on on a task of its own, so that shutdown, a lost connection or a dropped worker cannot
//! cancel it between two effects. One that never waits, most of all, costs no task.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use futures::FutureExt;
use futures::future::CatchUnwind;
use payfleet_core::job::Failure;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::hold::Hold;
use super::pace::INLINE;
use super::{Delivery, spawn};
use crate::{LeaseRef, Outcome, Settlement};

/// Wraps the handler of a worker; [`super::RedisBackend`] brings it along.
#[derive(Clone, Debug)]
pub struct SettleLayer {
    hold: Arc<Hold>,
}

impl SettleLayer {
    pub(super) fn new(hold: Arc<Hold>) -> Self {
        Self { hold }
    }
}

impl<S> Layer<S> for SettleLayer {
    type Service = SettleService<S>;

    fn layer(&self, inner: S) -> SettleService<S> {
        SettleService { hold: Arc::clone(&self.hold), inner }
    }
}

/// See [`SettleLayer`].
#[derive(Clone, Debug)]
pub struct SettleService<S> {
    hold: Arc<Hold>,
    inner: S,
}

/// How a handler's future ended: with an answer, or with a panic.
type Ended<E> = Result<Result<Outcome, E>, Box<dyn Any + Send>>;

impl<S> Service<Task<Delivery>> for SettleService<S>
where
    S: Service<Task<Delivery>, Response = Outcome>,
    S::Error: Into<BoxDynError> + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = Started<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let run = Run {
            hold: Arc::clone(&self.hold),
            lease: task.args.lease.lease(),
            attempt: task.args.job.attempt,
            suspect: task.args.lease.is_suspect(),
        };
        // A handler that is a plain function may panic before there is a future.
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(task)));
        let step = match called {
            Ok(future) => Step::Fresh(Box::pin(AssertUnwindSafe(future).catch_unwind())),
            Err(panic) => Step::Ended(Err(panic)),
        };
        Started { state: Some((run, step)) }
    }
}

/// One delivery: whose it is, and what its outcome needs.
struct Run {
    hold: Arc<Hold>,
    lease: LeaseRef,
    attempt: u32,
    suspect: bool,
}

type Handler<F> = Pin<Box<CatchUnwind<AssertUnwindSafe<F>>>>;

enum Step<F: Future, E> {
    Fresh(Handler<F>),
    Ended(Ended<E>),
}

/// A handler that was called. It is polled once; then it has ended, or lives on by itself and its
/// outcome is the hold's affair alone.
#[must_use = "futures do nothing unless polled"]
pub struct Started<F: Future, E> {
    state: Option<(Run, Step<F, E>)>,
}

impl<F: Future, E> std::fmt::Debug for Started<F, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started").finish_non_exhaustive()
    }
}

// What is pinned in it is in a box.
impl<F: Future, E> Unpin for Started<F, E> {}

impl<F, E> Future for Started<F, E>
where
    F: Future<Output = Result<Outcome, E>> + Send + 'static,
    E: Into<BoxDynError> + Send + 'static,
{
    type Output = Result<(), BoxDynError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((run, step)) = self.state.take() else {
            return Poll::Ready(Ok(()));
        };
        let mut handler = match step {
            Step::Fresh(handler) => handler,
            Step::Ended(ended) => return Poll::Ready(run.finish(ended)),
        };
        if !run.hold.pace.spawns() {
            let began = Instant::now();
            let polled = handler.as_mut().poll(cx);
            if began.elapsed() > INLINE {
                run.hold.pace.held_up();
            }
            if let Poll::Ready(ended) = polled {
                return Poll::Ready(run.finish(ended));
            }
        }
        spawn(async move { run.finish(handler.await) });
        Poll::Ready(Ok(()))
    }
}

impl<F: Future, E> Drop for Started<F, E> {
    /// Never polled: the worker went away first. The job was not begun, so its lease may expire.
    fn drop(&mut self) {
        if let Some((run, _)) = self.state.take() {
            run.hold.dropped(run.lease, run.suspect);
        }
    }
}

impl Run {
    fn finish<E: Into<BoxDynError>>(&self, ended: Ended<E>) -> Result<(), BoxDynError> {
        let (outcome, answer) = match ended {
            Ok(Ok(outcome)) => (outcome, Ok(())),
            Ok(Err(error)) => {
                let error = error.into();
                (self.retry("handler_error", error.to_string()), Err(error))
            }
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                (self.retry("panic", message.clone()), Err(message.into()))
            }
        };
        self.hold.handler_ended(Settlement { lease: self.lease, outcome }, self.suspect);
        answer
    }

    fn retry(&self, code: &str, message: String) -> Outcome {
        let delay = self.hold.options.retry.delay_ms(self.attempt, &mut fastrand::Rng::new());
        let failure = Failure { class: "retryable".to_owned(), code: code.to_owned(), message };
        Outcome::Retry { delay: Duration::from_millis(delay), failure }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the handler panicked: {}", text.as_deref().unwrap_or("without a message"))
}
