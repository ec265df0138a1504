//! A private Redis Cluster: three primaries that share the slots.

use std::time::Duration;

use anyhow::Context;

use super::redis::ask;
use super::{RedisOptions, RedisServer, free_port};

const START_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
const SLOTS: u16 = 16_384;
const NODES: u16 = 3;

/// A cluster that ends with this process.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts three nodes and waits until each of them finds the cluster complete.
    ///
    /// # Errors
    /// A node does not come up, or they do not find each other.
    pub async fn start() -> anyhow::Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(RedisServer::start(node_options()?).await?);
        }
        let cluster = Self { nodes };
        let formed = tokio::time::timeout(START_TIMEOUT, cluster.form()).await;
        formed.context("the nodes of a cluster did not find each other in 60 s")??;
        Ok(cluster)
    }

    async fn form(&self) -> anyhow::Result<()> {
        let first = self.nodes.first().context("a cluster without nodes")?;
        for (n, node) in (0_u16..).zip(&self.nodes) {
            let share = |n: u16| u32::from(SLOTS) * u32::from(n) / u32::from(NODES);
            let (from, to) = (share(n), share(n.saturating_add(1)).saturating_sub(1));
            said_ok(&ask(node.port(), &format!("CLUSTER ADDSLOTSRANGE {from} {to}")).await?)?;
            said_ok(&ask(node.port(), &format!("CLUSTER SET-CONFIG-EPOCH {}", n.saturating_add(1))).await?)?;
        }
        for node in self.nodes.iter().skip(1) {
            let bus = ask(node.port(), "CONFIG GET cluster-port").await?;
            let bus = bus.lines().nth(4).context("a node does not tell its bus port")?.to_owned();
            said_ok(&ask(first.port(), &format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port())).await?)?;
        }
        self.until_complete().await
    }

    /// Waits until every node finds all slots served, and knows all nodes.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn until_complete(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            loop {
                let info = ask(node.port(), "CLUSTER INFO").await?;
                let says = |line: &str| info.lines().any(|said| said == line);
                if says("cluster_state:ok") && says("cluster_known_nodes:3") && says("cluster_size:3") {
                    break;
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// `redis+cluster://127.0.0.1:PORT,...`.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// Its nodes, as they were started.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Its nodes, to be killed and started again.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// Which node has `key`, by the ranges it was started with.
    ///
    /// # Errors
    /// No node answers.
    pub async fn owner(&self, key: &str) -> anyhow::Result<usize> {
        let first = self.nodes.first().context("a cluster without nodes")?;
        let slot = ask(first.port(), &format!("CLUSTER KEYSLOT {key}")).await?;
        let slot: u32 = slot.trim_start_matches(':').trim().parse().context("a slot is a number")?;
        // The inverse of the shares above.
        let owner =
            slot.saturating_add(1).saturating_mul(u32::from(NODES)).saturating_sub(1) / u32::from(SLOTS);
        Ok(usize::try_from(owner)?)
    }
}

fn node_options() -> anyhow::Result<RedisOptions> {
    let settings = [
        ("cluster-enabled", "yes".to_owned()),
        // The usual one, 10,000 above the port, may be taken.
        ("cluster-port", free_port()?.to_string()),
        ("cluster-node-timeout", "3000".to_owned()),
    ];
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(RedisOptions { settings, ..RedisOptions::default() })
}

fn said_ok(reply: &str) -> anyhow::Result<()> {
    anyhow::ensure!(reply.starts_with("+OK"), "a node of the cluster said {reply}");
    Ok(())
}
