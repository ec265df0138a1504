//! 22: Redis did it, and the answer got lost.

use std::collections::BTreeSet;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::{Enqueued, Outcome, Place, Queue, Settled, Settlement};
use payfleet_tests::proxy::Proxy;

use crate::world::{LEASE, World, id, keyed, retry};

/// What every call of a script contains.
const CALL: &str = "EVALSHA";

/// A queue near its Redis, and the same queue seen through a proxy.
struct Seen {
    world: World,
    proxy: Proxy,
    far: Queue,
    _server: RedisServer,
}

impl Seen {
    async fn new() -> Self {
        let server = RedisServer::start(RedisOptions::default()).await.unwrap();
        let proxy = Proxy::start(([127, 0, 0, 1], server.port()).into()).await.unwrap();
        let world = World::at(&server.url(), |_| {}).await;
        let mut config = world.queue.config().clone();
        config.url = proxy.redis_url();
        Self { far: Queue::open(config).unwrap(), world, proxy, _server: server }
    }

    fn assert_dropped(&self, times: u64) {
        assert_eq!(self.proxy.fired().replies_dropped, times, "replies that were dropped");
    }
}

#[tokio::test]
async fn an_enqueue_whose_answer_got_lost_is_answered_with_the_same_id_and_there_once() {
    let seen = Seen::new().await;
    for (n, job) in [(1, seen.world.job(1)), (2, keyed(seen.world.job(2), "key", "body"))] {
        seen.proxy.drop_reply_to(CALL, 1);
        let jobs = [job];
        let first = seen.far.enqueue(&jobs).await;
        seen.assert_dropped(n);
        let answer = match first {
            Ok(answers) => answers,
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                seen.far.enqueue(&jobs).await.unwrap()
            }
        };
        assert_eq!(answer, [Enqueued::Existing(id(n))], "the first call had made it");
        assert_eq!(seen.world.stats().await.ready, n);
    }
}

#[tokio::test]
async fn jobs_of_a_take_whose_answer_got_lost_come_back_when_their_leases_expire() {
    let mut seen = Seen::new().await;
    seen.world.fill(3).await;
    seen.proxy.drop_reply_to(CALL, 1);
    assert!(seen.far.take(&seen.world.name, "far", 10).await.is_err());
    seen.assert_dropped(1);
    assert_eq!(seen.world.stats().await.running, 3, "it ran");
    assert!(seen.far.take(&seen.world.name, "far", 10).await.unwrap().jobs.is_empty());

    seen.world.advance(LEASE).await;
    let mut back = BTreeSet::new();
    while back.len() < 3 {
        let taken = seen.far.take(&seen.world.name, "far", 10).await.unwrap();
        assert!(!taken.jobs.is_empty(), "{back:?} came back");
        for leased in taken.jobs {
            assert_eq!(seen.world.settle(leased.lease, Outcome::done()).await, Settled::Applied);
            back.insert(leased.lease.id);
        }
    }
    assert_eq!(back, (1..=3).map(id).collect());
    assert_eq!(seen.world.stats().await.done, 3);
}

#[tokio::test]
async fn a_settle_whose_answer_got_lost_is_a_no_op_when_it_is_repeated() {
    let seen = Seen::new().await;
    seen.world.fill(2).await;
    let leases: Vec<_> = seen.world.take(2).await.into_iter().map(|leased| leased.lease).collect();
    for (lease, outcome) in leases.into_iter().zip([Outcome::done(), retry("once")]) {
        let settlements = [Settlement { lease, outcome }];
        let before = seen.proxy.fired().replies_dropped;
        seen.proxy.drop_reply_to(CALL, 1);
        let first = seen.far.settle(&seen.world.name, &settlements).await;
        seen.assert_dropped(before + 1);
        if let Err(error) = first {
            assert!(error.is_unavailable(), "{error}");
            let again = seen.far.settle(&seen.world.name, &settlements).await.unwrap();
            assert_eq!(again, [Settled::Stale], "the first call had settled it");
        }
    }
    assert_eq!(seen.world.stats().await.done, 1);
    let view = seen.world.queue.find(&seen.world.name, id(2)).await.unwrap().unwrap();
    assert_eq!((view.place, view.job.attempt), (Place::Ready, 2), "retried once, not twice");
}

#[tokio::test]
async fn a_renewal_whose_answer_got_lost_is_repeated() {
    let seen = Seen::new().await;
    seen.world.fill(1).await;
    let lease = seen.world.take_one().await.lease;
    seen.proxy.drop_reply_to(CALL, 1);
    let first = seen.far.renew(&seen.world.name, &[lease]).await;
    seen.assert_dropped(1);
    let held = match first {
        Ok(held) => held,
        Err(_) => seen.far.renew(&seen.world.name, &[lease]).await.unwrap(),
    };
    assert_eq!(held, [true]);
}
