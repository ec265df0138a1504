//! A private Redis with a replica and three sentinels, which make the replica the primary within
//! seconds once the primary is gone.

use std::time::Duration;

use anyhow::Context;

use super::redis::ask;
use super::{Child, Home, Launch, RedisOptions, RedisServer, Signal, free_port, programs};

const START_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// The name under which the sentinels know the primary.
const NAME: &str = "main";

/// Two servers and three sentinels that end with this process.
pub struct RedisSentinel {
    sentinels: Vec<Sentinel>,
    servers: Vec<RedisServer>,
}

struct Sentinel {
    child: Child,
    port: u16,
    // After the child: the folder goes when nobody uses it any more.
    _home: Home,
}

impl RedisSentinel {
    /// Starts them, the first server as the primary, and waits until everybody knows everybody.
    /// `settings` are those of both servers.
    ///
    /// # Errors
    /// One of them does not come up.
    pub async fn start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let ours = [("repl-diskless-sync-delay", "0"), ("repl-ping-replica-period", "1")];
        let settings: Vec<(String, String)> = ours
            .iter()
            .chain(settings)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let options = RedisOptions { settings: settings.clone(), ..RedisOptions::default() };
        let primary = RedisServer::start(options).await?;
        let mut settings = settings;
        settings.push(("replicaof".to_owned(), format!("127.0.0.1 {}", primary.port())));
        let replica = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await?;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(start_sentinel(primary.port()).await?);
        }
        let fleet = Self { sentinels, servers: vec![primary, replica] };
        let formed = tokio::time::timeout(START_TIMEOUT, fleet.until_complete()).await;
        formed.context("three sentinels did not find each other and a replica in 60 s")??;
        Ok(fleet)
    }

    /// Waits until each sentinel knows the others and a replica that is up to date.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn until_complete(&self) -> anyhow::Result<()> {
        for sentinel in &self.sentinels {
            while !ask(sentinel.port, "INFO sentinel")
                .await
                .unwrap_or_default()
                .contains("slaves=1,sentinels=3")
            {
                tokio::time::sleep(POLL).await;
            }
        }
        loop {
            let primary = self.primary().await?;
            let server = self.servers.get(primary).context("an unknown primary")?;
            if ask(server.port(), "INFO replication").await?.contains("state=online") {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// `redis+sentinel://127.0.0.1:PORT,.../main`.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|s| format!("127.0.0.1:{}", s.port)).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// The two servers: the one that began as the primary, and the one that began as its replica.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The two servers, to be killed and started again.
    pub fn servers_mut(&mut self) -> &mut [RedisServer] {
        &mut self.servers
    }

    /// Which of the servers the sentinels name as the primary.
    ///
    /// # Errors
    /// The first sentinel does not answer, or names neither.
    pub async fn primary(&self) -> anyhow::Result<usize> {
        let sentinel = self.sentinels.first().context("no sentinel")?;
        let answer = ask(sentinel.port, &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}")).await?;
        let port: u16 = answer.lines().last().unwrap_or_default().parse().context("no primary is named")?;
        let named = self.servers.iter().position(|server| server.port() == port);
        named.context("the sentinels name a server that is not ours")
    }

    /// Waits until the sentinels name another server than `old`, and it takes writes.
    ///
    /// # Errors
    /// They do not within a minute.
    pub async fn until_failed_over(&self, old: usize) -> anyhow::Result<usize> {
        let other = async {
            loop {
                if let Ok(new) = self.primary().await
                    && new != old
                    && let Some(server) = self.servers.get(new)
                    && ask(server.port(), "INFO replication")
                        .await
                        .is_ok_and(|info| info.contains("role:master"))
                {
                    return new;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, other).await.context("no failover in 60 s")
    }

    /// Has the sentinels make the replica the primary now, as an operator would.
    ///
    /// # Errors
    /// They refuse.
    pub async fn fail_over(&self) -> anyhow::Result<usize> {
        let old = self.primary().await?;
        let sentinel = self.sentinels.first().context("no sentinel")?;
        let said = ask(sentinel.port, &format!("SENTINEL FAILOVER {NAME}")).await?;
        anyhow::ensure!(said.starts_with("+OK"), "a sentinel said {said}");
        self.until_failed_over(old).await
    }

    /// Stops the sentinels in their tracks, or lets them go on.
    pub fn signal_sentinels(&self, signal: Signal) {
        for sentinel in &self.sentinels {
            sentinel.child.signal(signal);
        }
    }

    /// Ends all sentinels but the last, so that nobody can fail over.
    pub async fn end_majority(&self) {
        for sentinel in self.sentinels.iter().rev().skip(1) {
            sentinel.child.stop(Signal::KILL, STOP_GRACE).await;
        }
    }
}

async fn start_sentinel(primary: u16) -> anyhow::Result<Sentinel> {
    let home = Home::open(None)?;
    let port = free_port()?;
    // Sentinels write into their configuration what they learn.
    let config = home.path.join("sentinel.conf");
    let dir = home.path.display();
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {dir}\nsentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {NAME} 1500\nsentinel failover-timeout {NAME} 6000\n"
    );
    std::fs::write(&config, text)?;
    let launch = Launch::new("sentinel", programs::redis_server()?, &home.path);
    let child = launch.args([config.as_os_str(), "--sentinel".as_ref()]).spawn().await?;
    let answers = async {
        while ask(port, "PING").await.is_err() {
            anyhow::ensure!(child.ended().is_none(), "a sentinel did not start:\n{}", child.last_words());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(START_TIMEOUT, answers).await.context("a sentinel is not ready after 60 s")??;
    Ok(Sentinel { child, port, _home: home })
}
