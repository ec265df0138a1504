//! Connections that come back by themselves, to wherever a queue's keys are.
//!
//! [`Routes`] knows which server has a key: the one there is, the primary that the sentinels name,
//! or the cluster's node that owns the slot. To each server it keeps a [`Link`], which connects on
//! first use, hands out clones of one multiplexed connection, and replaces it after any error that
//! leaves it in doubt. Nothing above this module knows which topology it talks to.

mod address;
mod cluster;
mod link;
mod routes;
mod sentinel;
mod slot;

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

pub(crate) use routes::{Own, Routes};
use sentinel::Sentinels;

/// How long a command may take before its connection counts as stalled.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands that may wait in memory before callers are held back.
const PIPELINE: usize = 1024;

/// A server, as `host:port`.
type Address = String;

/// Makes connections to one server, or to whichever is the primary just now.
enum Connector {
    Node(Client, Address),
    Primary(Sentinels),
}

impl Connector {
    /// A connection of the caller's own, and where it leads; `None` lets a response take for ever.
    async fn connect(&self, response: Option<Duration>) -> RedisResult<(MultiplexedConnection, Address)> {
        match self {
            Self::Node(client, address) => Ok((connect(client, response).await?, address.clone())),
            Self::Primary(sentinels) => sentinels.connect(response).await,
        }
    }
}

/// Connects with our settings, and proves that the server answers us.
async fn connect(client: &Client, response: Option<Duration>) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(response)
        .set_pipeline_buffer_size(PIPELINE);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    // A missing password would show only later, as a closed socket or a protocol error.
    let _: String = redis::cmd("PING").query_async(&mut connection).await?;
    Ok(connection)
}
