//! What only Sentinel does: another server becomes the primary.

use std::time::Duration;

use payfleet::servers::RedisSentinel;
use payfleet_queue::{Outcome, TimeSource};

use crate::world::{World, handler};

/// A world on the sentinels' primary, by Redis' own clock: a stepped one would be lost on the way.
pub(super) async fn world(fleet: &RedisSentinel) -> World {
    World::behind(&fleet.url(), &fleet.servers()[0].url(), |config| config.time = TimeSource::Redis).await
}

/// What a service does: asks again until it works.
pub(super) async fn until_enqueued(world: &World, n: u64) {
    let again = async { while world.queue.enqueue(&[world.job(n)]).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("the new primary is found");
}

#[tokio::test]
async fn after_an_ordered_failover_workers_and_producers_go_on_at_the_new_primary() {
    let fleet = RedisSentinel::start(&[]).await.unwrap();
    let world = world(&fleet).await;
    let worker = world.worker(4, handler(|_| async { Ok(Outcome::done()) }));
    world.fill(10).await;
    world.until("the first ten are done", |stats| stats.done == 10).await;
    assert_eq!(fleet.fail_over().await.unwrap(), 1);
    for n in 11..=20 {
        until_enqueued(&world, n).await;
    }
    world.until("all are done", |stats| stats.done >= 20 && stats.ready + stats.running == 0).await;
    worker.stop().await;
}

#[tokio::test]
async fn with_two_of_three_sentinels_gone_the_primary_is_still_found() {
    let fleet = RedisSentinel::start(&[]).await.unwrap();
    fleet.end_majority().await;
    world(&fleet).await.fill(1).await;
}
