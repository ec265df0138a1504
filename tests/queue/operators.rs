//! What an operator asks about one job, and does with it.

use std::time::Duration;

use payfleet_queue::{Deferral, Error, Outcome, Place, Waiting};

use crate::world::{LEASE, START, World, after_start, failure, id, numbers, retry};

async fn why(world: &World, n: u64) -> Waiting {
    world.queue.why(&world.name, id(n)).await.unwrap().waiting
}

#[tokio::test]
async fn why_tells_the_truth_about_every_place() {
    let mut world = World::new().await;
    let mut delayed = world.job(9);
    delayed.delay_ms = 60_000;
    world.fill(4).await;
    world.enqueue(&[delayed]).await;
    let taken = world.take(2).await;
    world.settle(taken[0].lease, Outcome::Dead { failure: failure("no") }).await;

    assert_eq!(why(&world, 99).await, Waiting::Unknown);
    assert_eq!(why(&world, 9).await, Waiting::Time { due_at: after_start(Duration::from_secs(60)) });
    assert_eq!(why(&world, 4).await, Waiting::Turn { behind: Some(1), estimate_ms: None });
    let died_at = after_start(Duration::ZERO);
    assert_eq!(why(&world, 1).await, Waiting::Dead { failure: failure("no"), died_at });
    let until = after_start(LEASE);
    assert_eq!(why(&world, 2).await, Waiting::Leased { worker: "tester".to_owned(), since: died_at, until });

    world.advance(Duration::from_secs(10)).await;
    world.settle(taken[1].lease, Outcome::done()).await;
    let estimate_ms = Some(10_000);
    assert_eq!(why(&world, 4).await, Waiting::Turn { behind: Some(1), estimate_ms });
    world.queue.pause(&world.name).await.unwrap();
    let said = world.queue.why(&world.name, id(4)).await.unwrap().to_string();
    assert_eq!(said, "it waits behind 1 jobs, about 10s at the present rate; the queue is paused");
}

#[tokio::test]
async fn a_ready_and_a_delayed_job_are_moved_to_another_time() {
    let mut world = World::new().await;
    let mut delayed = world.job(3);
    delayed.delay_ms = 60_000;
    world.fill(2).await;
    world.enqueue(&[delayed]).await;
    world.settle(world.take_one().await.lease, retry("first")).await;
    for n in [1, 3] {
        assert!(world.queue.reschedule(&world.name, id(n), Duration::from_secs(5)).await.unwrap());
        let due_at = after_start(Duration::from_secs(5));
        assert_eq!(world.place(id(n)).await, Some(Place::Delayed { due_at }));
    }
    assert_eq!((world.stats().await.ready, world.stats().await.delayed), (1, 2));
    let taken = world.take(10).await;
    assert_eq!(numbers(&taken), [2]);
    assert!(!world.queue.reschedule(&world.name, id(2), Duration::ZERO).await.unwrap(), "it is leased");
    assert!(!world.queue.reschedule(&world.name, id(99), Duration::ZERO).await.unwrap(), "it is unknown");
    world.advance(Duration::from_secs(5)).await;
    let mut rest = world.take(10).await;
    rest.sort_by_key(|leased| leased.job.envelope.payload.get().to_owned());
    assert_eq!(numbers(&rest), [1, 3]);
    assert_eq!(rest[0].job.history.len(), 1, "it keeps its history");
}

#[tokio::test]
async fn peeking_shows_what_comes_next_and_takes_nothing() {
    let world = World::new().await;
    let mut urgent = world.job(3);
    urgent.priority = 0;
    world.fill(2).await;
    world.enqueue(&[urgent]).await;
    let seen = world.queue.peek(&world.name, 2).await.unwrap();
    let ids: Vec<_> = seen.iter().map(|view| view.job.envelope.id).collect();
    assert_eq!(ids, [id(3), id(1)]);
    assert_eq!(world.take(10).await.len(), 3);
}

#[tokio::test]
async fn why_a_worker_put_a_job_off_is_told_until_the_job_fails_or_is_done() {
    let mut world = World::new().await;
    let minute = Duration::from_secs(60);
    world.fill(1).await;
    let defer = |reason: &str| Outcome::Defer { delay: minute, reason: reason.to_owned() };
    world.settle(world.take_one().await.lease, defer("the other side is asleep")).await;
    let expected =
        Some(Deferral { at: after_start(Duration::ZERO), reason: "the other side is asleep".to_owned() });
    let found = async || world.queue.find(&world.name, id(1)).await.unwrap().unwrap().deferred;
    assert_eq!(found().await, expected);
    let why = world.queue.why(&world.name, id(1)).await.unwrap();
    assert_eq!(why.deferred, expected);
    assert!(why.to_string().ends_with("; a worker put it off: the other side is asleep"), "{why}");
    assert!(world.queue.promote(&world.name, id(1)).await.unwrap());
    assert_eq!(world.queue.peek(&world.name, 1).await.unwrap()[0].deferred, expected);
    // An operator's change of its time does not lose it, nor does a worker that gives it back.
    assert!(world.queue.reschedule(&world.name, id(1), Duration::ZERO).await.unwrap());
    let lease = world.take_one().await.lease;
    world.queue.release(&world.name, &[lease]).await.unwrap();
    assert_eq!(found().await, expected);
    world.settle(world.take_one().await.lease, defer(&"x".repeat(10_000))).await;
    assert_eq!(found().await.unwrap().reason.len(), 2_000);
    world.advance(minute).await;
    world.settle(world.take_one().await.lease, retry("an honest failure")).await;
    let view = world.queue.find(&world.name, id(1)).await.unwrap().unwrap();
    assert_eq!((view.deferred, view.job.history.len()), (None, 1));
    world.settle(world.take_one().await.lease, defer("again")).await;
    world.advance(minute).await;
    world.settle(world.take_one().await.lease, Outcome::done()).await;
    let mut count = redis::cmd("EXISTS");
    let left: u64 = count.arg(world.key("notes")).query_async(&mut world.redis).await.unwrap();
    assert_eq!(left, 0, "nothing is left of it");
}

#[tokio::test]
async fn a_job_nobody_here_knows_goes_back_untouched_and_is_counted() {
    let mut world = World::new().await;
    world.fill(1).await;
    let unknown = Outcome::Unknown { delay: Duration::from_secs(5), reason: "version 9".to_owned() };
    world.settle(world.take_one().await.lease, unknown).await;
    assert_eq!(world.stats().await.unknown, 1);
    let why = world.queue.why(&world.name, id(1)).await.unwrap();
    assert!(why.set_aside && why.to_string().contains("version 9"), "{why}");
    world.advance(Duration::from_secs(5)).await;
    let again = world.take_one().await;
    assert_eq!((again.job.deliveries, again.job.attempt), (1, 1));
    assert!(again.job.history.is_empty());
}

#[tokio::test]
async fn jobs_that_are_due_while_nothing_is_handed_out_are_counted_in_time() {
    let mut world = World::new().await;
    world.fill(1).await;
    world.take_one().await;
    world.advance(Duration::from_secs(100)).await;
    assert_eq!(world.stats().await.idle_ms, None, "nothing is due");
    world.enqueue(&[world.job(2)]).await;
    world.advance(Duration::from_secs(7)).await;
    assert_eq!(world.stats().await.idle_ms, Some(7_000));
    assert_eq!(START + 107_000, after_start(Duration::from_secs(107)).unix_ms());
}

#[tokio::test]
async fn calls_made_at_the_same_time_get_each_its_own_answer() {
    let world = World::with(|config| config.max_depth = 30).await;
    let calls = (1..=40).map(|n| {
        let (queue, jobs) = (world.queue.clone(), [world.job(n)]);
        async move { queue.enqueue(&jobs).await }
    });
    let answers = futures::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(Error::QueueFull { .. }))));
    assert_eq!((made, world.stats().await.ready), (30, 30));
}
