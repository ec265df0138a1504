//! Who gets which job, when.

use std::time::Duration;

use payfleet_core::job::NewJob;
use payfleet_queue::{Outcome, Place, Settled};

use crate::world::{LEASE, World, after_start, id, numbers, retry};

#[tokio::test]
async fn urgent_jobs_come_first_and_equals_in_the_order_they_came() {
    let world = World::new().await;
    let mut jobs: Vec<_> = (1..=6).map(|n| world.job(n)).collect();
    for (job, priority) in jobs.iter_mut().zip([2, 1, 0, 1, 0, 2]) {
        job.priority = priority;
    }
    world.enqueue(&jobs).await;
    assert_eq!(numbers(&world.take(2).await), [3, 5]);
    assert_eq!(numbers(&world.take(10).await), [2, 4, 1, 6]);
    assert!(world.take(10).await.is_empty());
}

#[tokio::test]
async fn a_leased_job_names_its_worker_and_its_token_only_grows() {
    let world = World::new().await;
    world.fill(2).await;
    let (first, second) = (world.take_one().await, world.take_one().await);
    assert!(second.lease.token > first.lease.token);
    let leased = Place::Leased { worker: "tester".to_owned(), until: after_start(LEASE) };
    assert_eq!(world.place(id(1)).await, Some(leased));
    world.queue.release(&world.name, &[first.lease]).await.unwrap();
    assert!(world.take_one().await.lease.token > second.lease.token);
}

#[tokio::test]
async fn a_delayed_job_comes_when_it_is_due_and_not_before() {
    let mut world = World::new().await;
    let mut late = world.job(1);
    late.delay_ms = 5_000;
    let mut urgent = world.job(2);
    (urgent.delay_ms, urgent.priority) = (6_000, 0);
    world.enqueue(&[late, urgent]).await;
    let due_at = after_start(Duration::from_secs(5));
    assert_eq!(world.place(id(1)).await, Some(Place::Delayed { due_at }));

    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert!(taken.jobs.is_empty());
    assert_eq!(taken.next_due_ms, Some(5_000));
    world.advance(Duration::from_millis(4_999)).await;
    assert!(world.take(10).await.is_empty());
    world.advance(Duration::from_millis(1)).await;
    assert_eq!(numbers(&world.take(10).await), [1]);
    world.advance(Duration::from_secs(1)).await;
    assert_eq!(numbers(&world.take(10).await), [2]);
}

#[tokio::test]
async fn due_jobs_by_the_thousand_are_brought_back_a_bounded_number_at_a_time_and_all_of_them() {
    let mut world = World::new().await;
    let mut jobs: Vec<_> = (1..=9_000).map(|n| world.job(n)).collect();
    jobs.iter_mut().for_each(|job| job.delay_ms = 10);
    world.enqueue(&jobs).await;
    world.advance(Duration::from_secs(1)).await;

    assert_eq!(world.take(1).await.len(), 1);
    let stats = world.stats().await;
    assert!(stats.delayed > 8_000, "one take promotes only some: {stats:?}");
    assert_eq!(stats.oldest_age_ms, Some(990));
    let mut seen = 1;
    while let Some(batch) = Some(world.take(100).await).filter(|batch| !batch.is_empty()) {
        seen += batch.len();
    }
    assert_eq!(seen, 9_000);
}

#[tokio::test]
async fn one_take_brings_about_a_mebibyte_and_what_is_too_much_stays_in_order() {
    let world = World::new().await;
    let jobs: Vec<_> = (1..=12)
        .map(|n| {
            let mut job = world.job(n);
            job.payload = serde_json::value::to_raw_value(&"x".repeat(200 * 1024)).unwrap();
            job
        })
        .collect();
    world.enqueue(&jobs).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        let taken = world.queue.take(&world.name, "w", 100).await.unwrap();
        let bytes: usize = taken.jobs.iter().map(|l| l.job.envelope.payload.get().len()).sum();
        assert!(!taken.jobs.is_empty() && bytes <= 1024 * 1024, "{bytes}");
        order.extend(taken.jobs.iter().map(|leased| leased.lease.id));
    }
    assert_eq!(order, (1..=12).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_paused_queue_hands_out_nothing_until_it_is_resumed() {
    let world = World::new().await;
    world.fill(1).await;
    world.queue.pause(&world.name).await.unwrap();
    let taken = world.queue.take(&world.name, "w", 1).await.unwrap();
    assert!(taken.jobs.is_empty() && taken.paused);
    assert!(world.stats().await.paused);
    world.queue.resume(&world.name).await.unwrap();
    assert_eq!(world.take(1).await.len(), 1);
    assert!(!world.stats().await.paused);
}

#[tokio::test]
async fn an_operator_makes_a_delayed_job_ready() {
    let world = World::new().await;
    let mut job = world.job(1);
    job.delay_ms = 1_000;
    world.enqueue(&[job]).await;
    assert!(world.queue.promote(&world.name, id(1)).await.unwrap());
    assert!(!world.queue.promote(&world.name, id(1)).await.unwrap());
    assert_eq!(world.place(id(1)).await, Some(Place::Ready));
    assert_eq!(numbers(&world.take(1).await), [1]);
}

#[tokio::test]
async fn a_cancelled_job_is_gone_and_only_waiting_jobs_can_be_cancelled() {
    let world = World::new().await;
    let mut delayed = world.job(3);
    delayed.delay_ms = 1_000;
    world.enqueue(&[world.job(1), world.job(2), delayed]).await;
    let leased = world.take_one().await;
    assert!(!world.queue.cancel(&world.name, leased.lease.id).await.unwrap());
    for n in [2, 3] {
        assert!(world.queue.cancel(&world.name, id(n)).await.unwrap());
        assert!(!world.queue.cancel(&world.name, id(n)).await.unwrap());
        assert_eq!(world.place(id(n)).await, None);
    }
    let stats = world.stats().await;
    assert_eq!((stats.ready, stats.delayed, stats.oldest_age_ms), (0, 0, None));
    assert!(world.take(10).await.is_empty());
}

#[tokio::test]
async fn a_job_that_was_cancelled_and_came_back_is_handed_out_once() {
    let world = World::new().await;
    world.fill(2).await;
    for _ in 0..3 {
        assert!(world.queue.cancel(&world.name, id(1)).await.unwrap());
        world.fill(1).await;
    }
    assert_eq!(world.stats().await.ready, 2);
    let mut taken = world.take(1).await;
    taken.extend(world.take(10).await);
    assert_eq!(numbers(&taken), [2, 1], "it came back as the last one");
    // An old entry that comes up while the job waits for its retry is no second delivery either.
    let later = Outcome::Retry { delay: LEASE, failure: crate::world::failure("x") };
    world.settle(taken[0].lease, later).await;
    assert!(world.take(10).await.is_empty());
    assert_eq!(world.stats().await.ready, 0);
}

#[tokio::test]
async fn a_job_that_was_not_started_by_its_deadline_is_dead_and_never_handed_out() {
    let mut world = World::new().await;
    let seconds = Duration::from_secs;
    let until = |n, s| NewJob { deadline: Some(after_start(seconds(s))), ..world.job(n) };
    let retried = until(3, 20);
    let slept = NewJob { delay_ms: 30_000, ..until(4, 20) };
    world.enqueue(&[until(1, 10), until(2, 20), retried, slept, world.job(5)]).await;
    world.advance(seconds(11)).await;
    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert_eq!((numbers(&taken.jobs), taken.overdue), (vec![2, 3, 5], 1));
    let Some(Place::Dead { failure, .. }) = world.place(id(1)).await else { panic!("it is dead") };
    assert_eq!(failure.class, "deadline");
    assert!(failure.message.contains("2027-01-15T08:00:10Z"), "{}", failure.message);
    // What was started in time may end after it; what is to start again may not.
    world.advance(seconds(15)).await;
    assert_eq!(world.settle(taken.jobs[0].lease, Outcome::done()).await, Settled::Applied);
    world.settle(taken.jobs[1].lease, retry("too slow")).await;
    world.advance(seconds(10)).await;
    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert_eq!((numbers(&taken.jobs), taken.overdue), (vec![], 2));
    assert_eq!((world.stats().await.dead, world.stats().await.ready), (3, 0));
}
