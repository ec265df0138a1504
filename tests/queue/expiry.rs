//! Leases whose holders are gone.

use std::time::Duration;

use payfleet_queue::{Outcome, Place, Settled};

use crate::world::{LEASE, World, id, numbers};

#[tokio::test]
async fn a_job_whose_worker_is_gone_comes_back_before_those_that_wait() {
    let mut world = World::new().await;
    world.fill(4).await;
    let lost = world.take(2).await;
    world.advance(LEASE - Duration::from_millis(1)).await;
    let taken = world.queue.take(&world.name, "w2", 1).await.unwrap();
    assert_eq!(numbers(&taken.jobs), [3]);
    assert_eq!(taken.next_due_ms, Some(0));

    world.advance(Duration::from_millis(1)).await;
    let again = world.take(10).await;
    assert_eq!(numbers(&again), [1, 2, 4]);
    assert_eq!((again[0].job.deliveries, again[0].job.attempt), (2, 1));
    assert_eq!(world.settle(lost[0].lease, Outcome::done()).await, Settled::Stale);
    assert_eq!(world.settle(again[0].lease, Outcome::done()).await, Settled::Applied);
}

#[tokio::test]
async fn a_heartbeat_keeps_a_lease_and_one_that_comes_too_late_is_told_so() {
    let mut world = World::new().await;
    world.fill(2).await;
    let leases: Vec<_> = world.take(2).await.into_iter().map(|leased| leased.lease).collect();
    for _ in 0..5 {
        world.advance(LEASE / 2).await;
        assert_eq!(world.queue.renew(&world.name, &leases[..1]).await.unwrap(), [true]);
    }
    assert_eq!(numbers(&world.take(10).await), [2]);
    assert_eq!(world.queue.renew(&world.name, &leases).await.unwrap(), [true, false]);
    assert_eq!(world.settle(leases[0], Outcome::done()).await, Settled::Applied);
}

#[tokio::test]
async fn a_late_outcome_counts_while_nobody_else_has_the_job() {
    let mut world = World::new().await;
    world.fill(1).await;
    let lease = world.take_one().await.lease;
    world.advance(LEASE * 10).await;
    assert_eq!(world.settle(lease, Outcome::done()).await, Settled::Applied);
    assert!(world.take(1).await.is_empty());
}

#[tokio::test]
async fn a_suspect_that_ends_three_workers_while_it_runs_alone_is_dead() {
    let mut world = World::new().await;
    world.fill(1).await;
    for deliveries in 1..=4 {
        let leased = world.take_one().await;
        assert_eq!((leased.job.deliveries, leased.suspect), (deliveries, deliveries > 1));
        if leased.suspect {
            assert!(world.queue.start(&world.name, leased.lease).await.unwrap());
        }
        world.advance(LEASE).await;
    }
    assert!(world.take(1).await.is_empty());
    let Some(Place::Dead { failure, .. }) = world.place(id(1)).await else { panic!("it is dead") };
    assert_eq!(failure.class, "crash_loop");
    assert!(failure.message.contains("tester"), "{}", failure.message);
    assert_eq!(world.queue.dead(&world.name, 1).await.unwrap()[0].job.deliveries, 4);
}

#[tokio::test]
async fn expired_leases_by_the_thousand_are_reaped_a_bounded_number_at_a_time_and_all_of_them() {
    let mut world = World::new().await;
    world.fill(1_500).await;
    let mut leased = 0;
    while leased < 1_500 {
        leased += world.take(500).await.len();
    }
    world.advance(LEASE).await;
    assert_eq!(world.take(1).await.len(), 1);
    assert!(world.stats().await.running > 1_000, "one take reaps only some");
    let mut again = 1;
    loop {
        let taken = world.queue.take(&world.name, "w2", 500).await.unwrap();
        again += taken.jobs.len();
        if taken.jobs.is_empty() {
            break;
        }
    }
    assert_eq!(again, 1_500);
}
