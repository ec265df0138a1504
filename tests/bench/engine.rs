//! The four that are measured, behind one face: who enqueues, who works, how many jobs are left.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use payfleet_core::job::NewJob;
use payfleet_tests::measure::Side;
use redis::aio::MultiplexedConnection;

use crate::load::{self, Kind, Payload, Plain};
use crate::seen::Seen;
use crate::{lease, ours, stock, stream};

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Engine {
    /// payfleet-queue through apalis.
    Ours,
    /// A batched Lua lease queue by hand: dedupe key, attempt count, lease, nothing else.
    Lease,
    /// A stream with a consumer group by hand.
    Stream,
    /// apalis-redis 1.0.0.
    Stock,
}

impl Side for Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "payfleet-queue",
            Self::Lease => "lease",
            Self::Stream => "stream",
            Self::Stock => "apalis-redis",
        }
    }

    fn is_ours(self) -> bool {
        self == Self::Ours
    }
}

impl Engine {
    /// Jobs to be enqueued later: making them is not what is measured.
    pub(crate) fn make(self, numbers: Range<u64>, sent_ns: u64, kind: Kind) -> Jobs {
        match self {
            Self::Ours => Jobs::Ours(load::ours(numbers, sent_ns, kind)),
            Self::Lease | Self::Stream => Jobs::Plain(load::plain(numbers, sent_ns, kind)),
            Self::Stock => Jobs::Stock(load::payloads(numbers, sent_ns), kind),
        }
    }

    /// Works until the process ends.
    pub(crate) async fn work(self, url: &str, concurrency: usize, seen: Arc<Seen>) -> anyhow::Result<()> {
        match self {
            Self::Ours => ours::work(url, concurrency, seen).await,
            Self::Lease => lease::work(url, seen).await,
            Self::Stream => stream::work(url, concurrency, seen).await,
            Self::Stock => stock::work(url, concurrency, seen).await,
        }
    }
}

/// Jobs of one engine.
pub(crate) enum Jobs {
    Ours(Vec<NewJob>),
    Plain(Vec<Plain>),
    Stock(Vec<Payload>, Kind),
}

impl Jobs {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ours(jobs) => jobs.len(),
            Self::Plain(jobs) => jobs.len(),
            Self::Stock(jobs, _) => jobs.len(),
        }
    }
}

/// One who enqueues. Clones share a connection, as calls of one process do.
#[derive(Clone)]
pub(crate) enum Producer {
    Ours(ours::Producer),
    Lease(MultiplexedConnection),
    Stream(MultiplexedConnection),
    Stock(Box<stock::Producer>),
}

impl Producer {
    pub(crate) async fn connect(engine: Engine, url: &str) -> anyhow::Result<Self> {
        Ok(match engine {
            Engine::Ours => Self::Ours(ours::Producer::open(url)?),
            Engine::Lease => Self::Lease(connect(url).await?),
            Engine::Stream => {
                let mut connection = connect(url).await?;
                stream::create(&mut connection).await?;
                Self::Stream(connection)
            }
            Engine::Stock => Self::Stock(Box::new(stock::Producer::connect(url).await?)),
        })
    }

    /// Enqueues some of `jobs` in one call.
    pub(crate) async fn put(&mut self, jobs: &Jobs, which: Range<usize>) -> anyhow::Result<()> {
        match (self, jobs) {
            (Self::Ours(producer), Jobs::Ours(jobs)) => producer.put(&jobs[which]).await,
            (Self::Lease(redis), Jobs::Plain(jobs)) => lease::put(redis, &jobs[which]).await,
            (Self::Stream(redis), Jobs::Plain(jobs)) => stream::put(redis, &jobs[which]).await,
            (Self::Stock(producer), Jobs::Stock(jobs, kind)) => producer.put(&jobs[which], *kind).await,
            _ => anyhow::bail!("jobs of another engine"),
        }
    }

    /// Enqueues all of `jobs`, `batch` in a call.
    pub(crate) async fn put_all(&mut self, jobs: &Jobs, batch: usize) -> anyhow::Result<()> {
        for from in (0..jobs.len()).step_by(batch) {
            self.put(jobs, from..jobs.len().min(from + batch)).await?;
        }
        Ok(())
    }

    /// How many of `total` jobs are not settled yet.
    pub(crate) async fn left(&mut self, total: u64) -> anyhow::Result<u64> {
        match self {
            Self::Ours(producer) => producer.left().await,
            Self::Lease(redis) => lease::left(redis).await,
            Self::Stream(redis) => stream::left(redis).await,
            Self::Stock(producer) => Ok(total.saturating_sub(producer.done().await?)),
        }
    }
}

/// A connection without a limit on how long an answer may take.
pub(crate) async fn connect(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&patient).await.context("Redis is there")
}
