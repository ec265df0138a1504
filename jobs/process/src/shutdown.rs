//! Being asked to stop: SIGTERM from a supervisor or SIGINT from a terminal, as one token.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::spawn;

/// A token that is cancelled by the first SIGTERM or SIGINT. From the moment this returns, neither
/// ends the process by itself: whoever holds the token must stop.
///
/// Needs a running tokio runtime.
#[must_use]
pub fn shutdown_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            spawn("shutdown signal", async move {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                tracing::info!(signal.name = name, "Asked to stop.");
                stop.cancel();
            });
        }
        (Err(error), _) | (_, Err(error)) => {
            // The default action of both signals stays in place, so the process can still be ended.
            tracing::error!(%error, "Signals cannot be handled: this process will not stop cleanly.");
        }
    }
    token
}
