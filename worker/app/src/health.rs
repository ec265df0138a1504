//! What whoever runs the fleet asks a worker: `GET /healthz`, the process is up; `GET /readyz`, it gets
//! on. An open connection proves nothing: ready is who has been given work lately, or the word that
//! there is none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use payfleet_core::job::QueueName;
use payfleet_queue::backend::ProgressHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// For how long a queue may give no answer. Longer than an idle worker waits for one.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// How the backends of a worker get on. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<BTreeMap<QueueName, ProgressHandle>>>);

impl Health {
    /// Looks at this backend of `queue` from now on; at none before it.
    pub(crate) fn watch(&self, queue: QueueName, progress: ProgressHandle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(queue, progress);
    }

    fn stalled(&self) -> Vec<String> {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stalled = watched.iter().filter(|(_, progress)| !progress.is_ready(STALLED_AFTER));
        stalled.map(|(queue, _)| queue.to_string()).collect()
    }
}

/// A socket for [`serve`].
///
/// # Errors
/// The address cannot be listened on.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "Health is told.");
    Ok(listener)
}

/// Answers until `stop`.
pub(crate) async fn serve(listener: TcpListener, health: Health, stop: CancellationToken) {
    let routes = Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "up" }))))
        .route("/readyz", get(ready))
        .with_state(health);
    let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!(%error, "Health is not told any more.");
    }
}

async fn ready(State(health): State<Health>) -> Response {
    let stalled = health.stalled();
    if stalled.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    let body = json!({ "status": "stalled", "queues": stalled });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}
