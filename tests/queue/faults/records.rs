//! 7: a record that cannot be read any more, or is gone.

use std::collections::{BTreeMap, BTreeSet};

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_core::job::{DeadJob, NewJob};
use payfleet_queue::TimeSource;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::account::{Account, job_of_kind};
use super::process::WorkerProcess;
use crate::world::{World, id};

/// What is to become of a record.
#[derive(Clone, Copy)]
enum Rot {
    /// Other bytes stand in its place.
    Garbled(&'static [u8]),
    /// It is gone.
    Missing,
}

/// Finds the one value, in a hash or a stream of this Redis, that contains `mark`, and spoils it. How
/// the queue keeps its records is its own affair.
async fn spoil(redis: &mut MultiplexedConnection, mark: &str, rot: Rot) {
    let contains = |value: &[u8]| value.windows(mark.len()).any(|part| part == mark.as_bytes());
    let mut spoiled = 0;
    let keys: Vec<Vec<u8>> = redis.keys("*").await.unwrap();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(redis).await.unwrap();
        match kind.as_str() {
            "hash" => {
                let fields: BTreeMap<Vec<u8>, Vec<u8>> = redis.hgetall(&key).await.unwrap();
                for (field, _) in fields.into_iter().filter(|(_, value)| contains(value)) {
                    spoiled += 1;
                    let () = match rot {
                        Rot::Garbled(bytes) => redis.hset(&key, field, bytes).await.unwrap(),
                        Rot::Missing => redis.hdel(&key, field).await.unwrap(),
                    };
                }
            }
            "stream" => spoiled += spoil_stream(redis, &key, contains, rot).await,
            _ => {}
        }
    }
    assert_eq!(spoiled, 1, "records that contain {mark}");
}

type Entry = (Vec<u8>, Vec<Vec<u8>>);

/// An entry of a stream cannot be changed, so the stream is written anew.
async fn spoil_stream(
    redis: &mut MultiplexedConnection,
    key: &[u8],
    contains: impl Fn(&[u8]) -> bool,
    rot: Rot,
) -> usize {
    let entries: Vec<Entry> =
        redis::cmd("XRANGE").arg(key).arg("-").arg("+").query_async(redis).await.unwrap();
    let mut anew = redis::pipe();
    anew.atomic().del(key).ignore();
    let mut spoiled = 0;
    for (id, fields) in entries {
        let is_meant = fields.iter().any(|field| contains(field));
        spoiled += usize::from(is_meant);
        match rot {
            Rot::Missing if is_meant => {}
            // A record is a name and a value, one after the other.
            Rot::Garbled(bytes) if is_meant => {
                anew.cmd("XADD").arg(key).arg(id).arg("").arg(bytes);
            }
            _ => {
                anew.cmd("XADD").arg(key).arg(id).arg(fields);
            }
        }
    }
    if spoiled > 0 {
        let () = anew.query_async(redis).await.unwrap();
    }
    spoiled
}

/// A job that can be found by its mark.
fn marked(world: &World, n: u64) -> NewJob {
    let mut job = job_of_kind(world, n, "done");
    job.payload = serde_json::value::to_raw_value(&format!("mark-{n}-")).unwrap();
    job
}

fn raw(dead: &DeadJob) -> Vec<u8> {
    let payload: serde_json::Value = serde_json::from_str(dead.job.envelope.payload.get()).unwrap();
    hex::decode(payload["raw_hex"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn records_that_rotted_are_dead_with_their_bytes_and_the_others_go_on() {
    const OTHER_VERSION: &[u8] =
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff a record of no version, long enough to be one";
    const SHORT: &[u8] = b"\x01\x02";
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |config| config.time = TimeSource::Redis).await;
    let mut account = Account::default();
    let jobs: Vec<_> = (0..20).map(|n| marked(&world, n)).collect();
    account.enqueue_all(&world.queue, &jobs).await;
    let mut redis = world.redis.clone();
    spoil(&mut redis, "mark-3-", Rot::Garbled(OTHER_VERSION)).await;
    spoil(&mut redis, "mark-7-", Rot::Garbled(SHORT)).await;

    let worker = WorkerProcess::start(&world, &server.url(), 8);
    world.until("the others are done", |stats| stats.done == 18 && stats.dead == 2).await;
    let said = worker.stop().await;
    for n in 0..20 {
        let is_good = ![3, 7].contains(&n);
        assert_eq!(said.contains(&super::process::Said::Ends(id(n))), is_good, "job {n}");
    }
    let dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert!(dead.iter().all(|dead| dead.failure.class == "undecodable"));
    let kept: BTreeSet<Vec<u8>> = dead.iter().map(raw).collect();
    assert_eq!(kept, BTreeSet::from([OTHER_VERSION.to_vec(), SHORT.to_vec()]));
    let left = world.stats().await;
    assert_eq!((left.ready, left.running, left.delayed), (0, 0, 0));
    assert!(world.take(10).await.is_empty());
}

#[tokio::test]
async fn a_job_whose_record_is_missing_is_dead_and_holds_nobody_up() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |config| config.time = TimeSource::Redis).await;
    let jobs: Vec<_> = (0..10).map(|n| marked(&world, n)).collect();
    let mut account = Account::default();
    account.enqueue_all(&world.queue, &jobs).await;
    spoil(&mut world.redis.clone(), "mark-4-", Rot::Missing).await;

    let worker = WorkerProcess::start(&world, &server.url(), 8);
    world.until("the others are done", |stats| stats.done == 9 && stats.dead == 1).await;
    let said = worker.stop().await;
    for n in 0..10 {
        assert_eq!(said.contains(&super::process::Said::Ends(id(n))), n != 4, "job {n}");
    }
    let dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!((dead[0].failure.code.as_str(), raw(&dead[0]).len()), ("missing", 0));
    account.check(&world, &BTreeSet::from([id(4)])).await;
}
