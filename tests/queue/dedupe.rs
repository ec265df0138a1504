//! One key, one job.

use std::time::Duration;

use payfleet_queue::{Enqueued, Outcome};

use crate::world::{World, id, keyed};

#[tokio::test]
async fn the_same_key_finds_its_job_and_another_body_is_a_conflict() {
    let world = World::new().await;
    let first = keyed(world.job(1), "order-1", "body");
    assert_eq!(world.queue.enqueue(&[first]).await.unwrap(), [Enqueued::Created(id(1))]);
    let again = keyed(world.job(2), "order-1", "body");
    let other = keyed(world.job(3), "order-1", "another body");
    let answers = world.queue.enqueue(&[again, other]).await.unwrap();
    assert_eq!(answers, [Enqueued::Existing(id(1)), Enqueued::Conflict(id(1))]);
    assert_eq!(world.stats().await.ready, 1);
}

#[tokio::test]
async fn a_key_twice_in_one_batch_makes_one_job() {
    let world = World::new().await;
    let batch = [
        keyed(world.job(1), "k", "body"),
        keyed(world.job(2), "k", "body"),
        keyed(world.job(3), "k", "other"),
    ];
    let answers = world.queue.enqueue(&batch).await.unwrap();
    assert_eq!(answers, [Enqueued::Created(id(1)), Enqueued::Existing(id(1)), Enqueued::Conflict(id(1))]);
    assert_eq!(world.stats().await.ready, 1);
}

#[tokio::test]
async fn a_key_is_remembered_for_a_day_whatever_becomes_of_its_job() {
    let mut world = World::new().await;
    world.enqueue(&[keyed(world.job(1), "k", "body"), keyed(world.job(2), "gone", "body")]).await;
    assert!(world.queue.cancel(&world.name, id(2)).await.unwrap());
    world.settle(world.take_one().await.lease, Outcome::done()).await;

    let again = [keyed(world.job(3), "k", "body"), keyed(world.job(4), "gone", "body")];
    let answers = world.queue.enqueue(&again).await.unwrap();
    assert_eq!(answers, [Enqueued::Existing(id(1)), Enqueued::Existing(id(2))]);
    world.advance(Duration::from_hours(24) - Duration::from_millis(1)).await;
    assert_eq!(world.queue.enqueue(&again).await.unwrap(), answers);
    world.advance(Duration::from_millis(1)).await;
    assert_eq!(world.queue.enqueue(&again[..1]).await.unwrap(), [Enqueued::Created(id(3))]);
}

#[tokio::test]
async fn a_job_that_lives_anywhere_in_the_queue_is_not_made_again() {
    let world = World::new().await;
    let mut delayed = world.job(2);
    delayed.delay_ms = 1_000;
    world.enqueue(&[world.job(1), delayed]).await;
    let leased = world.take_one().await;
    let existing = [Enqueued::Existing(id(1)), Enqueued::Existing(id(2))];
    assert_eq!(world.queue.enqueue(&[world.job(1), world.job(2)]).await.unwrap(), existing);
    world.settle(leased.lease, Outcome::Dead { failure: crate::world::failure("x") }).await;
    assert_eq!(world.queue.enqueue(&[world.job(1)]).await.unwrap(), existing[..1]);
    // Archived, its id is free again.
    let dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(world.remove(&dead).await, 1);
    assert_eq!(world.queue.enqueue(&[world.job(1)]).await.unwrap(), [Enqueued::Created(id(1))]);
}

#[tokio::test]
async fn another_body_for_a_job_that_lives_is_a_conflict_also_when_its_key_is_forgotten() {
    let mut world = World::with(|config| config.dedupe = Duration::from_secs(60)).await;
    let mut laned = keyed(world.job(2), "k2", "b");
    (laned.lane, laned.kind) = (Some("a".to_owned()), "a longer kind".to_owned());
    world.enqueue(&[keyed(world.job(1), "k1", "b"), laned, world.job(3)]).await;
    world.advance(Duration::from_secs(61)).await;
    for n in [1, 2] {
        let key = format!("k{n}");
        let ask = async |body| world.queue.enqueue(&[keyed(world.job(n), &key, body)]).await.unwrap();
        assert_eq!(ask("other").await, [Enqueued::Conflict(id(n))]);
        assert_eq!(ask("b").await, [Enqueued::Existing(id(n))]);
        assert_eq!(ask("other").await, [Enqueued::Conflict(id(n))], "and nothing was noted");
    }
    // One that came without a key says nothing of its body.
    let third = keyed(world.job(3), "k3", "b");
    assert_eq!(world.queue.enqueue(&[third]).await.unwrap(), [Enqueued::Existing(id(3))]);
    assert_eq!(world.stats().await.ready, 3);
}
