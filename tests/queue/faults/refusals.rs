//! 16, 17, 19: a Redis that is there and refuses: busy with a script, out of memory, out of disk.

use std::collections::BTreeSet;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::{Error, Place, TimeSource};

use super::account::{Account, job_of_kind};
use super::process::{PATIENCE, Said, WorkerProcess, times_begun};
use crate::world::{World, id};

async fn world_at(server: &RedisServer) -> World {
    World::at(&server.url(), |config| {
        config.time = TimeSource::Redis;
        config.lease = Duration::from_secs(3);
    })
    .await
}

async fn set(world: &mut World, name: &str, value: &str) {
    let mut set = redis::cmd("CONFIG");
    let () = set.arg("SET").arg(name).arg(value).query_async(&mut world.redis).await.unwrap();
}

/// Asks for something harmless, which writes, until it is refused with a reason that says this.
async fn until_refused(world: &World, reason: &str) {
    let refused = async {
        loop {
            let error = world.queue.resume(&world.name).await.err().map(|error| error.to_string());
            if error.is_some_and(|error| error.contains(reason)) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("a refusal");
}

#[tokio::test]
async fn a_redis_that_is_busy_with_a_script_leaves_handlers_alone() {
    let settings = vec![("busy-reply-threshold".to_owned(), "10".to_owned())];
    let server = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    let mut world = world_at(&server).await;
    let mut account = Account::default();
    account.enqueue(&world.queue, &job_of_kind(&world, 1, "hold")).await;
    let mut worker = WorkerProcess::start(&world, &server.url(), 4);
    worker.until_said(&[Said::Begins(id(1))]).await;

    let mut other =
        redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    other.set_response_timeout(PATIENCE);
    let script = payfleet_process::spawn("endless script", async move {
        redis::cmd("EVAL").arg("while true do end").arg(0).query_async::<()>(&mut other).await
    });
    until_refused(&world, "BUSY").await;
    // The handler ends while Redis is busy; what it did is told later.
    worker.go().await;
    worker.until_said(&[Said::Ends(id(1))]).await;
    until_refused(&world, "BUSY").await;
    let () = redis::cmd("SCRIPT").arg("KILL").query_async(&mut world.redis).await.unwrap();
    assert!(script.await.unwrap().is_err(), "the script was killed");

    for n in 2..=20 {
        account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
    }
    Account::until_idle(&world).await;
    let said = worker.stop().await;
    assert_eq!(times_begun(&said, id(1)), 1);
    account.check(&world, &BTreeSet::new()).await;
}

#[tokio::test]
async fn a_redis_out_of_memory_refuses_jobs_and_drains() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = world_at(&server).await;
    let mut account = Account::default();
    let kinds = ["done", "retry-once", "done", "die"];
    let jobs: Vec<_> = (0..200)
        .map(|n| job_of_kind(&world, n, if n == 0 { "hold" } else { kinds[n as usize % 4] }))
        .collect();
    account.enqueue_all(&world.queue, &jobs).await;
    set(&mut world, "maxmemory", "1").await;
    let refused = world.queue.enqueue(&[world.job(1_000)]).await.unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory), "{refused}");

    // A worker that starts now drains it, and its heart beats.
    let mut worker = WorkerProcess::start(&world, &server.url(), 8);
    worker.until_said(&[Said::Begins(id(0))]).await;
    let mut beats = BTreeSet::new();
    while beats.len() < 3 {
        let Some(Place::Leased { until, .. }) = world.place(id(0)).await else { panic!("it is leased") };
        beats.insert(until);
    }
    worker.go().await;
    Account::until_idle(&world).await;
    let refused = world.queue.enqueue(&[world.job(1_000)]).await.unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory), "still: {refused}");
    set(&mut world, "maxmemory", "0").await;
    account.enqueue(&world.queue, &job_of_kind(&world, 1_000, "done")).await;
    Account::until_idle(&world).await;
    worker.stop().await;
    let dead = (1..200).filter(|n| n % 4 == 3).map(id).collect();
    account.check(&world, &dead).await;
}

#[tokio::test]
async fn a_redis_that_cannot_write_to_its_disk_refuses_and_recovers() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = world_at(&server).await;
    let mut account = Account::default();
    account.enqueue(&world.queue, &job_of_kind(&world, 1, "hold")).await;
    let mut worker = WorkerProcess::start(&world, &server.url(), 4);
    worker.until_said(&[Said::Begins(id(1))]).await;

    // A folder where the snapshot shall be: it cannot be written, as on a full disk.
    let obstacle = server.dir().join("dump.rdb");
    std::fs::create_dir(&obstacle).unwrap();
    set(&mut world, "save", "3600 1000000").await;
    let () = redis::cmd("BGSAVE").query_async(&mut world.redis).await.unwrap();
    until_refused(&world, "MISCONF").await;
    worker.go().await;
    worker.until_said(&[Said::Ends(id(1))]).await;

    std::fs::remove_dir(&obstacle).unwrap();
    let () = redis::cmd("BGSAVE").query_async(&mut world.redis).await.unwrap();
    for n in 2..=20 {
        account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
    }
    Account::until_idle(&world).await;
    worker.stop().await;
    account.check(&world, &BTreeSet::new()).await;
}
