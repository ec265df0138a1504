//! Runs each handler on a task of its own and sends what it returned.
//!
//! apalis puts this around all other layers. The task is what keeps shutdown, a lost connection
//! or a dropped worker from cancelling a handler between two effects.

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
use payfleet_core::job::Failure;
use tower::{Layer, Service};

use super::hold::Hold;
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
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let attempt = task.args.job.attempt;
        let lease = task.args.lease.lease();
        let hold = Arc::clone(&self.hold);
        // A handler that is a plain function may panic before there is a future.
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(task)));
        let running = spawn(async move {
            let ended = match called {
                Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            finish(&hold, lease, attempt, ended)
        });
        // The join fails only when the runtime itself goes down.
        Box::pin(async move { running.await.unwrap_or_else(|error| Err(error.into())) })
    }
}

fn finish<E: Into<BoxDynError>>(
    hold: &Hold,
    lease: LeaseRef,
    attempt: u32,
    ended: Ended<E>,
) -> Result<(), BoxDynError> {
    let (outcome, answer) = match ended {
        Ok(Ok(outcome)) => (outcome, Ok(())),
        Ok(Err(error)) => {
            let error = error.into();
            (retry(hold, attempt, "handler_error", error.to_string()), Err(error))
        }
        Err(panic) => {
            let message = panic_message(panic.as_ref());
            (retry(hold, attempt, "panic", message.clone()), Err(message.into()))
        }
    };
    hold.handler_ended(Settlement { lease, outcome });
    answer
}

fn retry(hold: &Hold, attempt: u32, code: &str, message: String) -> Outcome {
    let delay = hold.options.retry.delay_ms(attempt, &mut fastrand::Rng::new());
    let failure = Failure { class: "retryable".to_owned(), code: code.to_owned(), message };
    Outcome::Retry { delay: Duration::from_millis(delay), failure }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the handler panicked: {}", text.as_deref().unwrap_or("without a message"))
}
