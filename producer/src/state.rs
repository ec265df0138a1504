//! What every request shares: the queue, the store for reading, who may call, and the clock. Both
//! stores connect when they are first used, so the process starts while either is away.

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::Clock;
use payfleet_core::kinds::JobKind;
use payfleet_queue::Queue;
use payfleet_store::Store;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::auth::Tokens;
use crate::config::Config;
use crate::endpoints::router;
use crate::redis_check::{NotFit, check};
use crate::secrets::WebhookSecrets;
use crate::{ServeError, server};

/// Connections to Postgres: reads only, so few.
const STORE_CONNECTIONS: u32 = 8;

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    queue: Queue,
    store: Store,
    tokens: Tokens,
    webhook_secrets: WebhookSecrets,
    request_timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl AppState {
    /// Opens both stores. Neither has to answer; but a Redis that does, and that would lose jobs by
    /// its settings, is refused. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`] where a URL cannot be used, or Redis must not be given work.
    pub async fn open(config: Config) -> Result<Self, ServeError> {
        let queue = Queue::open(payfleet_queue::Config {
            prefix: config.queue_prefix,
            durability: config.durability,
            queues: Some(JobKind::ALL.into_iter().filter_map(|kind| kind.queue().ok()).collect()),
            ..payfleet_queue::Config::new(config.redis_url.expose_secret())
        })?;
        match check(&queue).await {
            Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("Redis: {warning}.")),
            Err(NotFit::Away(error)) => tracing::warn!(%error, "Starting without Redis: not ready yet."),
            Err(NotFit::Unsafe(why)) => return Err(ServeError::UnsafeRedis(why)),
        }
        Ok(Self(Arc::new(Shared {
            queue,
            store: Store::connect_lazy(config.database_url.expose_secret(), STORE_CONNECTIONS)?,
            tokens: config.tokens,
            webhook_secrets: config.webhook_secrets,
            request_timeout: config.request_timeout,
            clock: config.clock,
        })))
    }

    /// Serves on `listener` until `stop`, then finishes what is under way.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        // Every request has ended after its body's time and its own, so no more is needed, but by an
        // export that is still being read: it is broken off, and its reader sees that it is.
        let grace = self.request_timeout().saturating_mul(2);
        server::run(router(self), listener, stop, grace).await;
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.0.queue
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn webhook_secrets(&self) -> &WebhookSecrets {
        &self.0.webhook_secrets
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.0.request_timeout
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }
}
