//! What only a cluster does: queues on different nodes, and slots that move.

use std::time::Duration;

use payfleet::servers::RedisCluster;
use payfleet_queue::limits::Limit;
use payfleet_queue::{Config, Durability, Error, Outcome, Queue};
use redis::aio::MultiplexedConnection;

use crate::world::{World, handler, job_in, queue_name, retry};

async fn admin(url: &str) -> MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn run(node: &mut MultiplexedConnection, command: &str) {
    let mut words = command.split(' ');
    let mut call = redis::cmd(words.next().unwrap());
    call.arg(words.collect::<Vec<_>>());
    let () = call.query_async(node).await.unwrap();
}

#[tokio::test]
async fn queues_of_all_nodes_work_through_one_handle_and_follow_ups_cross_nodes() {
    let cluster = RedisCluster::start().await.unwrap();
    let queue = Queue::open(Config::new(cluster.url())).unwrap();
    let names: Vec<_> = (0..12).map(|n| queue_name(&format!("q{n}"))).collect();
    let mut nodes = std::collections::BTreeSet::new();
    for name in &names {
        nodes.insert(cluster.owner(&format!("{{payfleet:{name}}}")).await.unwrap());
    }
    assert_eq!(nodes.len(), 3, "the queues are on all nodes");

    let jobs: Vec<_> = (0_u64..).zip(&names).map(|(n, name)| job_in(name, n)).collect();
    queue.enqueue(&jobs).await.unwrap();
    for (name, next) in names.iter().zip(names.iter().cycle().skip(1)) {
        let taken = queue.take(name, "w", 1).await.unwrap();
        let then = vec![job_in(next, 100)];
        let settlement =
            payfleet_queue::Settlement { lease: taken.jobs[0].lease, outcome: Outcome::Done { then } };
        queue.settle(name, &[settlement]).await.unwrap();
    }
    let stats = queue.stats(&names).await.unwrap();
    assert!(stats.iter().all(|stats| stats.done == 1), "{stats:?}");
    for name in ["a", "b", "c", "d"] {
        let limiter = queue.limiter(name, Limit::per_second(10)).unwrap();
        assert_eq!(limiter.reserve(1).await.unwrap().granted, 1);
    }
    queue.ping().await.unwrap();
}

#[tokio::test]
async fn a_queue_whose_slot_moves_is_unavailable_meanwhile_and_works_at_its_new_node() {
    let cluster = RedisCluster::start().await.unwrap();
    let mut config = Config::new(cluster.url());
    config.durability = Durability::Replicas { count: 0, timeout: Duration::from_millis(1) };
    let queue = Queue::open(config).unwrap();
    let name = queue_name("moving");
    let key = "{payfleet:moving}";
    let (from, to) = (cluster.owner(key).await.unwrap(), (cluster.owner(key).await.unwrap() + 1) % 3);
    let (mut source, mut target) =
        (admin(&cluster.nodes()[from].url()).await, admin(&cluster.nodes()[to].url()).await);
    let mut waiter = queue.waiter(&name);
    queue.enqueue(&[job_in(&name, 1)]).await.unwrap();
    assert!(waiter.wait(payfleet_queue::PATIENCE).await.unwrap());

    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(&mut source).await.unwrap();
    let mut ids = Vec::new();
    for node in [&mut source, &mut target] {
        let id: String = redis::cmd("CLUSTER").arg("MYID").query_async(node).await.unwrap();
        ids.push(id);
    }
    run(&mut target, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0])).await;
    run(&mut source, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1])).await;
    let error = queue.enqueue(&[job_in(&name, 2)]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");

    let mut list = redis::cmd("CLUSTER");
    let keys: Vec<Vec<u8>> =
        list.arg("GETKEYSINSLOT").arg(slot).arg(100).query_async(&mut source).await.unwrap();
    assert!(!keys.is_empty());
    let mut migrate = redis::cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(cluster.nodes()[to].port()).arg("").arg(0).arg(5_000).arg("KEYS").arg(&keys);
    let () = migrate.query_async(&mut source).await.unwrap();
    run(&mut target, &format!("CLUSTER SETSLOT {slot} NODE {}", ids[1])).await;
    run(&mut source, &format!("CLUSTER SETSLOT {slot} NODE {}", ids[1])).await;

    // The first call is told where the queue is, and goes there.
    queue.enqueue(&[job_in(&name, 2)]).await.unwrap();
    let taken = queue.take(&name, "w", 10).await.unwrap();
    assert_eq!(taken.jobs.len(), 2, "nothing was lost on the way");
    let signalled = async {
        loop {
            // What it waits on may have been the old node's.
            if waiter.wait(payfleet_queue::PATIENCE).await.unwrap_or(false) {
                break;
            }
            queue.wake(&name).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), signalled).await.expect("a waiter moves along");
}

#[tokio::test]
async fn a_node_that_is_killed_and_comes_back_stops_only_its_own_queues() {
    let mut cluster = RedisCluster::start().await.unwrap();
    let mut worlds = Vec::new();
    for n in 0.. {
        let prefix = format!("w{n}");
        let owner = cluster.owner(&format!("{{{prefix}:main}}")).await.unwrap();
        if worlds.iter().all(|(other, _): &(usize, World)| *other != owner) {
            let direct = cluster.nodes()[owner].url();
            let change = |config: &mut Config| {
                config.prefix = prefix;
                config.time = payfleet_queue::TimeSource::Redis;
            };
            worlds.push((owner, World::behind(&cluster.url(), &direct, change).await));
        }
        if worlds.len() == 3 {
            break;
        }
    }
    let work =
        handler(|d| async move { Ok(if d.job.attempt == 1 { retry("once") } else { Outcome::done() }) });
    let workers: Vec<_> = worlds.iter().map(|(_, world)| world.worker(2, work.clone())).collect();
    for (_, world) in &worlds {
        world.fill(3).await;
        world.until("three are done", |stats| stats.done == 3).await;
    }
    let dead = worlds[0].0;
    // A cluster with a node down serves the others' slots, if told to.
    for node in cluster.nodes() {
        run(&mut admin(&node.url()).await, "CONFIG SET cluster-require-full-coverage no").await;
    }
    cluster.nodes_mut()[dead].kill().await;
    let error = worlds[0].1.queue.enqueue(&[worlds[0].1.job(4)]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    for (_, world) in &worlds[1..] {
        world.enqueue(&[world.job(4)]).await;
        world.until("the fourth is done", |stats| stats.done == 4).await;
    }
    cluster.nodes_mut()[dead].restart().await.unwrap();
    super::sentinel::until_enqueued(&worlds[0].1, 4).await;
    worlds[0].1.until("the fourth is done", |stats| stats.done == 4).await;
    for worker in workers {
        worker.stop().await;
    }
}
