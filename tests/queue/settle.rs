//! How leases end.

use std::time::Duration;

use payfleet_core::job::NewJob;
use payfleet_queue::{Enqueued, Outcome, Place, Settled, Settlement};

use crate::world::{World, after_start, failure, id, job_in, numbers, queue_name, retry};

#[tokio::test]
async fn a_job_that_is_done_is_gone_and_counted() {
    let world = World::new().await;
    world.fill(1).await;
    let lease = world.take_one().await.lease;
    assert_eq!(world.settle(lease, Outcome::done()).await, Settled::Applied);
    assert_eq!(world.place(id(1)).await, None);
    let stats = world.stats().await;
    assert_eq!((stats.done, stats.running, stats.ready), (1, 0, 0));
}

#[tokio::test]
async fn settling_twice_changes_nothing_and_one_stale_lease_spoils_no_other() {
    let world = World::new().await;
    world.fill(3).await;
    let leases: Vec<_> = world.take(3).await.into_iter().map(|leased| leased.lease).collect();
    world.settle(leases[1], Outcome::done()).await;
    let mut batch: Vec<_> =
        leases.iter().map(|lease| Settlement { lease: *lease, outcome: Outcome::done() }).collect();
    batch.push(batch[0].clone());
    let answers = world.queue.settle(&world.name, &batch).await.unwrap();
    assert_eq!(answers, [Settled::Applied, Settled::Stale, Settled::Applied, Settled::Stale]);
    assert_eq!(world.stats().await.done, 3);
}

#[tokio::test]
async fn a_retry_waits_costs_an_attempt_and_is_remembered() {
    let mut world = World::new().await;
    world.fill(1).await;
    let lease = world.take_one().await.lease;
    let delay = Duration::from_secs(60);
    world.settle(lease, Outcome::Retry { delay, failure: failure("first") }).await;
    assert_eq!(world.place(id(1)).await, Some(Place::Delayed { due_at: after_start(delay) }));
    assert!(world.take(1).await.is_empty());

    world.advance(delay).await;
    let again = world.take_one().await;
    assert_eq!((again.job.attempt, again.job.deliveries), (2, 2));
    let [record] = &again.job.history[..] else { panic!("one attempt failed: {:?}", again.job.history) };
    assert_eq!((record.attempt, record.code.as_str(), record.worker.as_str()), (1, "first", "tester"));
    assert_eq!(record.message, failure("first").message);
    assert_eq!(record.at_ms, crate::world::START);
}

#[tokio::test]
async fn a_deferral_costs_no_attempt_however_often() {
    let world = World::new().await;
    world.fill(1).await;
    for deliveries in 1..=10 {
        let leased = world.take_one().await;
        assert_eq!((leased.job.attempt, leased.job.deliveries), (1, deliveries));
        let wait = Outcome::Defer { delay: Duration::ZERO, reason: "not yet".to_owned() };
        assert_eq!(world.settle(leased.lease, wait).await, Settled::Applied);
    }
    assert!(world.take_one().await.job.history.is_empty());
}

#[tokio::test]
async fn the_history_keeps_the_last_twenty_attempts() {
    let world = World::new().await;
    let mut job = world.job(1);
    job.max_attempts = 100;
    world.enqueue(&[job]).await;
    for n in 1..=25 {
        world.settle(world.take_one().await.lease, retry(&format!("e{n}"))).await;
    }
    let history = world.take_one().await.job.history;
    let attempts: Vec<u32> = history.iter().map(|record| record.attempt).collect();
    assert_eq!(attempts, (6..=25).collect::<Vec<_>>());
}

#[tokio::test]
async fn follow_ups_come_with_the_end_of_their_job_in_its_own_and_in_other_queues() {
    let world = World::new().await;
    let other = queue_name("other");
    world.fill(1).await;
    let lease = world.take_one().await.lease;
    let mut delayed = world.job(2);
    delayed.delay_ms = 1_000;
    let then = vec![job_in(&other, 3), delayed, world.job(4)];
    assert_eq!(world.settle(lease, Outcome::Done { then: then.clone() }).await, Settled::Applied);
    let stats = world.queue.stats(&[world.name.clone(), other]).await.unwrap();
    assert_eq!((stats[0].ready, stats[0].delayed, stats[0].done, stats[1].ready), (1, 1, 1, 1));
    // Said again, by a holder that missed the answer, they are found by their ids.
    assert_eq!(world.settle(lease, Outcome::Done { then }).await, Settled::Stale);
    let stats = world.stats().await;
    assert_eq!((stats.ready, stats.delayed), (1, 1));
}

#[tokio::test]
async fn a_follow_up_may_have_the_id_of_the_job_that_ends() {
    let world = World::new().await;
    world.fill(1).await;
    let lease = world.take_one().await.lease;
    world.settle(lease, Outcome::Done { then: vec![world.job(1)] }).await;
    assert_eq!(world.take_one().await.job.attempt, 1);
}

#[tokio::test]
async fn follow_ups_are_never_stopped_by_the_depth_limit_of_their_own_queue() {
    let world = World::with(|config| config.max_depth = 1).await;
    world.fill(1).await;
    let lease = world.take_one().await.lease;
    let then = vec![world.job(2), world.job(3)];
    assert_eq!(world.settle(lease, Outcome::Done { then }).await, Settled::Applied);
    assert_eq!(world.stats().await.ready, 2);
}

#[tokio::test]
async fn follow_ups_that_can_never_be_enqueued_kill_the_job_that_wants_them_and_none_beside_it() {
    let world = World::new().await;
    let other = queue_name("other");
    world.fill(4).await;
    let leases: Vec<_> = world.take(4).await.into_iter().map(|leased| leased.lease).collect();
    let huge = |mut job: NewJob| {
        job.payload = serde_json::value::to_raw_value(&"x".repeat(257 * 1024)).unwrap();
        job
    };
    let many = (100..1_101).map(|n| world.job(n)).collect();
    let thens = [
        vec![world.job(5), huge(world.job(6))],
        vec![job_in(&other, 7), huge(job_in(&other, 8))],
        many,
        vec![world.job(9), job_in(&other, 10)],
    ];
    let batch: Vec<_> = leases
        .iter()
        .zip(thens)
        .map(|(lease, then)| Settlement { lease: *lease, outcome: Outcome::Done { then } })
        .collect();
    assert_eq!(world.queue.settle(&world.name, &batch).await.unwrap(), [Settled::Applied; 4]);
    let stats = world.queue.stats(&[world.name.clone(), other]).await.unwrap();
    assert_eq!((stats[0].done, stats[0].dead, stats[0].ready, stats[1].ready), (1, 3, 1, 1));
    for (n, said) in [(1, "payload"), (2, "payload"), (3, "1001")] {
        let Some(Place::Dead { failure, .. }) = world.place(id(n)).await else { panic!("{n} is dead") };
        assert_eq!(failure.code, "follow_up");
        assert!(failure.message.contains(said), "{}", failure.message);
    }
    assert!(world.place(id(9)).await.is_some() && world.place(id(5)).await.is_none());
}

#[tokio::test]
async fn what_is_released_is_back_at_once_in_its_order_and_was_never_delivered() {
    let world = World::new().await;
    world.fill(4).await;
    let taken = world.take(3).await;
    let leases: Vec<_> = taken.iter().map(|leased| leased.lease).collect();
    world.queue.release(&world.name, &leases).await.unwrap();
    world.queue.release(&world.name, &leases).await.unwrap();
    let again = world.take(10).await;
    assert_eq!(numbers(&again), [1, 2, 3, 4]);
    assert!(again.iter().all(|leased| leased.job.deliveries == 1));
}

#[tokio::test]
async fn an_outcome_for_an_unknown_job_is_stale() {
    let world = World::new().await;
    let lease = payfleet_queue::LeaseRef { id: id(1), token: 1, seq: 1 };
    assert_eq!(world.settle(lease, Outcome::done()).await, Settled::Stale);
    assert_eq!(world.queue.renew(&world.name, &[lease]).await.unwrap(), [false]);
    assert_eq!(world.queue.enqueue(&[world.job(1)]).await.unwrap(), [Enqueued::Created(id(1))]);
}
