//! The processes of case A7: workers in which the first job aborts the process.

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::watch::connect;
use crate::{ours, stock};

/// The job that does it.
const ABORTS: u64 = 0;

/// A worker of apalis-redis.
pub(crate) async fn stock_worker(url: &str) -> anyhow::Result<()> {
    let redis = connect(url).await?;
    let storage = stock::with(url, stock::impatient()).await?;
    Ok(stock::worker(&storage, &name(), 8, move |n| run(n, redis.clone())).run.await??)
}

/// One of ours.
pub(crate) async fn our_worker(url: &str) -> anyhow::Result<()> {
    let redis = connect(url).await?;
    Ok(ours::worker(&ours::open_impatient(url)?, &name(), 8, move |n| run(n, redis.clone())).run.await??)
}

fn name() -> String {
    format!("w-{}", std::process::id())
}

async fn run(n: u64, mut redis: MultiplexedConnection) -> Result<(), apalis_core::error::BoxDynError> {
    if n == ABORTS {
        let () = redis.incr("aborts", 1).await?;
        std::process::abort();
    }
    Ok(())
}
