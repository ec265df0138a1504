//! What operators see.

use std::time::Duration;

use payfleet_queue::admin::{self, Severity};
use payfleet_queue::{Outcome, QueueStats};

use crate::world::{World, failure};

#[tokio::test]
async fn a_queue_in_numbers() {
    let mut world = World::new().await;
    let mut delayed = world.job(5);
    delayed.delay_ms = 60_000;
    world.fill(4).await;
    world.enqueue(&[delayed]).await;
    let taken = world.take(3).await;
    world.settle(taken[0].lease, Outcome::done()).await;
    world.settle(taken[1].lease, Outcome::Dead { failure: failure("no") }).await;
    world.advance(Duration::from_secs(7)).await;
    let expected = QueueStats {
        queue: world.name.clone(),
        ready: 1,
        running: 1,
        delayed: 1,
        dead: 1,
        done: 1,
        oldest_age_ms: Some(7_000),
        paused: false,
        suspects: 0,
        unknown: 0,
        idle_ms: Some(7_000),
        done_per_minute: 8,
        enqueued_per_minute: 0,
    };
    assert_eq!(world.stats().await, expected);
}

#[tokio::test]
async fn a_queue_nobody_used_is_empty() {
    let world = World::new().await;
    let stats = world.stats().await;
    assert_eq!((stats.ready, stats.done, stats.oldest_age_ms, stats.paused), (0, 0, None, false));
}

#[tokio::test]
async fn giving_a_job_back_does_not_make_it_look_young() {
    let mut world = World::new().await;
    world.fill(1).await;
    world.advance(Duration::from_secs(5)).await;
    let lease = world.take_one().await.lease;
    world.queue.release(&world.name, &[lease]).await.unwrap();
    assert_eq!(world.stats().await.oldest_age_ms, Some(5_000));
}

#[tokio::test]
async fn each_tick_of_a_schedule_is_claimed_once_for_the_whole_fleet() {
    let world = World::new().await;
    let claims = (0..8).map(|_| world.queue.claim_tick("nightly", 42));
    let won = futures::future::try_join_all(claims).await.unwrap();
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    assert!(world.queue.claim_tick("nightly", 43).await.unwrap());
    assert!(world.queue.claim_tick("nightly", 41).await.unwrap(), "a missed tick may be caught up");
    assert!(!world.queue.claim_tick("nightly", 41).await.unwrap());
    assert!(world.queue.claim_tick("hourly", 42).await.unwrap());
}

#[tokio::test]
async fn the_boot_check_accepts_our_own_server_and_names_what_is_wrong_with_another() {
    let mut world = World::new().await;
    assert_eq!(admin::check_server(&world.queue).await.unwrap(), vec![]);
    let info = admin::server_info(&world.queue).await.unwrap();
    assert_eq!((info.role.as_str(), info.appendonly), ("master", true));

    let settings = vec![("maxmemory-policy".to_owned(), "allkeys-lru".to_owned())];
    let options = payfleet::servers::RedisOptions { settings, ..Default::default() };
    let server = payfleet::servers::RedisServer::start(options).await.unwrap();
    world = World::at(&server.url(), |_| {}).await;
    let findings = admin::check_server(&world.queue).await.unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].severity, Severity::Error);
    assert!(findings[0].message.contains("noeviction"), "{}", findings[0].message);
}
