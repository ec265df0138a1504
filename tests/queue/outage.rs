//! Redis gone, stalled, forgetful, read-only: nothing ends, nothing is lost, work goes on by itself.

use std::sync::Arc;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer, Signal};
use payfleet_queue::{Config, Error, Outcome, Queue, TimeSource};
use tokio::sync::{Semaphore, mpsc};

use crate::world::{Handler, LEASE, World, handler, id};

/// A handler that says when it has started, waits for a permit, and says that it ends.
fn gated() -> (Handler, mpsc::UnboundedReceiver<&'static str>, Arc<Semaphore>) {
    let (say, said) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&gate);
    let gated = handler(move |_| {
        let (say, gate) = (say.clone(), Arc::clone(&permits));
        async move {
            say.send("started")?;
            gate.acquire().await?.forget();
            say.send("ended")?;
            Ok(Outcome::done())
        }
    });
    (gated, said, gate)
}

#[tokio::test]
async fn a_handler_outlives_a_killed_redis_and_its_job_is_settled_once_it_is_back() {
    let mut server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |config| config.time = TimeSource::Redis).await;
    world.fill(2).await;
    let (work, mut said, gate) = gated();
    let worker = world.worker(1, work);
    assert_eq!(said.recv().await, Some("started"));

    server.kill().await;
    gate.add_permits(1);
    assert_eq!(said.recv().await, Some("ended"));
    let error = world.queue.ping().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    server.restart().await.unwrap();

    // The same worker settles the first and takes the second.
    assert_eq!(said.recv().await, Some("started"));
    gate.add_permits(1);
    world.until("both are done", |stats| stats.done == 2).await;
    worker.stop().await;
    assert_eq!((said.recv().await, said.recv().await), (Some("ended"), None));
}

#[tokio::test]
async fn a_job_that_runs_through_an_outage_longer_than_its_lease_is_not_started_twice_by_its_worker() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = World::at(&server.url(), |_| {}).await;
    world.fill(1).await;
    let (work, mut said, gate) = gated();
    // Its heart beats too seldom to save the lease after the outage.
    let worker = world.worker_with(4, LEASE, work);
    assert_eq!(said.recv().await, Some("started"));

    // Nobody but the test gets in, while the time goes on.
    set(&mut world, "requirepass", "secret").await;
    let mut kill = redis::cmd("CLIENT");
    let _: u64 = kill.arg("KILL").arg("TYPE").arg("normal").query_async(&mut world.redis).await.unwrap();
    while rejected_pings(&mut world).await == 0 {}
    world.advance(LEASE * 2).await;
    set(&mut world, "requirepass", "").await;
    until_it_answers(&world.queue).await;

    world.enqueue(&[world.job(2)]).await;
    assert_eq!(said.recv().await, Some("started"), "the new job");
    gate.add_permits(10);
    world.until("both are done", |stats| stats.done == 2).await;
    worker.stop().await;
    assert_eq!(
        (said.recv().await, said.recv().await, said.recv().await),
        (Some("ended"), Some("ended"), None)
    );
}

async fn set(world: &mut World, name: &str, value: &str) {
    let mut set = redis::cmd("CONFIG");
    let () = set.arg("SET").arg(name).arg(value).query_async(&mut world.redis).await.unwrap();
}

/// How often someone was turned away at the door.
async fn rejected_pings(world: &mut World) -> u64 {
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("commandstats").query_async(&mut world.redis).await.unwrap();
    let line = info.lines().find(|line| line.starts_with("cmdstat_ping:"));
    let rejected = line.and_then(|line| line.split("rejected_calls=").nth(1)?.split(',').next());
    rejected.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_queue_opens_while_redis_is_down_and_works_when_it_comes_up() {
    let mut server = RedisServer::start(RedisOptions::default()).await.unwrap();
    server.kill().await;
    let queue = Queue::open(Config::new(server.url())).unwrap();
    assert!(queue.ping().await.unwrap_err().is_unavailable());
    server.restart().await.unwrap();
    until_it_answers(&queue).await;
}

#[tokio::test]
async fn a_redis_that_stalls_fails_calls_and_a_worker_survives_it() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |_| {}).await;
    let worker = world.worker(1, handler(|_| async { Ok(Outcome::done()) }));
    world.fill(1).await;
    world.until("it is done", |stats| stats.done == 1).await;
    server.signal(Signal::STOP);
    let error = world.queue.enqueue(&[world.job(2)]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    server.signal(Signal::CONT);
    until_it_answers(&world.queue).await;
    // Whether the first call arrived is not known; the second makes sure, once.
    world.enqueue(&[world.job(2)]).await;
    world.until("it is done too", |stats| stats.done >= 2 && stats.ready == 0 && stats.running == 0).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_lost_its_scripts_gets_them_again() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = World::at(&server.url(), |_| {}).await;
    world.fill(1).await;
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut world.redis).await.unwrap();
    assert_eq!(world.take_one().await.lease.id, id(1));
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_unavailable_until_it_is_one_again() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = World::at(&server.url(), |_| {}).await;
    let worker = world.worker(1, handler(|_| async { Ok(Outcome::done()) }));
    let mut follow = redis::cmd("REPLICAOF");
    let () = follow.arg("127.0.0.1").arg("1").query_async(&mut world.redis).await.unwrap();
    let error = world.queue.enqueue(&[world.job(1)]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let mut lead = redis::cmd("REPLICAOF");
    let () = lead.arg("NO").arg("ONE").query_async(&mut world.redis).await.unwrap();
    until_it_answers(&world.queue).await;
    world.fill(1).await;
    world.until("it is done", |stats| stats.done == 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_not_an_outage() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = World::at(&server.url(), |_| {}).await;
    set(&mut world, "requirepass", "right").await;
    let url = server.url().replace("redis://", "redis://:wrong@");
    let error = Queue::open(Config::new(url)).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("wrong@"));
}

async fn until_it_answers(queue: &Queue) {
    let patience = Duration::from_secs(60);
    let answers = async { while queue.ping().await.is_err() {} };
    tokio::time::timeout(patience, answers).await.expect("Redis is back, so the queue is too");
}
