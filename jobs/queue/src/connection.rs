//! Connections that come back by themselves.
//!
//! A [`Link`] connects on first use, hands out clones of one multiplexed connection, and replaces
//! it after any error that leaves it in doubt: a dropped socket, a response that did not come in
//! time, a primary that became a replica. Failed attempts are spaced by jittered backoff, and while
//! one is pending callers fail at once rather than queue up behind a dead server.

use std::time::Duration;

use payfleet_core::backoff::Backoff;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisResult};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;

/// How long a command may take before its connection counts as stalled.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands that may wait in memory before callers are held back.
const PIPELINE: usize = 1024;
const RECONNECT: Backoff = Backoff { base_ms: 50, cap_ms: 1_000 };

/// Makes connections with our settings.
#[derive(Clone)]
pub(crate) struct Connector {
    client: Client,
}

impl Connector {
    /// Checks the URL; connects nowhere.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let invalid = |e: redis::RedisError| Error::InvalidUrl { reason: e.to_string() };
        let info = url.into_connection_info().map_err(invalid)?;
        // A half-open socket is noticed by the kernel, whether we are sending or only waiting.
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(5))
            .with_interval(Duration::from_secs(2))
            .with_retries(3);
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(Duration::from_secs(5));
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(invalid)?;
        Ok(Self { client })
    }

    /// A connection of the caller's own; `None` lets a response take for ever.
    pub(crate) async fn connect(&self, response: Option<Duration>) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(response)
            .set_pipeline_buffer_size(PIPELINE);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        // A missing password would show only later, as a closed socket or a protocol error.
        let _: String = redis::cmd("PING").query_async(&mut connection).await?;
        Ok(connection)
    }
}

/// The shared connection for commands.
pub(crate) struct Link {
    connector: Connector,
    state: Mutex<State>,
}

struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that one is discarded once however many callers saw it fail.
    generation: u64,
    failures: u32,
    /// No attempt before this; until then callers get the last reason.
    retry: Option<(Instant, Error)>,
    rng: fastrand::Rng,
}

impl Link {
    pub(crate) fn new(connector: Connector) -> Self {
        let state =
            State { connection: None, generation: 0, failures: 0, retry: None, rng: fastrand::Rng::new() };
        Self { connector, state: Mutex::new(state) }
    }

    /// The present connection and its generation; connects if there is none.
    pub(crate) async fn get(&self) -> Result<(MultiplexedConnection, u64), Error> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.generation));
        }
        if let Some((at, reason)) = &state.retry
            && Instant::now() < *at
        {
            return Err(reason.clone());
        }
        match self.connector.connect(Some(RESPONSE_TIMEOUT)).await {
            Ok(connection) => {
                state.generation = state.generation.wrapping_add(1);
                state.failures = 0;
                state.retry = None;
                state.connection = Some(connection.clone());
                Ok((connection, state.generation))
            }
            Err(error) => {
                let error = Error::from_redis(&error, None);
                state.failures = state.failures.saturating_add(1);
                let failures = state.failures;
                // Never nothing: callers that queued up behind this attempt must find it failed.
                let delay = RECONNECT.delay_ms(failures, &mut state.rng).max(10);
                state.retry = Some((Instant::now() + Duration::from_millis(delay), error.clone()));
                Err(error)
            }
        }
    }

    /// Drops the connection of `generation`, if it is still the present one.
    pub(crate) async fn discard(&self, generation: u64) {
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.connection = None;
        }
    }
}
