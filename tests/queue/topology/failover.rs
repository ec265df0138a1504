//! Faults 12 to 15: what happens to accepted jobs, and to a fleet, when the primary changes.

use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisSentinel, RedisServer, Signal};
use payfleet_queue::{Config, Durability, Error, Outcome, Queue, TimeSource};
use redis::aio::MultiplexedConnection;

use super::sentinel::{until_enqueued, world};
use crate::world::{World, handler, id};

fn replicas(config: &mut Config) {
    config.time = TimeSource::Redis;
    config.durability = Durability::Replicas { count: 1, timeout: Duration::from_secs(2) };
}

async fn admin(server: &RedisServer) -> MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn run(server: &RedisServer, command: &str) {
    let mut words = command.split(' ');
    let mut call = redis::cmd(words.next().unwrap());
    call.arg(words.collect::<Vec<_>>());
    let () = call.query_async(&mut admin(server).await).await.unwrap();
}

#[tokio::test]
async fn what_was_accepted_under_replicas_1_survives_a_failover_to_a_lagging_replica() {
    let mut fleet = RedisSentinel::start(&[]).await.unwrap();
    let durable = World::behind(&fleet.url(), &fleet.servers()[0].url(), replicas).await;
    durable.fill(20).await;

    // The replica falls behind: what comes now exists, and is not accepted.
    fleet.servers()[1].signal(Signal::STOP);
    let error = durable.queue.enqueue(&[durable.job(21)]).await.unwrap_err();
    assert!(matches!(error, Error::DurabilityShortfall { asked: 1, confirmed: 0 }), "{error}");
    fleet.servers_mut()[0].kill().await;
    fleet.servers()[1].signal(Signal::CONT);
    fleet.until_failed_over(0).await.unwrap();
    let found = async {
        loop {
            if let Ok(stats) = durable.queue.stats(std::slice::from_ref(&durable.name)).await {
                return stats[0].ready;
            }
        }
    };
    let ready = tokio::time::timeout(Duration::from_secs(60), found).await.unwrap();
    assert!((20..=21).contains(&ready), "{ready}");
    for n in 1..=20 {
        assert!(durable.queue.find(&durable.name, id(n)).await.unwrap().is_some(), "job {n}");
    }
}

#[tokio::test]
async fn an_old_primary_that_can_still_be_reached_confirms_nothing() {
    let fleet = RedisSentinel::start(&[]).await.unwrap();
    let world = World::behind(&fleet.url(), &fleet.servers()[0].url(), replicas).await;
    world.fill(1).await;
    // As after a partition: the replica was made the primary, and the old one does not know.
    fleet.signal_sentinels(Signal::STOP);
    run(&fleet.servers()[1], "REPLICAOF NO ONE").await;
    let error = world.queue.enqueue(&[world.job(2)]).await.unwrap_err();
    assert!(matches!(error, Error::DurabilityShortfall { confirmed: 0, .. }), "{error}");
}

#[tokio::test]
async fn an_old_primary_that_still_answers_is_left_once_the_sentinels_name_another() {
    let fleet = RedisSentinel::start(&[]).await.unwrap();
    let world = world(&fleet).await;
    world.fill(1).await;
    // It stands still, unnoticed by us, until another was made the primary.
    fleet.servers()[0].signal(Signal::STOP);
    assert_eq!(fleet.until_failed_over(0).await.unwrap(), 1);
    fleet.servers()[0].signal(Signal::CONT);
    let same_prefix = |config: &mut Config| {
        config.prefix.clone_from(&world.queue.config().prefix);
        config.time = TimeSource::Redis;
    };
    let there = World::at(&fleet.servers()[1].url(), same_prefix).await;
    let arrives = async {
        while there.place(id(2)).await.is_none() {
            until_enqueued(&world, 2).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrives).await.expect("calls go to the new primary");
}

#[tokio::test]
async fn a_demoted_primary_answers_readonly_and_the_fleet_finds_the_new_one() {
    let fleet = RedisSentinel::start(&[]).await.unwrap();
    let world = world(&fleet).await;
    let worker = world.worker(2, handler(|_| async { Ok(Outcome::done()) }));
    world.fill(5).await;
    world.until("five are done", |stats| stats.done == 5).await;
    // Demoted behind the fleet's back: connections stay open, and writes are refused on them.
    run(&fleet.servers()[1], "REPLICAOF NO ONE").await;
    run(&fleet.servers()[0], &format!("REPLICAOF 127.0.0.1 {}", fleet.servers()[1].port())).await;
    let error = world.queue.enqueue(&[world.job(6)]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(fleet.until_failed_over(0).await.unwrap(), 1);
    until_enqueued(&world, 6).await;
    world.until("the sixth is done", |stats| stats.done >= 6).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_waited_for() {
    // 20,000 keys of 100 us each: Redis answers LOADING for two seconds.
    let slow = [("key-load-delay", "100"), ("loading-process-events-interval-bytes", "1024")];
    let settings = slow.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut server = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    let world = World::at(&server.url(), |config| config.time = TimeSource::Redis).await;
    let worker = world.worker(2, handler(|_| async { Ok(Outcome::done()) }));
    world.fill(100).await;
    world.until("they are done", |stats| stats.done == 100).await;
    run(&server, "DEBUG POPULATE 20000 filler 10").await;
    run(&server, "BGREWRITEAOF").await;
    let rewritten = async { while persistence(&server).await.contains("aof_rewrite_in_progress:1") {} };
    tokio::time::timeout(Duration::from_secs(60), rewritten).await.unwrap();
    server.kill().await;
    server.relaunch().await.unwrap();
    let queue = Queue::open(Config::new(server.url())).unwrap();
    let loading = async {
        loop {
            match queue.ping().await {
                Err(Error::Unavailable { advice, .. }) if advice.contains("loading") => break,
                Err(Error::Unavailable { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), loading).await.expect("it says that it is loading");
    until_enqueued(&world, 101).await;
    world.until("the new one is done", |stats| stats.done == 101).await;
    worker.stop().await;
}

async fn persistence(server: &RedisServer) -> String {
    redis::cmd("INFO").arg("persistence").query_async(&mut admin(server).await).await.unwrap()
}

#[tokio::test]
async fn a_replica_that_lost_its_primary_is_unavailable_until_it_is_one() {
    let mut primary = RedisServer::start(RedisOptions::default()).await.unwrap();
    let settings = vec![("replica-serve-stale-data".to_owned(), "no".to_owned())];
    let replica = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    run(&replica, &format!("REPLICAOF 127.0.0.1 {}", primary.port())).await;
    primary.kill().await;
    let queue = Queue::open(Config::new(replica.url())).unwrap();
    let name = crate::world::queue_name("main");
    let masterdown = async {
        loop {
            match queue.stats(std::slice::from_ref(&name)).await {
                Err(Error::Unavailable { advice, .. }) if advice.contains("replica") => break,
                Err(Error::Unavailable { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), masterdown)
        .await
        .expect("it says that its primary is down");
    run(&replica, "REPLICAOF NO ONE").await;
    let again = async { while queue.enqueue(&[crate::world::job_in(&name, 1)]).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("it is a primary now");
}
