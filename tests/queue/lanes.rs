//! Lanes: one at a time, in order, and nobody else waits for it.

use std::time::Duration;

use payfleet_core::job::NewJob;
use payfleet_queue::{Outcome, Place, Settled, Waiting};

use crate::world::{LEASE, World, failure, id, numbers};

fn laned(world: &World, n: u64, lane: &str) -> NewJob {
    NewJob { lane: Some(lane.to_owned()), ..world.job(n) }
}

fn retry_after(delay: Duration) -> Outcome {
    Outcome::Retry { delay, failure: failure("again") }
}

#[tokio::test]
async fn jobs_of_a_lane_are_handed_out_one_at_a_time_in_the_order_they_came() {
    let world = World::new().await;
    let jobs = [
        laned(&world, 1, "a"),
        laned(&world, 2, "a"),
        laned(&world, 3, "b"),
        world.job(4),
        laned(&world, 5, "a"),
    ];
    world.enqueue(&jobs).await;
    assert_eq!(world.stats().await.ready, 5);
    let first = world.take(10).await;
    assert_eq!(numbers(&first), [1, 3, 4]);
    assert_eq!((world.stats().await.ready, world.stats().await.running), (2, 3));
    assert!(world.take(10).await.is_empty());
    let mut held = first[0].lease;
    for expected in [2, 5] {
        assert_eq!(world.settle(held, Outcome::done()).await, Settled::Applied);
        let next = world.take(10).await;
        assert_eq!(numbers(&next), [expected]);
        held = next[0].lease;
    }
    assert_eq!(world.stats().await.ready, 0);
}

#[tokio::test]
async fn a_job_that_waits_for_its_retry_frees_its_lane_and_comes_back_by_its_time() {
    let mut world = World::new().await;
    world.enqueue(&[laned(&world, 1, "a"), laned(&world, 2, "a"), laned(&world, 3, "a")]).await;
    let first = world.take_one().await;
    world.settle(first.lease, retry_after(Duration::from_secs(5))).await;
    let second = world.take_one().await;
    assert_eq!(numbers(std::slice::from_ref(&second)), [2]);
    world.advance(Duration::from_secs(6)).await;
    assert!(world.take(10).await.is_empty(), "its lane is held");
    world.settle(second.lease, Outcome::done()).await;
    // The third has been due for longer than the first's retry.
    for expected in [3, 1] {
        let next = world.take_one().await;
        assert_eq!(numbers(std::slice::from_ref(&next)), [expected]);
        world.settle(next.lease, Outcome::done()).await;
    }
}

#[tokio::test]
async fn death_release_and_expiry_do_not_block_a_lane() {
    let mut world = World::new().await;
    world.enqueue(&[laned(&world, 1, "a"), laned(&world, 2, "a")]).await;
    let lease = world.take_one().await.lease;
    world.queue.release(&world.name, &[lease]).await.unwrap();
    let again = world.take(10).await;
    assert_eq!(numbers(&again), [1], "it goes back to the front of its lane");
    world.advance(LEASE).await;
    let again = world.take(10).await;
    assert_eq!(numbers(&again), [1], "its lane was its own while it was lost");
    world.settle(again[0].lease, Outcome::Dead { failure: failure("no") }).await;
    assert_eq!(numbers(&world.take(10).await), [2]);
}

#[tokio::test]
async fn cancelling_in_a_lane_leaves_the_others_their_turn() {
    let world = World::new().await;
    let jobs: Vec<_> = (1..=4).map(|n| laned(&world, n, "a")).collect();
    world.enqueue(&jobs).await;
    for n in [1, 3] {
        assert!(world.queue.cancel(&world.name, id(n)).await.unwrap());
    }
    assert_eq!(world.stats().await.ready, 2);
    let two = world.take(10).await;
    assert_eq!(numbers(&two), [2]);
    assert!(world.queue.cancel(&world.name, id(4)).await.unwrap());
    world.settle(two[0].lease, Outcome::done()).await;
    assert!(world.take(10).await.is_empty());
    assert_eq!(world.stats().await.ready, 0);
    world.enqueue(&[laned(&world, 5, "a")]).await;
    assert_eq!(numbers(&world.take(10).await), [5]);
}

#[tokio::test]
async fn a_strict_kind_keeps_its_lane_through_its_retries_and_is_dead_when_it_takes_too_long() {
    let mut world = World::with(|config| {
        config.strict_lanes.insert("strict".to_owned(), Duration::from_secs(60));
    })
    .await;
    let mut jobs: Vec<_> = (1..=2).map(|n| laned(&world, n, "a")).collect();
    for job in &mut jobs {
        (job.kind, job.max_attempts) = ("strict".to_owned(), 100);
    }
    world.enqueue(&jobs).await;
    for _ in 0..2 {
        let lease = world.take_one().await.lease;
        world.settle(lease, retry_after(Duration::from_secs(25))).await;
        assert!(world.take(10).await.is_empty(), "the second has to wait");
        world.advance(Duration::from_secs(25)).await;
    }
    let last = world.take_one().await;
    assert_eq!(numbers(std::slice::from_ref(&last)), [1]);
    world.settle(last.lease, retry_after(Duration::from_secs(25))).await;
    let Some(Place::Dead { failure, .. }) = world.place(id(1)).await else { panic!("it is dead") };
    assert_eq!(failure.code, "lane_hold");
    assert_eq!(numbers(&world.take(10).await), [2]);
}

#[tokio::test]
async fn a_due_job_absorbs_what_is_only_scheduled_in_its_lane() {
    let mut world = World::new().await;
    let mut tried = laned(&world, 1, "a");
    tried.max_attempts = 5;
    world.enqueue(&[tried]).await;
    world.settle(world.take_one().await.lease, retry_after(LEASE)).await;
    let mut later: Vec<_> = (2..=4).map(|n| laned(&world, n, if n == 4 { "b" } else { "a" })).collect();
    later.iter_mut().for_each(|job| job.delay_ms = 60_000);
    world.enqueue(&later).await;
    world.enqueue(&[laned(&world, 5, "a")]).await;
    let lease = world.take_one().await.lease;
    let mut absorbed = world.queue.absorb(&world.name, lease).await.unwrap();
    absorbed.sort_unstable();
    let mut expected = [id(2), id(3)];
    expected.sort_unstable();
    assert_eq!(absorbed, expected);
    world.settle(lease, Outcome::done()).await;
    assert!(world.queue.absorb(&world.name, lease).await.unwrap().is_empty(), "its lease has ended");
    world.advance(Duration::from_secs(61)).await;
    assert_eq!(numbers(&world.take(10).await), [1, 4]);
}

#[tokio::test]
async fn whoever_waits_for_a_lane_is_told_who_holds_it() {
    let world = World::new().await;
    world.enqueue(&[laned(&world, 1, "a"), laned(&world, 2, "a")]).await;
    let lease = world.take_one().await.lease;
    let why = world.queue.why(&world.name, id(2)).await.unwrap();
    assert_eq!(why.waiting, Waiting::Lane { lane: "a".to_owned(), holder: Some(id(1)), behind: 0 });
    assert!(why.to_string().contains(&id(1).to_string()), "{why}");
    world.settle(lease, Outcome::done()).await;
    assert!(matches!(
        world.queue.why(&world.name, id(2)).await.unwrap().waiting,
        Waiting::Turn { behind: Some(0), .. }
    ));
}
