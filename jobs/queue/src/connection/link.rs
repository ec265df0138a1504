//! The shared connection to one server.

use std::sync::PoisonError;
use std::time::Duration;

use payfleet_core::backoff::Backoff;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Address, Connector, RESPONSE_TIMEOUT};
use crate::Error;

const RECONNECT: Backoff = Backoff { base_ms: 50, cap_ms: 1_000 };

/// Failed attempts are spaced by jittered backoff, and while one is pending callers fail at once
/// rather than queue up behind a dead server.
pub(crate) struct Link {
    pub(super) connector: Connector,
    state: Mutex<State>,
    /// Where the latest connection led.
    address: std::sync::Mutex<Option<Address>>,
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
    pub(super) fn new(connector: Connector) -> Self {
        let state =
            State { connection: None, generation: 0, failures: 0, retry: None, rng: fastrand::Rng::new() };
        Self { connector, state: Mutex::new(state), address: std::sync::Mutex::default() }
    }

    /// The present connection and its generation; connects if there is none.
    pub(super) async fn get(&self) -> Result<(MultiplexedConnection, u64), Error> {
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
            Ok((connection, address)) => {
                *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
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

    /// Where the latest connection led.
    pub(super) fn address(&self) -> Option<Address> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Drops the connection of `generation`, if it is still the present one.
    pub(super) async fn discard(&self, generation: u64) {
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.connection = None;
        }
    }

    /// Drops the present connection, whichever it is.
    pub(super) async fn reset(&self) {
        self.state.lock().await.connection = None;
    }
}
