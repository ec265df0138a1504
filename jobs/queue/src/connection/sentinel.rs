//! Asking the sentinels which server is the primary.
//!
//! What a sentinel says may be old: the server is asked too, and refused unless it says that it is
//! the primary. An old primary that was cut off from its sentinels says so as well, so they are
//! asked again every few seconds while we use it.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, ErrorKind, RedisError, RedisResult, Value};
use tokio::time::Instant;

use super::address::Nodes;
use super::{Address, connect};

/// How long one sentinel may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// How often they are asked whether the primary is still the one that is used.
const ASK_AGAIN: Duration = Duration::from_secs(4);

pub(super) struct Sentinels {
    clients: Vec<Client>,
    primary: String,
    nodes: Nodes,
    /// The one that answered last is asked first.
    first: AtomicUsize,
    asked: std::sync::Mutex<Option<Instant>>,
}

impl Sentinels {
    pub(super) fn new(clients: Vec<Client>, primary: String, nodes: Nodes) -> Self {
        Self { clients, primary, nodes, first: AtomicUsize::new(0), asked: std::sync::Mutex::default() }
    }

    /// Connects to the primary.
    pub(super) async fn connect(
        &self,
        response: Option<Duration>,
    ) -> RedisResult<(MultiplexedConnection, Address)> {
        let mut last = RedisError::from((ErrorKind::Io, "no sentinel answers"));
        for (position, sentinel) in self.in_turn() {
            let connected = async {
                let address = self.ask(sentinel).await?;
                let mut connection = connect(&self.nodes.client(&address)?, response).await?;
                is_primary(&mut connection).await?;
                Ok((connection, address))
            };
            match connected.await {
                Ok(connected) => {
                    self.first.store(position, Ordering::Relaxed);
                    self.note_asked();
                    return Ok(connected);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The primary's address by the first sentinel that answers, if it is time to ask again.
    pub(super) async fn ask_again(&self) -> Option<Address> {
        let due = |asked: &Instant| asked.elapsed() >= ASK_AGAIN;
        if !self.asked.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(due) {
            return None;
        }
        self.note_asked();
        for (position, sentinel) in self.in_turn() {
            if let Ok(address) = self.ask(sentinel).await {
                self.first.store(position, Ordering::Relaxed);
                return Some(address);
            }
        }
        None
    }

    fn note_asked(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn in_turn(&self) -> impl Iterator<Item = (usize, &Client)> {
        let first = self.first.load(Ordering::Relaxed);
        let all = self.clients.iter().enumerate();
        all.clone().skip(first).chain(all.take(first))
    }

    async fn ask(&self, sentinel: &Client) -> RedisResult<Address> {
        let answer = async {
            let mut connection = connect(sentinel, Some(ASK_TIMEOUT)).await?;
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.primary);
            ask.query_async::<Option<(String, u16)>>(&mut connection).await
        };
        let silent = |_| RedisError::from((ErrorKind::Io, "a sentinel does not answer"));
        let unknown = || {
            RedisError::from((
                ErrorKind::Io,
                "the sentinels know no primary of this name",
                self.primary.clone(),
            ))
        };
        let (host, port) =
            tokio::time::timeout(ASK_TIMEOUT, answer).await.map_err(silent)??.ok_or_else(unknown)?;
        Ok(format!("{host}:{port}"))
    }
}

/// Refuses a server that says it is none.
async fn is_primary(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    match redis::cmd("ROLE").query_async::<Vec<Value>>(connection).await {
        Ok(role) if role.first() == Some(&Value::BulkString(b"master".to_vec())) => Ok(()),
        Ok(_) => {
            Err(RedisError::from((ErrorKind::Io, "the sentinels still name a server that is a replica")))
        }
        // A user that may not ask: then the first write finds out.
        Err(error) if error.code() == Some("NOPERM") => Ok(()),
        Err(error) => Err(error),
    }
}
