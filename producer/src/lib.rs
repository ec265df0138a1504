//! The intake: webhooks and API requests over HTTP, which only enqueue jobs.
//!
//! It writes to Redis and nowhere else. Postgres is read for `GET`s only, and a `POST` that answers
//! 2xx never needed it: the answer means that the job is in Redis as durably as was asked for.
//! Every request is bounded in bytes and time, runs in one span that continues its caller's trace,
//! and ends in one log line.

mod auth;
mod bounds;
mod config;
mod endpoints;
mod export;
mod fields;
mod idempotency;
mod json;
mod observe;
mod openapi;
mod operations;
mod parameters;
mod problem;
mod qr;
mod redis_check;
mod schemas;
mod secrets;
mod selection;
mod server;
mod state;
mod unavailable;
mod view;

pub use auth::{Tokens, TokensError};
pub use config::Config;
pub use endpoints::router;
pub use openapi::contract;
pub use secrets::WebhookSecrets;
pub use state::AppState;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why the producer did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The queue cannot be opened as configured.
    #[error("the queue cannot be used: {0}")]
    Queue(#[from] payfleet_queue::Error),
    /// The store cannot be opened as configured.
    #[error("the store cannot be used: {0}")]
    Store(#[from] payfleet_store::StoreError),
    /// Redis answers, and what it is set to would lose accepted jobs.
    #[error("this Redis must not be given work: {0}")]
    UnsafeRedis(String),
}

/// Opens the stores and serves on `listener` until `stop`, then finishes what is under way. Stores
/// that are away are no reason not to start, nor to stop.
///
/// # Errors
/// As [`AppState::open`]; nothing after that ends the service.
pub async fn serve(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
    AppState::open(config).await?.serve(listener, stop).await;
    Ok(())
}
