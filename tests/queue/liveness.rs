//! Readiness is progress: not a connection that is open, but the queue's word for what is due.

use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer, Signal};
use payfleet_queue::Outcome;

use crate::world::{World, handler};

/// Longer than an idle worker waits for Redis to say that nothing is due.
const THRESHOLD: Duration = Duration::from_secs(3);

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(90), wait).await.is_ok(), "never: {what}");
}

#[tokio::test]
async fn a_worker_is_ready_while_it_gets_on_not_while_redis_hangs_and_again_afterwards() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |_| {}).await;
    let worker = world.worker(1, handler(|_| async { Ok(Outcome::done()) }));
    let progress = worker.progress.clone();
    until("it is idle and ready", || progress.is_ready(THRESHOLD)).await;
    server.signal(Signal::STOP);
    until("it is not ready, though its connections are open", || !progress.is_ready(THRESHOLD)).await;
    server.signal(Signal::CONT);
    until("it is ready again", || progress.is_ready(THRESHOLD)).await;
    world.fill(1).await;
    world.until("it works", |stats| stats.done == 1).await;
    worker.stop().await;
    assert!(progress.is_ready(Duration::ZERO), "what shuts down finishes, which is no stall");
}
