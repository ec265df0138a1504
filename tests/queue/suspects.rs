//! Jobs that may have ended their workers, and those that were only beside one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payfleet_queue::{Outcome, Place, Waiting};

use crate::world::{LEASE, World, handler, id, numbers, retry};

/// What a worker process does that is ended by job 1 whenever that begins: `alone` at a time.
async fn work_until_it_ends(world: &World) -> bool {
    loop {
        let taken = world.take(50).await;
        if taken.is_empty() {
            return false;
        }
        for leased in taken {
            if leased.suspect {
                assert!(world.queue.start(&world.name, leased.lease).await.unwrap());
            }
            if leased.lease.id == id(1) {
                return true;
            }
            world.settle(leased.lease, Outcome::done()).await;
        }
    }
}

#[tokio::test]
async fn one_job_that_ends_its_workers_among_500_good_ones_leaves_exactly_one_dead() {
    let mut world = World::new().await;
    world.fill(501).await;
    let mut ends = 0;
    while work_until_it_ends(&world).await {
        ends += 1;
        world.advance(LEASE).await;
    }
    assert_eq!(ends, 4, "once among others, three times alone");
    let stats = world.stats().await;
    assert_eq!((stats.done, stats.dead, stats.ready, stats.running), (500, 1, 0, 0));
    let Some(Place::Dead { failure, .. }) = world.place(id(1)).await else { panic!("it is dead") };
    assert_eq!(failure.class, "crash_loop");
}

#[tokio::test]
async fn an_expiry_before_the_start_never_counts() {
    let mut world = World::new().await;
    world.fill(1).await;
    for _ in 0..10 {
        assert_eq!(numbers(&world.take(1).await), [1]);
        world.advance(LEASE).await;
    }
    let last = world.take_one().await;
    assert_eq!((last.job.deliveries, last.suspect), (11, true));
}

#[tokio::test]
async fn a_suspect_that_comes_through_is_none_any_more() {
    let mut world = World::new().await;
    world.fill(1).await;
    world.take_one().await;
    world.advance(LEASE).await;
    let suspect = world.take_one().await;
    world.queue.start(&world.name, suspect.lease).await.unwrap();
    world.settle(suspect.lease, retry("an honest failure")).await;
    assert!(!world.take_one().await.suspect);
}

#[tokio::test]
async fn after_a_time_without_any_call_holders_get_the_time_to_renew() {
    let grace = Duration::from_secs(5);
    let mut world = World::with(|config| config.grace = grace).await;
    world.fill(2).await;
    let leases: Vec<_> = world.take(2).await.iter().map(|leased| leased.lease).collect();
    // Redis is away for longer than a lease; then another worker is the first to be back.
    world.advance(LEASE * 2).await;
    assert!(world.take(10).await.is_empty());
    assert_eq!(world.queue.renew(&world.name, &leases[..1]).await.unwrap(), [true]);
    world.advance(grace).await;
    assert_eq!(numbers(&world.take(10).await), [2], "its holder is really gone");
    assert_eq!(world.settle(leases[0], Outcome::done()).await, payfleet_queue::Settled::Applied);
}

#[tokio::test]
async fn a_worker_runs_suspects_while_nothing_else_runs_and_then_goes_on() {
    let mut world = World::new().await;
    world.fill(20).await;
    while !world.take(20).await.is_empty() {}
    world.advance(LEASE).await;
    let jobs: Vec<_> = (21..=40).map(|n| world.job(n)).collect();
    world.enqueue(&jobs).await;
    let (running, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&running), Arc::clone(&broken));
    let worker = world.worker(
        8,
        handler(move |delivery| {
            let (running, broken) = counts.clone();
            async move {
                let before = running.fetch_add(1, Ordering::SeqCst);
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                    let now = running.load(Ordering::SeqCst);
                    if delivery.lease.is_suspect() && (before > 0 || now > 1) {
                        broken.fetch_add(1, Ordering::SeqCst);
                    }
                }
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(Outcome::done())
            }
        }),
    );
    world.until("all are done", |stats| stats.done == 40).await;
    worker.stop().await;
    assert_eq!(broken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_suspect_says_what_it_waits_for() {
    let mut world = World::new().await;
    world.fill(2).await;
    world.take(2).await;
    world.advance(LEASE).await;
    assert_eq!(numbers(&world.take(1).await), [1]);
    assert_eq!(world.queue.why(&world.name, id(2)).await.unwrap().waiting, Waiting::Suspect);
    assert_eq!(world.stats().await.suspects, 1);
}
