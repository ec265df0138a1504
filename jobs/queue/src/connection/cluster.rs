//! The nodes of a cluster, and which of them owns a slot.
//!
//! A queue whose slot is being moved to another node is unavailable until it has moved: a script
//! that followed an ASK would find half of its keys. So ASK is never followed, MOVED always.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{FromRedisValue, RedisResult, Value};
use tokio::time::Instant;

use super::address::Nodes;
use super::link::Link;
use super::{Address, Connector, RESPONSE_TIMEOUT, connect};
use crate::Error;

/// The map is not asked for more often than this, however many calls fail.
const REFRESH_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Cluster {
    seeds: Vec<Address>,
    nodes: Nodes,
    map: Mutex<Map>,
}

#[derive(Default)]
struct Map {
    /// First and last slot, and who owns them.
    ranges: Vec<(u16, u16, Address)>,
    /// What MOVED has told since the map was read.
    moved: HashMap<u16, Address>,
    links: HashMap<Address, Arc<Link>>,
    is_stale: bool,
    asked: Option<Instant>,
}

impl Map {
    fn owner(&self, slot: u16) -> Option<&Address> {
        let covers = |(first, last, _): &&(u16, u16, Address)| (*first..=*last).contains(&slot);
        self.moved.get(&slot).or_else(|| self.ranges.iter().find(covers).map(|(_, _, owner)| owner))
    }
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Address>, nodes: Nodes) -> Self {
        let map = Map { is_stale: true, ..Map::default() };
        Self { seeds, nodes, map: Mutex::new(map) }
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who owns `slot`, as far as is known.
    pub(super) fn owner(&self, slot: u16) -> Option<Address> {
        self.map().owner(slot).cloned()
    }

    /// The link to the owner of `slot`, or to any node.
    pub(super) async fn link(&self, slot: Option<u16>) -> Result<Arc<Link>, Error> {
        self.refresh_if_stale().await;
        let mut map = self.map();
        let owner = match slot {
            Some(slot) => map.owner(slot),
            None => map.ranges.first().map(|(_, _, owner)| owner),
        };
        let owner = owner.cloned().ok_or_else(|| Error::Unavailable {
            reason: "no node of the cluster is known to own the queue's slot".to_owned(),
            advice: "check the nodes with CLUSTER INFO, and that the network path to them is open",
        })?;
        if let Some(link) = map.links.get(&owner) {
            return Ok(Arc::clone(link));
        }
        let client = self.nodes.client(&owner).map_err(|e| Error::from_redis(&e, None))?;
        let link = Arc::new(Link::new(Connector::Node(client, owner.clone())));
        map.links.insert(owner, Arc::clone(&link));
        Ok(link)
    }

    /// The map may be out of date: the next call asks for it.
    pub(super) fn mark_stale(&self) {
        self.map().is_stale = true;
    }

    /// A node has said where a slot is.
    pub(super) fn moved(&self, slot: u16, owner: &str, said_by: Option<&Address>) {
        // An empty host means: on the host that answered.
        let owner = match (owner.strip_prefix(':'), said_by.and_then(|at| at.rsplit_once(':'))) {
            (Some(port), Some((host, _))) => format!("{host}:{port}"),
            _ => owner.to_owned(),
        };
        let mut map = self.map();
        map.moved.insert(slot, owner);
        map.is_stale = true;
    }

    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        self.map().links.values().map(Arc::clone).collect()
    }

    /// The nodes to ask for a new map, if it is time; the caller asks, and others go on with the old
    /// map meanwhile. No lock is held for that: a waiter's call may be left alone half-way.
    fn to_ask(&self) -> Vec<Address> {
        let mut map = self.map();
        let is_fresh = map.asked.is_some_and(|asked| asked.elapsed() < REFRESH_EVERY);
        if !map.is_stale || (is_fresh && !map.ranges.is_empty()) {
            return Vec::new();
        }
        map.asked = Some(Instant::now());
        let owners = map.ranges.iter().map(|(_, _, owner)| owner);
        let mut known: Vec<Address> = map.moved.values().chain(owners).chain(&self.seeds).cloned().collect();
        known.dedup();
        known
    }

    /// Asks node after node for the map, until one answers.
    async fn refresh_if_stale(&self) {
        let known = self.to_ask();
        for address in known {
            match self.read(&address).await {
                Ok(ranges) if !ranges.is_empty() => {
                    let mut map = self.map();
                    map.links.retain(|address, _| ranges.iter().any(|(_, _, owner)| owner == address));
                    *map = Map {
                        ranges,
                        links: std::mem::take(&mut map.links),
                        asked: Some(Instant::now()),
                        ..Map::default()
                    };
                    return;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(server.address = %address, %error, "A node of the cluster does not say who owns what.");
                }
            }
        }
    }

    async fn read(&self, address: &str) -> RedisResult<Vec<(u16, u16, Address)>> {
        let mut connection = connect(&self.nodes.client(address)?, Some(RESPONSE_TIMEOUT)).await?;
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("SLOTS");
        let reply: Vec<Vec<Value>> = ask.query_async(&mut connection).await?;
        Ok(reply.into_iter().filter_map(|range| read_range(range, address)).collect())
    }
}

/// `[first, last, [host, port, ...], ...]`; the first server is the primary. A host that is not told
/// is the one that was asked.
fn read_range(range: Vec<Value>, asked: &str) -> Option<(u16, u16, Address)> {
    let mut fields = range.into_iter();
    let mut number = || u16::from_redis_value(fields.next()?).ok();
    let (first, last) = (number()?, number()?);
    let mut node = Vec::<Value>::from_redis_value(fields.next()?).ok()?.into_iter();
    let host = Option::<String>::from_redis_value(node.next()?).ok()?;
    let port = u16::from_redis_value(node.next()?).ok()?;
    let own = || asked.rsplit_once(':').map(|(host, _)| host.to_owned());
    let host = host.filter(|host| !host.is_empty() && host != "?").or_else(own)?;
    Some((first, last, format!("{host}:{port}")))
}
