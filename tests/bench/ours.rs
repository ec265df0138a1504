//! payfleet-queue, as a service uses it.

use std::sync::Arc;

use apalis_core::error::BoxDynError;
use apalis_core::worker::builder::WorkerBuilder;
use payfleet_core::job::{NewJob, QueueName};
use payfleet_queue::backend::{BackendOptions, Delivery, RedisBackend};
use payfleet_queue::{Config, Outcome, Queue};

use crate::load::queue_name;
use crate::seen::Seen;

fn open(url: &str) -> anyhow::Result<Queue> {
    let mut config = Config::new(url);
    // The rows with 1,000,000 jobs go over the default.
    config.max_depth = 2_000_000;
    Ok(Queue::open(config)?)
}

#[derive(Clone)]
pub(crate) struct Producer {
    queue: Queue,
    name: QueueName,
}

impl Producer {
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        Ok(Self { queue: open(url)?, name: queue_name() })
    }

    pub(crate) async fn put(&self, jobs: &[NewJob]) -> anyhow::Result<()> {
        self.queue.enqueue(jobs).await?;
        Ok(())
    }

    pub(crate) async fn left(&self) -> anyhow::Result<u64> {
        let stats = self.queue.stats(std::slice::from_ref(&self.name)).await?;
        Ok(stats.iter().map(|stats| stats.ready + stats.running + stats.delayed + stats.dead).sum())
    }
}

pub(crate) async fn work(url: &str, concurrency: usize, seen: Arc<Seen>) -> anyhow::Result<()> {
    let mut options = BackendOptions::new(format!("bench-{}", std::process::id()));
    options.concurrency = concurrency;
    let backend = RedisBackend::new(open(url)?, queue_name(), options);
    let handler = move |delivery: Delivery| {
        let seen = Arc::clone(&seen);
        async move {
            seen.handle(delivery.job.envelope.payload.get().as_bytes()).await;
            Ok::<_, BoxDynError>(Outcome::done())
        }
    };
    WorkerBuilder::new("bench").backend(backend).build(handler).run().await?;
    Ok(())
}
