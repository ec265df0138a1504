//! Records that this build cannot read: another version wrote them, or a bit rotted.

use std::time::Duration;

use payfleet_core::job::{DeadJob, NewJob};
use payfleet_queue::{Enqueued, Outcome, Place, Settled};

use crate::world::{LEASE, World, failure, id, keyed, numbers, retry};

/// Puts `record` in the place of job `n`'s, which was the `n`th to come.
async fn overwrite(world: &mut World, n: u64, record: &[u8]) {
    let mut del = redis::cmd("XDEL");
    let () = del.arg(world.key("fresh")).arg(n).query_async(&mut world.redis).await.unwrap();
    let mut set = redis::cmd("HSET");
    let kept = [&[0; 6], record].concat();
    let () = set.arg(world.key("kept")).arg(n).arg(kept).query_async(&mut world.redis).await.unwrap();
}

fn record(n: u64, version: u8, body: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 0, version, 1, 0, 0, 1, 0, 3, 0, 0, 0, 0];
    [&header[..], &id(n).as_uuid().as_bytes()[..], &[0], body].concat()
}

fn raw(dead: &DeadJob) -> Vec<u8> {
    let payload: serde_json::Value = serde_json::from_str(dead.job.envelope.payload.get()).unwrap();
    hex::decode(payload["raw_hex"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_unreadable_record_is_dead_with_its_bytes_and_the_rest_of_the_batch_goes_on() {
    let mut world = World::new().await;
    world.fill(4).await;
    let other_version = record(1, 9, b"something new");
    let no_body = record(3, 1, b"");
    overwrite(&mut world, 1, &other_version).await;
    overwrite(&mut world, 3, &no_body).await;

    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert_eq!(numbers(&taken.jobs), [2, 4]);
    assert_eq!(taken.undecodable, 2);
    let mut dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(dead.len(), 2);
    dead.sort_by_key(|dead| dead.job.envelope.id != id(1));
    assert!(dead.iter().all(|dead| dead.failure.class == "undecodable"));
    assert_eq!(raw(&dead[0]), other_version);
    let kept = raw(&dead[1]);
    assert_eq!((&kept[17..], &kept[..8]), (&no_body[17..], &no_body[..8]), "only counters may change");
    assert_eq!(world.remove(&dead).await, 2);
}

#[tokio::test]
async fn a_record_that_rotted_away_is_dead_under_an_id_of_its_own() {
    let mut world = World::new().await;
    world.fill(2).await;
    overwrite(&mut world, 1, b"rot").await;
    assert_eq!(numbers(&world.take(10).await), [2]);
    let dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(raw(&dead[0]), b"rot");
    assert_eq!(world.remove(&dead).await, 1);
}

/// Removes the record of job `n`, which was the `n`th to come, wherever it is.
async fn lose(world: &mut World, n: u64) {
    let mut gone = redis::pipe();
    gone.cmd("XDEL").arg(world.key("fresh")).arg(n).cmd("HDEL").arg(world.key("kept")).arg(n);
    let gone: Vec<u64> = gone.query_async(&mut world.redis).await.unwrap();
    assert_eq!(gone.iter().sum::<u64>(), 1, "the record of job {n}");
}

/// The one death there is, which must be that of a job without a record.
async fn missing(world: &World) -> DeadJob {
    let mut dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((dead[0].failure.class.as_str(), dead[0].failure.code.as_str()), ("undecodable", "missing"));
    assert_eq!(raw(&dead[0]), b"");
    dead.remove(0)
}

async fn lane_is_free(world: &World, n: u64, lane: &str) {
    let next = NewJob { lane: Some(lane.to_owned()), ..world.job(n) };
    world.enqueue(&[next]).await;
    assert_eq!(numbers(&world.take(10).await), [n], "its lane is free");
}

#[tokio::test]
async fn a_job_whose_record_vanished_while_it_waited_is_dead_and_its_id_free_once_that_is_archived() {
    for (lane, delay_ms) in [(None, 0), (Some("a"), 0), (None, 5_000), (Some("a"), 5_000)] {
        let mut world = World::new().await;
        let lost = NewJob { lane: lane.map(str::to_owned), delay_ms, ..world.job(1) };
        world.enqueue(&[lost.clone(), world.job(2)]).await;
        lose(&mut world, 1).await;
        world.advance(Duration::from_secs(5)).await;
        let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
        assert_eq!((numbers(&taken.jobs), taken.undecodable), (vec![2], 1));
        let dead = missing(&world).await;
        // Whoever asks for the job by its own id is told too.
        assert!(matches!(world.place(id(1)).await, Some(Place::Dead { .. })));
        assert_eq!(world.remove(&[dead]).await, 1);
        assert_eq!(world.place(id(1)).await, None);
        let again = NewJob { delay_ms: 0, ..lost };
        assert_eq!(world.queue.enqueue(&[again]).await.unwrap(), [Enqueued::Created(id(1))]);
        assert_eq!(numbers(&world.take(10).await), [1]);
        let stats = world.stats().await;
        assert_eq!((stats.ready, stats.delayed, stats.dead), (0, 0, 0));
    }
}

#[tokio::test]
async fn asking_again_for_a_job_whose_record_vanished_makes_it_again_key_and_all() {
    let mut world = World::new().await;
    let job = keyed(world.job(1), "k", "body");
    world.enqueue(std::slice::from_ref(&job)).await;
    lose(&mut world, 1).await;
    for expected in [Enqueued::Created(id(1)), Enqueued::Existing(id(1))] {
        assert_eq!(world.queue.enqueue(std::slice::from_ref(&job)).await.unwrap(), [expected]);
    }
    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert_eq!((numbers(&taken.jobs), taken.undecodable), (vec![1], 1), "and what was lost is told of");
    let dead = missing(&world).await;
    world.settle(taken.jobs[0].lease, Outcome::done()).await;
    assert_eq!(world.remove(&[dead]).await, 1);
    assert_eq!(world.queue.enqueue(&[job]).await.unwrap(), [Enqueued::Existing(id(1))], "the key remembers");
}

#[tokio::test]
async fn a_job_whose_record_vanished_while_it_was_leased_is_dead_whatever_becomes_of_the_lease() {
    let minute = Duration::from_secs(60);
    let ends = [
        Some(retry("once")),
        Some(Outcome::Defer { delay: minute, reason: "later".to_owned() }),
        Some(Outcome::Unknown { delay: minute, reason: "a stranger".to_owned() }),
        Some(Outcome::Dead { failure: failure("no") }),
        None,
    ];
    for end in ends {
        let mut world = World::new().await;
        let lost = NewJob { lane: Some("a".to_owned()), ..world.job(1) };
        world.enqueue(&[lost, world.job(2)]).await;
        let leases: Vec<_> = world.take(2).await.iter().map(|leased| leased.lease).collect();
        lose(&mut world, 1).await;
        match end.clone() {
            Some(outcome) => assert_eq!(world.settle(leases[0], outcome).await, Settled::Applied),
            None => world.queue.release(&world.name, &leases[..1]).await.unwrap(),
        }
        assert_eq!(world.settle(leases[1], Outcome::done()).await, Settled::Applied);
        missing(&world).await;
        assert!(matches!(world.place(id(1)).await, Some(Place::Dead { .. })), "{end:?}");
        lane_is_free(&world, 3, "a").await;
    }
}

#[tokio::test]
async fn a_job_whose_record_vanished_or_rotted_at_a_worker_that_is_gone_is_dead() {
    for rot in [None, Some(b"rot")] {
        let mut world = World::new().await;
        let lost = NewJob { lane: Some("a".to_owned()), ..world.job(1) };
        world.enqueue(&[lost, world.job(2)]).await;
        world.take(2).await;
        match rot {
            None => lose(&mut world, 1).await,
            Some(rot) => overwrite(&mut world, 1, rot).await,
        }
        world.advance(LEASE).await;
        let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
        assert_eq!((numbers(&taken.jobs), taken.undecodable), (vec![2], 1));
        assert!(matches!(world.place(id(1)).await, Some(Place::Dead { .. })));
        lane_is_free(&world, 3, "a").await;
    }
}

#[tokio::test]
async fn a_cancelled_job_is_no_lost_one() {
    let world = World::new().await;
    world.fill(3).await;
    assert!(world.queue.cancel(&world.name, id(1)).await.unwrap());
    assert!(world.queue.reschedule(&world.name, id(2), Duration::from_secs(9)).await.unwrap());
    assert_eq!(world.stats().await.ready, 1);
    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert_eq!((numbers(&taken.jobs), taken.undecodable), (vec![3], 0));
    assert_eq!((world.stats().await.ready, world.stats().await.dead), (0, 0));
}

#[tokio::test]
async fn a_payload_encoded_as_only_a_newer_release_can_is_put_aside_for_it() {
    let mut world = World::new().await;
    world.fill(1).await;
    // Kind `test`, its payload's version, origin `api`, encoding, no parts, the payload.
    let encoded = |encoding: u8| record(1, 1, &[&b"\x04test\x00\x01\x01"[..], &[encoding, 0], b"1"].concat());
    overwrite(&mut world, 1, &encoded(1)).await;
    let taken = world.queue.take(&world.name, "old", 10).await.unwrap();
    assert_eq!((taken.jobs.len(), taken.undecodable), (0, 0));
    let stats = world.stats().await;
    assert_eq!((stats.dead, stats.delayed, stats.unknown), (0, 1, 1));
    assert!(world.queue.why(&world.name, id(1)).await.unwrap().to_string().contains("newer release"));
    // A worker that knows what that is gets it, as if it had never been handed out.
    overwrite(&mut world, 1, &encoded(0)).await;
    world.advance(Duration::from_secs(5)).await;
    let job = world.take_one().await.job;
    assert_eq!((job.deliveries, job.attempt, job.envelope.payload.get()), (1, 1, "1"));
}
