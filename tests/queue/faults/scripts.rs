//! 23: somebody flushes the scripts, again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::TimeSource;

use super::account::{Account, job_of_kind};
use super::process::WorkerProcess;
use crate::world::World;

#[tokio::test]
async fn scripts_that_are_flushed_all_the_time_are_not_missed() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |config| config.time = TimeSource::Redis).await;
    let worker = WorkerProcess::start(&world, &server.url(), 8);
    let (flushes, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, end) = (Arc::clone(&flushes), Arc::clone(&enough));
    let mut redis = world.redis.clone();
    let flushing = payfleet_process::spawn("flush", async move {
        while !end.load(Ordering::SeqCst) {
            let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            // A few milliseconds of other people's commands.
            for _ in 0..10 {
                let _: String = redis::cmd("PING").query_async(&mut redis).await.unwrap();
            }
        }
    });
    let mut account = Account::default();
    for n in 0..300 {
        // Not even the caller notices.
        account.enqueue_all(&world.queue, &[job_of_kind(&world, n, "done")]).await;
    }
    Account::until_idle(&world).await;
    enough.store(true, Ordering::SeqCst);
    flushing.await.unwrap();
    assert!(flushes.load(Ordering::SeqCst) > 20, "{flushes:?} flushes");
    worker.stop().await;
    account.check(&world, &BTreeSet::new()).await;
}
