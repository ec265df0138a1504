//! From a command to the connection that it belongs on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind};

use super::address::{Parsed, parse};
use super::cluster::Cluster;
use super::link::Link;
use super::sentinel::Sentinels;
use super::{Address, Connector, RESPONSE_TIMEOUT, slot};
use crate::Error;
use crate::error::spoils_connection;
use crate::tls::Tls;

/// Idle connections of callers' own that are kept.
const IDLE: usize = 16;

/// All connections of a queue handle.
pub(crate) struct Routes {
    topology: Topology,
    /// Connections on which one enqueue at a time waits for replicas.
    idle: Mutex<Vec<Own>>,
}

enum Topology {
    /// A single server, or the primary of the sentinels.
    One(Arc<Link>),
    Cluster(Box<Cluster>),
}

/// Which connection a call went out on.
pub(crate) struct Used {
    link: Arc<Link>,
    generation: u64,
}

/// A connection that one caller has for itself.
pub(crate) struct Own {
    pub(crate) connection: MultiplexedConnection,
    address: Address,
}

impl Routes {
    /// Checks the URL; connects nowhere.
    pub(crate) fn new(url: &str, tls: Option<&Tls>) -> Result<Self, Error> {
        let one = |connector| Topology::One(Arc::new(Link::new(connector)));
        let topology = match parse(url, tls)? {
            Parsed::Single(client, address) => one(Connector::Node(client, address)),
            Parsed::Sentinel { sentinels, primary, nodes } => {
                one(Connector::Primary(Sentinels::new(sentinels, primary, nodes)))
            }
            Parsed::Cluster { seeds, nodes } => Topology::Cluster(Box::new(Cluster::new(seeds, nodes))),
        };
        Ok(Self { topology, idle: Mutex::default() })
    }

    /// The shared connection for `call`.
    pub(crate) async fn get(&self, call: &Cmd) -> Result<(MultiplexedConnection, Used), Error> {
        self.follow_sentinels().await;
        let link = self.link(call).await?;
        match link.get().await {
            Ok((connection, generation)) => Ok((connection, Used { link, generation })),
            Err(error) => {
                self.mark_stale();
                Err(error)
            }
        }
    }

    /// Waits for no lock: a waiter's call may be left alone half-way, and must hold up nobody.
    async fn link(&self, call: &Cmd) -> Result<Arc<Link>, Error> {
        match &self.topology {
            Topology::Cluster(cluster) => cluster.link(slot::of_call(call)).await,
            Topology::One(link) => Ok(Arc::clone(link)),
        }
    }

    /// Leaves a primary that the sentinels no longer name, though it may still answer.
    async fn follow_sentinels(&self) {
        if let Topology::One(link) = &self.topology
            && let Connector::Primary(sentinels) = &link.connector
            && let Some(primary) = sentinels.ask_again().await
            && link.address().is_some_and(|used| used != primary)
        {
            tracing::info!(server.address = %primary, "The sentinels name another primary.");
            link.reset().await;
        }
    }

    /// Draws the conclusions of an error on a shared connection; `true`: the call was not run, and
    /// another server is known to run it.
    pub(crate) async fn failed(&self, used: &Used, error: &RedisError) -> bool {
        if spoils_connection(error) {
            used.link.discard(used.generation).await;
        }
        self.learn(error, || used.link.address())
    }

    fn learn(&self, error: &RedisError, said_by: impl FnOnce() -> Option<Address>) -> bool {
        let Topology::Cluster(cluster) = &self.topology else {
            return false;
        };
        match (error.kind(), error.redirect_node()) {
            (ErrorKind::Server(ServerErrorKind::Moved), Some((owner, slot))) => {
                cluster.moved(slot, owner, said_by().as_ref());
                true
            }
            (ErrorKind::Io | ErrorKind::Server(ServerErrorKind::ClusterDown), _) => {
                cluster.mark_stale();
                false
            }
            _ => false,
        }
    }

    fn mark_stale(&self) {
        if let Topology::Cluster(cluster) = &self.topology {
            cluster.mark_stale();
        }
    }

    /// A new connection of the caller's own to where `call` belongs; answers may take `patience`
    /// longer than usual.
    pub(crate) async fn own(&self, call: &Cmd, patience: Duration) -> Result<Own, Error> {
        let link = self.link(call).await?;
        let response = RESPONSE_TIMEOUT.saturating_add(patience);
        match link.connector.connect(Some(response)).await {
            Ok((connection, address)) => Ok(Own { connection, address }),
            Err(error) => {
                self.mark_stale();
                Err(Error::from_redis(&error, None))
            }
        }
    }

    /// Draws the conclusions of an error on a connection of the caller's own, which is dropped.
    pub(crate) fn own_failed(&self, own: Own, error: &RedisError) -> bool {
        self.learn(error, || Some(own.address))
    }

    /// Whether `own` still leads to where `call` belongs.
    pub(crate) fn is_current(&self, own: &Own, call: &Cmd) -> bool {
        let now = match &self.topology {
            Topology::One(link) => link.address(),
            Topology::Cluster(cluster) => slot::of_call(call).and_then(|slot| cluster.owner(slot)),
        };
        now.is_none_or(|address| address == own.address)
    }

    /// An idle connection to where `call` belongs, or a new one.
    pub(crate) async fn borrow(&self, call: &Cmd, patience: Duration) -> Result<Own, Error> {
        self.follow_sentinels().await;
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let found = idle.iter().position(|own| self.is_current(own, call));
            found.map(|at| idle.swap_remove(at))
        };
        match idle {
            Some(own) => Ok(own),
            None => self.own(call, patience).await,
        }
    }

    /// Takes back a connection on which nothing has failed.
    pub(crate) fn give_back(&self, own: Own) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= IDLE {
            // The oldest may lead to where nobody belongs any more.
            idle.remove(0);
        }
        idle.push(own);
    }

    /// Has all calls connect anew.
    pub(crate) async fn reset(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        match &self.topology {
            Topology::One(link) => link.reset().await,
            Topology::Cluster(cluster) => {
                cluster.mark_stale();
                for link in cluster.links() {
                    link.reset().await;
                }
            }
        }
    }
}
