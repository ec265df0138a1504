//! When an enqueue may say yes.

use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::{Config, Durability, Enqueued, Error, Outcome, Settled};

use crate::world::{World, id};

fn replicas(count: u32, patience: Duration) -> impl FnOnce(&mut Config) {
    move |config| config.durability = Durability::Replicas { count, timeout: patience }
}

#[tokio::test]
async fn without_enough_replicas_an_enqueue_does_not_say_yes() {
    let world = World::with(replicas(1, Duration::from_millis(1))).await;
    for _ in 0..2 {
        let error = world.queue.enqueue(&[world.job(1)]).await.unwrap_err();
        assert!(matches!(error, Error::DurabilityShortfall { asked: 1, confirmed: 0 }), "{error}");
    }
    assert_eq!(world.stats().await.ready, 1, "the job exists, and was made once");
}

#[tokio::test]
async fn with_a_replica_it_says_yes_once_the_replica_has_it() {
    let primary = RedisServer::start(RedisOptions::default()).await.unwrap();
    let port = primary.port().to_string();
    let settings = vec![("replicaof".to_owned(), format!("127.0.0.1 {port}"))];
    let replica = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    let world = World::at(&primary.url(), replicas(1, Duration::from_secs(60))).await;
    assert_eq!(world.queue.enqueue(&[world.job(1)]).await.unwrap(), [Enqueued::Created(id(1))]);
    let client = redis::Client::open(replica.url()).unwrap();
    let mut there = client.get_multiplexed_async_connection().await.unwrap();
    let jobs: u64 = redis::cmd("XLEN").arg(world.key("fresh")).query_async(&mut there).await.unwrap();
    assert_eq!(jobs, 1);
}

#[tokio::test]
async fn a_redis_without_memory_refuses_new_jobs_and_still_drains() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = World::at(&server.url(), |_| {}).await;
    world.fill(20).await;
    let () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("1")
        .query_async(&mut world.redis)
        .await
        .unwrap();
    let error = world.queue.enqueue(&[world.job(21)]).await.unwrap_err();
    assert!(matches!(error, Error::OutOfMemory), "{error}");
    assert_eq!(world.place(id(21)).await, None);

    let taken = world.take(20).await;
    assert_eq!(taken.len(), 20);
    let leases: Vec<_> = taken.iter().map(|leased| leased.lease).collect();
    assert_eq!(world.queue.renew(&world.name, &leases).await.unwrap(), [true; 20]);
    world.queue.release(&world.name, &leases[19..]).await.unwrap();
    for (n, lease) in leases[..19].iter().enumerate() {
        let outcome = if n == 0 { crate::world::retry("x") } else { Outcome::done() };
        assert_eq!(world.settle(*lease, outcome).await, Settled::Applied);
    }
    let stats = world.stats().await;
    assert_eq!((stats.ready, stats.done), (2, 18));
}
