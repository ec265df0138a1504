//! What a queue is opened with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use payfleet_core::job::QueueName;

use crate::tls::Tls;

/// How to reach Redis and what to promise. [`Config::new`] fills in the defaults.
#[derive(Clone)]
pub struct Config {
    /// Where Redis is, over TLS with `rediss` for `redis` in each form; reserved characters of a
    /// user or password are percent-encoded:
    ///
    /// - one server: `redis://[user:password@]host:port[/db]`
    /// - Sentinel: `redis+sentinel://[user:password@]host:port,host:port/primary-name[/db]`, where
    ///   the hosts are the sentinels, and `?sentinel=user:password` is who we are to them
    /// - Cluster: `redis+cluster://[user:password@]host:port,host:port`, some of its nodes
    ///
    /// An ACL user needs `~{PREFIX* +@all -@dangerous -@admin`, and `+info +role +cluster|slots` for
    /// boot checks, Sentinel and Cluster.
    pub url: String,
    /// Certificates for `rediss`; `None`: the system's authorities are trusted.
    pub tls: Option<Tls>,
    /// Begins every key; one Redis can hold several fleets. Default `payfleet`.
    pub prefix: String,
    /// When an enqueue counts as done.
    pub durability: Durability,
    /// How long a job is leased before it counts as lost, unless renewed. Default 10 s.
    pub lease: Duration,
    /// After a time this long in which no worker called, no lease is reaped for as long again: it
    /// may have been Redis that was away, and holders get the time to renew. Default 5 s; 0: never.
    pub grace: Duration,
    /// Kinds that are strict about their lane, and how long at most: a job of such a kind keeps its
    /// lane while it waits for its own retry, and is dead once that took longer.
    pub strict_lanes: BTreeMap<String, Duration>,
    /// How long a dedupe key is remembered. Default 24 h.
    pub dedupe: Duration,
    /// The queues there are; a job for another one is refused, since nobody may ever take it. Default
    /// `None`: any name is a queue.
    pub queues: Option<BTreeSet<QueueName>>,
    /// How many jobs one queue may hold, dead ones that await archiving included. Default 1,000,000.
    pub max_depth: u64,
    /// Where the scripts take the time from. Only tests change this.
    pub time: TimeSource,
    /// A folder with the scripts of an earlier release, to be used instead of our own. Only tests change
    /// this, to see that two releases can work on the same data.
    pub scripts: Option<PathBuf>,
}

impl Config {
    /// A queue at `url` with the defaults.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: None,
            prefix: "payfleet".to_owned(),
            durability: Durability::Local,
            lease: Duration::from_secs(10),
            grace: Duration::from_secs(5),
            strict_lanes: BTreeMap::new(),
            dedupe: Duration::from_hours(24),
            queues: None,
            max_depth: 1_000_000,
            time: TimeSource::Redis,
            scripts: None,
        }
    }
}

impl fmt::Debug for Config {
    /// Leaves out the URL, which may carry a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("prefix", &self.prefix)
            .field("durability", &self.durability)
            .field("lease", &self.lease)
            .field("grace", &self.grace)
            .field("dedupe", &self.dedupe)
            .field("max_depth", &self.max_depth)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// What has to hold before an enqueue answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Redis answered. With `appendfsync always` that means: it is on its disk.
    Local,
    /// So many replicas have it too; fewer within the timeout is an error, though the job exists.
    Replicas {
        /// How many replicas must have it.
        count: u32,
        /// How long to wait for them.
        timeout: Duration,
    },
}

/// Where "now" comes from. Never a worker's clock: that could steal a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// Redis' own clock.
    Redis,
    /// A key holding milliseconds since the epoch (0 while it is missing), so that a test can step
    /// the time. On one node only: the key is outside the queues' slots.
    Key(String),
}
