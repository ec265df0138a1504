//! The socket: accepts connections, hands each to the router, and on the way out lets requests that
//! are under way finish. Slow headers, too many connections and a peer that never hangs up are
//! bounded here; slow and large bodies in `bounds`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How many connections are served at once; further ones wait in the listener's backlog.
const MOST_CONNECTIONS: usize = 1_024;
/// How long a peer may take over a request's headers, and how long a connection may stay idle:
/// longer than load balancers do (60 s), or they would reuse one that is just being closed.
const HEADERS_WITHIN: Duration = Duration::from_secs(75);
/// How long to wait after the socket could not accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `router` on `listener` until `stop`; then gives what is under way `grace` to finish.
pub(crate) async fn run(router: Router, listener: TcpListener, stop: CancellationToken, grace: Duration) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while let Some((stream, place)) = next_connection(&listener, &places, &stop).await {
        let connection = serve_connection(router.clone(), stream, graceful.watcher(), place);
        payfleet_process::spawn("http connection", connection);
    }
    drop(listener);
    tracing::info!("No longer accepting; requests under way are being finished.");
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(grace_ms = grace.as_millis(), "Some connections did not end in time.");
    }
}

/// The next connection and its place, or `None` once asked to stop.
async fn next_connection(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        Some((accept(listener).await, place))
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::error!(%error, "A connection could not be accepted.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors about one connection that is gone already; the next may well be fine.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve_connection(router: Router, stream: TcpStream, watcher: Watcher, place: OwnedSemaphorePermit) {
    // Without this an answer may wait 40 ms for the peer's acknowledgement of its headers.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set.");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "A connection ended early.");
    }
    drop(place);
}
