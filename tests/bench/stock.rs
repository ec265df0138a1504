//! apalis-redis 1.0.0, with its defaults except for the size of a batch (10 by default) and keys
//! that last (by default an idempotency key expires at once).

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::WorkerBuilderExt;
use apalis_core::backend::TaskSink;
use apalis_core::backend::ext::BackendExt;
use apalis_core::error::BoxDynError;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_redis::{Config, RedisStorage};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::engine::connect;
use crate::load::{Kind, Payload, QUEUE, key_of};
use crate::seen::Seen;

/// The most jobs that may wait: from about 8,000 due ones on it never runs another.
pub(crate) const MOST_WAITING: u64 = 7_500;

const BATCH: usize = 256;
/// How often an idle worker looks.
const POLL: Duration = Duration::from_millis(100);

fn config() -> Config {
    Config::default().queue(QUEUE).batch_size(BATCH).idempotency_ttl(Some(Duration::from_hours(24)))
}

async fn storage(url: &str) -> anyhow::Result<RedisStorage<Payload, MultiplexedConnection>> {
    Ok(RedisStorage::new(connect(url).await?).with_config(config()))
}

#[derive(Clone)]
pub(crate) struct Producer {
    storage: RedisStorage<Payload, MultiplexedConnection>,
}

impl Producer {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self { storage: storage(url).await? })
    }

    pub(crate) async fn put(&mut self, jobs: &[Payload], kind: Kind) -> anyhow::Result<()> {
        let task = |payload: &Payload| {
            let mut task = TaskBuilder::new(payload.clone());
            if kind.keyed {
                task = task.idempotency_key(key_of(payload));
            }
            if !kind.delay.is_zero() {
                task = task.run_after(kind.delay);
            }
            task.build()
        };
        if let [payload] = jobs {
            self.storage.push_task(task(payload)).await?;
        } else {
            let mut tasks = futures::stream::iter(jobs.iter().map(task).collect::<Vec<_>>());
            self.storage.push_all(&mut tasks).await?;
        }
        Ok(())
    }

    pub(crate) async fn done(&mut self) -> anyhow::Result<u64> {
        let done = self.storage.get_config().done_jobs_set();
        Ok(self.storage.get_connection().scard(done).await?)
    }
}

pub(crate) async fn work(url: &str, concurrency: usize, seen: Arc<Seen>) -> anyhow::Result<()> {
    let backend = storage(url).await?.poll_with_interval(POLL);
    let handler = move |payload: Payload| {
        let seen = Arc::clone(&seen);
        async move {
            seen.run(&payload).await;
            Ok::<_, BoxDynError>(())
        }
    };
    let name = format!("bench-{}", std::process::id());
    let worker = WorkerBuilder::new(name).backend(backend).concurrency(concurrency).build(handler);
    worker.run().await?;
    Ok(())
}
