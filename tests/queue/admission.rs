//! Queues whose jobs call something that is limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payfleet_core::backoff::Backoff;
use payfleet_queue::backend::{BackendOptions, Delivery};
use payfleet_queue::limits::{ForcedLimiter, Limit};
use payfleet_queue::{Limited, Outcome, Waiting};

use crate::world::{World, after_start, handler, id, job_in, queue_name};

fn limited_by(world: &World, name: &str, limit: Limit) -> BackendOptions {
    let mut options = BackendOptions::new("w1");
    options.retry = Backoff { base_ms: 0, cap_ms: 0 };
    options.limiters = vec![world.queue.limiter(name, limit).unwrap()];
    options
}

#[tokio::test]
async fn no_more_jobs_are_taken_than_their_limiter_lets_call_and_another_queue_goes_on() {
    let mut world = World::new().await;
    // Nine a minute, five at once.
    let limit = Limit::per(10, Duration::from_secs(60)).with_burst(5);
    let limiter = world.queue.limiter("mail", limit).unwrap();
    world.fill(20).await;
    let free = queue_name("free");
    let others: Vec<_> = (100..120).map(|n| job_in(&free, n)).collect();
    world.enqueue(&others).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, of_call) = (Arc::clone(&calls), limiter.clone());
    let call = handler(move |_: Delivery| {
        let (calls, limiter) = (Arc::clone(&counted), of_call.clone());
        async move {
            let reserved = limiter.reserve(1).await?;
            if reserved.granted == 0 {
                return Ok(Outcome::Defer { delay: Duration::ZERO, reason: "limited".to_owned() });
            }
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(Outcome::done())
        }
    });
    let worker = world.worker_for(&world.name, limited_by(&world, "mail", limit), call);
    let other =
        world.worker_for(&free, BackendOptions::new("w2"), handler(|_| async { Ok(Outcome::done()) }));
    world.until("as many are done as may be at once", |stats| stats.done == 5 && stats.running == 0).await;
    let all_free =
        async { while world.queue.stats(std::slice::from_ref(&free)).await.unwrap()[0].done < 20 {} };
    tokio::time::timeout(Duration::from_secs(60), all_free).await.expect("the other queue is not held up");
    assert_eq!((world.stats().await.done, world.stats().await.delayed), (5, 0), "they wait where they are");

    let why = world.queue.why(&world.name, id(20)).await.unwrap();
    assert!(matches!(why.waiting, Waiting::Turn { .. }));
    let limited = why.limited.clone().expect("it is limited");
    assert_eq!(limited.by, "mail");
    assert!(limited.until.is_some_and(|until| until > after_start(Duration::ZERO)), "{limited:?}");
    assert!(why.to_string().contains("; limited by mail until 2027-"), "{why}");
    limiter.force(Some(ForcedLimiter::Stop), "maintenance").await.unwrap();
    let why = world.queue.why(&world.name, id(20)).await.unwrap();
    assert_eq!(why.limited, Some(Limited { by: "mail".to_owned(), until: None }));
    limiter.force(None, "").await.unwrap();

    world.advance(Duration::from_secs(600)).await;
    world.until("the bucket was full again", |stats| stats.done == 10).await;
    worker.stop().await;
    other.stop().await;
    assert_eq!(world.stats().await.done, u64::try_from(calls.load(Ordering::SeqCst)).unwrap());
}

#[tokio::test]
async fn names_of_limiters_and_breakers_that_are_not_used_any_more_are_forgotten() {
    let mut world = World::new().await;
    for name in ["old", "new"] {
        let limiter = world.queue.limiter(name, Limit::per_second(10)).unwrap();
        assert_eq!(limiter.reserve(1).await.unwrap().granted, 1);
    }
    let prefix = world.queue.config().prefix.clone();
    let list = format!("{{{prefix}}}:limiters");
    // As if a day had gone by without a call.
    let mut expire = redis::cmd("DEL");
    let () = expire.arg(format!("{{{prefix}:limiter:old}}")).query_async(&mut world.redis).await.unwrap();
    let left = world.queue.limiters().await.unwrap();
    assert_eq!(left.iter().map(|limiter| limiter.name.as_str()).collect::<Vec<_>>(), ["new"]);
    let mut members = redis::cmd("SMEMBERS");
    let kept: Vec<String> = members.arg(list).query_async(&mut world.redis).await.unwrap();
    assert_eq!(kept, ["new"]);
}
