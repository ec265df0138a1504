//! What every request shares: the queue, the store for reading, who may call, and the clock. Both
//! stores connect when they are first used, so the process starts while either is away.

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::Clock;
use payfleet_queue::Queue;
use payfleet_store::Store;
use secrecy::ExposeSecret;

use crate::ServeError;
use crate::auth::Tokens;
use crate::config::Config;
use crate::secrets::WebhookSecrets;

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
    /// Opens both stores, without connecting yet. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`] where a URL cannot be used.
    pub fn open(config: Config) -> Result<Self, ServeError> {
        let mut queue = payfleet_queue::Config::new(config.redis_url.expose_secret());
        queue.prefix = config.queue_prefix;
        Ok(Self(Arc::new(Shared {
            queue: Queue::open(queue)?,
            store: Store::connect_lazy(config.database_url.expose_secret(), STORE_CONNECTIONS)?,
            tokens: config.tokens,
            webhook_secrets: config.webhook_secrets,
            request_timeout: config.request_timeout,
            clock: config.clock,
        })))
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
