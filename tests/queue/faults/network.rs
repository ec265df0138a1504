//! 21, and what else a network does: connections that are dead and do not say so, resets, cuts in the
//! middle of a message, silence, slowness.

use std::collections::BTreeSet;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::TimeSource;
use payfleet_tests::proxy::{Direction, Proxy};

use super::account::{Account, job_of_kind};
use super::process::{Said, WorkerProcess};
use crate::world::{World, id};

/// A worker that reaches its Redis only through a proxy, and holds job 1.
struct Far {
    world: World,
    proxy: Proxy,
    worker: WorkerProcess,
    account: Account,
    next: u64,
    _server: RedisServer,
}

impl Far {
    async fn new() -> Self {
        let server = RedisServer::start(RedisOptions::default()).await.unwrap();
        let proxy = Proxy::start(([127, 0, 0, 1], server.port()).into()).await.unwrap();
        let world = World::at(&server.url(), |config| {
            config.time = TimeSource::Redis;
            config.lease = Duration::from_secs(5);
        })
        .await;
        let mut account = Account::default();
        account.enqueue(&world.queue, &job_of_kind(&world, 1, "hold")).await;
        let mut worker = WorkerProcess::start(&world, &proxy.redis_url(), 8);
        worker.until_said(&[Said::Begins(id(1))]).await;
        Self { world, proxy, worker, account, next: 2, _server: server }
    }

    /// So many jobs, from near the server.
    async fn enqueue(&mut self, count: u64) {
        for _ in 0..count {
            self.account.enqueue(&self.world.queue, &job_of_kind(&self.world, self.next, "done")).await;
            self.next += 1;
        }
    }

    /// Lets the worker finish; the handler that was held has outlived it all.
    async fn finish(mut self) {
        self.worker.go().await;
        Account::until_idle(&self.world).await;
        let said = self.worker.stop().await;
        assert!(said.contains(&Said::Ends(id(1))), "the handler was lost");
        self.account.check(&self.world, &BTreeSet::new()).await;
    }
}

/// Runs until the fault shows in the proxy's counters.
async fn until(what: &str, fired: impl Fn() -> bool) {
    let wait = async {
        while !fired() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::process::PATIENCE, wait).await.unwrap_or_else(|_| panic!("never {what}"));
}

#[tokio::test]
async fn half_open_connections_are_noticed_and_replaced() {
    let mut far = Far::new().await;
    let before = far.proxy.fired().connections;
    far.proxy.half_open();
    far.enqueue(50).await;
    until("a request into the void", || far.proxy.fired().held > 0).await;
    until("a new connection", || far.proxy.fired().connections > before).await;
    far.finish().await;
}

#[tokio::test]
async fn connections_that_are_reset_again_and_again_lose_nothing() {
    let mut far = Far::new().await;
    for _ in 0..10 {
        let before = far.proxy.fired();
        far.enqueue(10).await;
        // Again and again, since at one moment there may be none to reset.
        let is_reset = || {
            far.proxy.reset();
            far.proxy.fired().resets > before.resets
        };
        until("a reset", is_reset).await;
        until("a new connection", || far.proxy.fired().connections > before.connections).await;
    }
    far.finish().await;
}

#[tokio::test]
async fn messages_cut_in_the_middle_lose_nothing() {
    let mut far = Far::new().await;
    for bytes in [1, 100, 1_000, 3_000] {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let before = far.proxy.fired().cuts;
            far.proxy.cut_after(direction, bytes);
            // The worker asks for work now and then, so that every cut comes to its end.
            far.enqueue(20).await;
            until("a cut", || far.proxy.fired().cuts > before).await;
        }
    }
    far.finish().await;
}

#[tokio::test]
async fn silence_and_slowness_pass() {
    let mut far = Far::new().await;
    far.proxy.blackhole();
    far.enqueue(50).await;
    until("a request into the void", || far.proxy.fired().held > 0).await;
    far.proxy.heal();
    far.proxy.delay(Duration::from_millis(50));
    far.enqueue(50).await;
    until("a late piece", || far.proxy.fired().delayed > 10).await;
    far.proxy.heal();
    far.finish().await;
}
