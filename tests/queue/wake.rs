//! How idle workers learn of work.

use std::time::Duration;

use payfleet_core::job::NewJob;
use payfleet_queue::{Outcome, PATIENCE};

use crate::world::World;

#[tokio::test]
async fn a_waiter_is_woken_by_a_job_and_gives_up_without_one() {
    let world = World::new().await;
    let mut waiter = world.queue.waiter(&world.name);
    assert!(!waiter.wait(Duration::from_millis(1)).await.unwrap());
    world.fill(1).await;
    assert!(waiter.wait(PATIENCE).await.unwrap());
}

#[tokio::test]
async fn one_job_wakes_one_of_many_waiters() {
    let world = World::new().await;
    let mut waiters: Vec<_> = (0..3).map(|_| world.queue.waiter(&world.name)).collect();
    world.fill(1).await;
    let answers = futures::future::join_all(waiters.iter_mut().map(|waiter| waiter.wait(PATIENCE))).await;
    assert_eq!(answers.into_iter().filter(|woken| *woken.as_ref().unwrap()).count(), 1);
}

#[tokio::test]
async fn a_job_that_is_due_sooner_than_all_others_wakes_a_waiter_to_look_at_the_time() {
    let world = World::new().await;
    let mut waiter = world.queue.waiter(&world.name);
    for (n, delay_ms, wakes) in [(1, 60_000, true), (2, 70_000, false), (3, 50_000, true)] {
        let mut job = world.job(n);
        job.delay_ms = delay_ms;
        world.enqueue(&[job]).await;
        assert_eq!(waiter.wait(PATIENCE).await.unwrap(), wakes, "job {n}");
    }
}

#[tokio::test]
async fn whoever_leaves_work_behind_wakes_the_next() {
    let mut world = World::new().await;
    world.fill(3).await;
    let () = redis::cmd("DEL").arg(world.key("wake")).query_async(&mut world.redis).await.unwrap();
    world.take(1).await;
    assert!(world.queue.waiter(&world.name).wait(PATIENCE).await.unwrap());
}

#[tokio::test]
async fn the_end_of_a_job_wakes_a_waiter_for_the_next_of_its_lane() {
    let mut world = World::new().await;
    let laned = |n| NewJob { lane: Some("a".to_owned()), ..world.job(n) };
    world.enqueue(&[laned(1), laned(2)]).await;
    let first = world.take(2).await;
    let () = redis::cmd("DEL").arg(world.key("wake")).query_async(&mut world.redis).await.unwrap();
    world.settle(first[0].lease, Outcome::done()).await;
    assert!(world.queue.waiter(&world.name).wait(PATIENCE).await.unwrap());
}

#[tokio::test]
async fn signals_do_not_pile_up() {
    let mut world = World::new().await;
    world.fill(1_000).await;
    let signals: u64 = redis::cmd("LLEN").arg(world.key("wake")).query_async(&mut world.redis).await.unwrap();
    assert_eq!(signals, 8);
}
