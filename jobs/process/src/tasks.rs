//! Background tasks that keep the span they were started in and say so when they panic.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument;

/// Runs `future` in the background, inside the current span. A panic in it is logged under `name`
/// and reaches whoever awaits the handle.
///
/// Needs a running tokio runtime.
#[expect(clippy::disallowed_methods, reason = "this is the wrapper that names tasks and keeps their span")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let task = async move {
        let _watch = PanicWatch { name };
        future.await
    };
    tokio::spawn(task.in_current_span())
}

/// Dropped in the middle of unwinding when the task panics.
struct PanicWatch {
    name: &'static str,
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task.name = self.name, "A background task panicked.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_hands_back_its_output_or_its_panic() {
        assert_eq!(spawn("sum", async { 1 + 1 }).await.unwrap(), 2);
        assert!(spawn("panic", async { panic!("on purpose") }).await.unwrap_err().is_panic());
    }
}
