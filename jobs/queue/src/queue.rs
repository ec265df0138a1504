//! The handle, and how a script's call reaches Redis.

use std::sync::Arc;
use std::time::Duration;

use payfleet_core::job::QueueName;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind};

use crate::backend::Floor;
use crate::connection::Routes;
use crate::scripts::{Script, Scripts};
use crate::together::Together;
use crate::{Config, Error, keys};

/// A handle to all queues of one prefix on one Redis; cheap to clone.
#[derive(Clone)]
pub struct Queue {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) scripts: Scripts,
    pub(crate) routes: Routes,
    /// Enqueue calls that go out together.
    pub(crate) together: Together,
    /// Which handlers of this process may run now.
    pub(crate) floor: Arc<Floor>,
}

/// Whether a call is sent again when its connection turns out to be dead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// For calls that do the same when done twice.
    Once,
    /// For calls whose first answer must not be lost.
    Never,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Queue {
    /// Checks the configuration. Connects on first use and again whenever needed, so this works
    /// while Redis is down.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`].
    pub fn open(config: Config) -> Result<Self, Error> {
        let inner = Inner {
            scripts: Scripts::new(&config.time, config.scripts.as_deref()),
            routes: Routes::new(&config.url, config.tls.as_ref())?,
            config,
            together: Together::default(),
            floor: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not, [`Error::Refused`] when it does not let us in.
    pub async fn ping(&self) -> Result<(), Error> {
        self.command::<String>(&redis::cmd("PING")).await.map(|_| ())
    }

    /// Has the next call connect anew.
    pub(crate) async fn reconnect(&self) {
        self.inner.routes.reset().await;
    }

    pub(crate) fn tag(&self, queue: &QueueName) -> String {
        keys::tag(&self.inner.config.prefix, queue)
    }

    /// Sends a plain command on the shared connection.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.send(None, command, Repeat::Once).await.map_err(|e| e.into_error(None))
    }

    /// Runs a script on the shared connection.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Cmd,
        queue: Option<&QueueName>,
        repeat: Repeat,
    ) -> Result<T, Error> {
        self.send(Some(script), call, repeat).await.map_err(|e| e.into_error(queue))
    }

    async fn send<T: FromRedisValue>(
        &self,
        script: Option<&Script>,
        call: &Cmd,
        repeat: Repeat,
    ) -> Result<T, Failed> {
        let mut again = repeat == Repeat::Once;
        let mut redirects = 2_u8;
        loop {
            let (mut connection, used) = self.inner.routes.get(call).await.map_err(Failed::Connecting)?;
            let answer = match script {
                Some(script) => run_on(&mut connection, script, call).await,
                None => call.query_async(&mut connection).await,
            };
            let error = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if self.inner.routes.failed(&used, &error).await && redirects > 0 {
                redirects = redirects.saturating_sub(1);
                continue;
            }
            // A connection that died while idle is noticed only now; a slow one is not tried again.
            if !(again && error.is_connection_dropped()) {
                return Err(Failed::Answer(error));
            }
            again = false;
        }
    }
}

enum Failed {
    Connecting(Error),
    Answer(redis::RedisError),
}

impl Failed {
    fn into_error(self, queue: Option<&QueueName>) -> Error {
        match self {
            Self::Connecting(error) => error,
            Self::Answer(error) => Error::from_redis(&error, queue),
        }
    }
}

/// Runs a script, handing its text over first if this Redis does not have it.
pub(crate) async fn run_on<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    script: &Script,
    call: &Cmd,
) -> RedisResult<T> {
    match call.query_async(connection).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.load(connection).await?;
            call.query_async(connection).await
        }
        answer => answer,
    }
}

/// Whole milliseconds, as the scripts count.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(MAX_DELAY_MS)
}

/// 100 years: keeps due times within what a double and 6 bytes can hold.
pub(crate) const MAX_DELAY_MS: u64 = 100 * 365 * 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[test]
    fn calls_can_be_awaited_on_any_thread() {
        let queue = Queue::open(Config::new("redis://127.0.0.1:1")).unwrap();
        let name = QueueName::try_from("q").unwrap();
        let id = payfleet_core::JobId::named("test", &[]);
        is_send(&queue.ping());
        is_send(&queue.enqueue(&[]));
        is_send(&queue.take(&name, "w", 1));
        is_send(&queue.renew(&name, &[]));
        is_send(&queue.settle(&name, &[]));
        is_send(&queue.release(&name, &[]));
        is_send(&queue.find(&name, id));
        is_send(&queue.stats(&[]));
        is_send(&queue.dead(&name, 1));
        is_send(&queue.remove_dead(&name, &[]));
        is_send(&queue.claim_tick("s", 1));
        is_send(&queue.waiter(&name).wait(Duration::ZERO));
        is_send(&crate::admin::check_server(&queue));
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_and_not_repeated_in_the_error() {
        let error = Queue::open(Config::new("http://user:hunter2@nowhere")).unwrap_err();
        assert!(matches!(error, Error::InvalidUrl { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}
