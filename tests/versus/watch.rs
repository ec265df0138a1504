//! What both sides are watched with: counts, patience, and the four ways in which a Redis fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use payfleet::servers::{RedisOptions, RedisServer, Signal};
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

/// What was seen in one case.
#[derive(Clone, Debug)]
pub(crate) struct Saw {
    /// It went as anyone would wish.
    pub(crate) fine: bool,
    /// What happened, for the table.
    pub(crate) words: String,
}

impl Saw {
    pub(crate) fn new(fine: bool, words: impl Into<String>) -> Self {
        Self { fine, words: words.into() }
    }
}

/// Executions, by job.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<Mutex<BTreeMap<u64, usize>>>);

impl Runs {
    /// Counts one and says the how manieth of this job it is.
    pub(crate) fn count(&self, job: u64) -> usize {
        let mut runs = self.0.lock().expect("nobody panics here");
        let run = runs.entry(job).or_default();
        *run += 1;
        *run
    }

    pub(crate) fn total(&self) -> usize {
        self.0.lock().expect("nobody panics here").values().sum()
    }

    pub(crate) fn jobs(&self) -> usize {
        self.0.lock().expect("nobody panics here").len()
    }
}

/// A handler that was cut off before its end.
pub(crate) struct CutOff {
    cut_off: Arc<AtomicUsize>,
    ended: bool,
}

impl CutOff {
    pub(crate) fn watch(cut_off: &Arc<AtomicUsize>) -> Self {
        Self { cut_off: Arc::clone(cut_off), ended: false }
    }

    pub(crate) fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        if !self.ended {
            self.cut_off.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Looks again and again until `seen`; whether it ever was, within `patience`.
pub(crate) async fn until(patience: Duration, seen: impl AsyncFn() -> bool) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if seen().await {
            return true;
        }
        pass(Duration::from_millis(10)).await;
    }
    false
}

/// Lets time pass: some defects are what happens after a while, and jobs take their time.
pub(crate) async fn pass(time: Duration) {
    // tidy: sleeps because the stock crate counts in whole seconds of the real clock
    tokio::time::sleep(time).await;
}

pub(crate) async fn server() -> anyhow::Result<RedisServer> {
    RedisServer::start(RedisOptions::default()).await
}

pub(crate) async fn connect(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&patient).await.context("Redis is there")
}

async fn send(redis: &mut MultiplexedConnection, line: &str) -> anyhow::Result<()> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    let _: redis::Value = command.query_async(redis).await.with_context(|| line.to_owned())?;
    Ok(())
}

/// Sets `maxmemory` below what is used already.
pub(crate) async fn fill_memory(url: &str) -> anyhow::Result<()> {
    send(&mut connect(url).await?, "CONFIG SET maxmemory 1mb").await
}

/// How a Redis fails for a second or two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Killed,
    Stalled,
    Busy,
    ReadOnly,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Killed, Self::Stalled, Self::Busy, Self::ReadOnly];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stalled => "stalled 1.5 s",
            Self::Busy => "BUSY",
            Self::ReadOnly => "READONLY",
        }
    }

    /// Lets it happen, and be over.
    pub(crate) async fn strike(self, server: &mut RedisServer) -> anyhow::Result<()> {
        const LONG: Duration = Duration::from_millis(1_500);
        match self {
            Self::Killed => {
                server.kill().await;
                pass(LONG).await;
                server.restart().await?;
            }
            Self::Stalled => {
                server.signal(Signal::STOP);
                pass(LONG).await;
                server.signal(Signal::CONT);
            }
            Self::Busy => {
                let mut redis = connect(&server.url()).await?;
                send(&mut redis, "CONFIG SET busy-reply-threshold 20").await?;
                let mut other = connect(&server.url()).await?;
                let endless = payfleet_process::spawn("an endless script", async move {
                    let script = redis::cmd("EVAL").arg("while true do end").arg(0).to_owned();
                    let _: redis::RedisResult<()> = script.query_async(&mut other).await;
                });
                pass(LONG).await;
                send(&mut redis, "SCRIPT KILL").await?;
                endless.await?;
            }
            Self::ReadOnly => {
                let mut redis = connect(&server.url()).await?;
                send(&mut redis, "REPLICAOF 127.0.0.1 1").await?;
                pass(LONG).await;
                send(&mut redis, "REPLICAOF NO ONE").await?;
            }
        }
        Ok(())
    }
}
