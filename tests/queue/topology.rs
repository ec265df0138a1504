//! The queue on Sentinel and on Cluster: the same tests as on one server, and what only they do.
//!
//! Which topology the shared server of the tests has is told by an environment variable, so that
//! this binary can run itself on each of them.

mod cluster;
mod failover;
mod sentinel;
mod tls;

use payfleet::servers::{RedisCluster, RedisOptions, RedisSentinel, RedisServer};

const VARIABLE: &str = "PAYFLEET_TEST_TOPOLOGY";

/// What tests that do not care for their server run on.
pub(crate) enum Shared {
    Single(Box<RedisServer>),
    Sentinel(RedisSentinel),
    Cluster(RedisCluster),
}

impl Shared {
    pub(crate) async fn start() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Ok("sentinel") => Self::Sentinel(RedisSentinel::start(&[]).await.unwrap()),
            Ok("cluster") => Self::Cluster(RedisCluster::start().await.unwrap()),
            _ => Self::Single(Box::new(RedisServer::start(RedisOptions::default()).await.unwrap())),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Single(server) => server.url(),
            Self::Sentinel(fleet) => fleet.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    /// The prefix of one test. On a cluster all keys of a prefix are in one slot, because the
    /// stepped clock is a key: another pair of braces ends the hash tag early.
    pub(crate) fn prefix(&self, name: &str) -> String {
        match self {
            Self::Single(_) | Self::Sentinel(_) => name.to_owned(),
            Self::Cluster(_) => format!("{{{name}}}"),
        }
    }

    /// The URL of the server that has `key`.
    pub(crate) async fn url_of(&self, key: &str) -> String {
        match self {
            Self::Single(server) => server.url(),
            Self::Sentinel(fleet) => fleet.servers()[fleet.primary().await.unwrap()].url(),
            Self::Cluster(cluster) => cluster.nodes()[cluster.owner(key).await.unwrap()].url(),
        }
    }
}

/// Runs all tests that use the shared server on another topology.
async fn conformance_on(topology: &str) {
    let tests = std::env::current_exe().unwrap();
    let mut run = tokio::process::Command::new(tests);
    run.env(VARIABLE, topology).kill_on_drop(true);
    // These start servers of their own, or take long and would learn nothing new; and Sentinel has
    // the replica that one of them wants missing.
    let others = ["topology::", "outage::", "model::", "limits_property::", "faults::", "durability::"];
    for skipped in others {
        run.args(["--skip", skipped]);
    }
    let ended = run.output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "on {topology}:\n{said}");
    let promised = [
        "admission",
        "backend",
        "breaker",
        "deaths",
        "dedupe",
        "enqueue",
        "expiry",
        "inspect",
        "lanes",
        "limits",
        "operators",
        "schedules",
        "settle",
        "shutdown",
        "suspects",
        "take",
        "unreadable",
        "wake",
    ];
    for part in promised {
        assert!(said.contains(&format!("test {part}::")), "{part} did not run on {topology}:\n{said}");
    }
}

#[tokio::test]
async fn the_whole_contract_holds_on_sentinel() {
    conformance_on("sentinel").await;
}

#[tokio::test]
async fn the_whole_contract_holds_on_a_cluster() {
    conformance_on("cluster").await;
}
