//! 43: during a rolling deploy old workers meet jobs of a kind that they do not know.

use std::collections::BTreeSet;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::TimeSource;

use super::account::{Account, job_of_kind};
use super::process::{Said, WorkerProcess};
use crate::world::{World, id};

#[tokio::test]
async fn a_job_of_a_kind_that_old_workers_do_not_know_waits_untouched_for_a_new_one() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |config| config.time = TimeSource::Redis).await;
    let mut account = Account::default();
    let kind = |n: u64| if n.is_multiple_of(4) { "retry-once" } else { "done" };
    let jobs: Vec<_> = (1..=40).map(|n| job_of_kind(&world, n, kind(n))).collect();
    account.enqueue_all(&world.queue, &jobs).await;

    let old = WorkerProcess::start_knowing("done", &world, &server.url(), 4);
    world.until("the old worker has met them more than once", |s| s.done == 30 && s.unknown > 30).await;
    for n in (4..=40).step_by(4) {
        let job = world.queue.find(&world.name, id(n)).await.unwrap().expect("it is kept").job;
        assert_eq!((job.attempt, job.history.len()), (1, 0), "nothing is spent");
        assert!(job.deliveries <= 1, "{} deliveries, of which one may be going on", job.deliveries);
    }
    let new = WorkerProcess::start(&world, &server.url(), 4);
    Account::until_idle(&world).await;
    let (old, new) = (old.stop().await, new.stop().await);
    for n in (4..=40).step_by(4) {
        assert!(!old.contains(&Said::Begins(id(n))) && new.contains(&Said::Ends(id(n))), "job {n}");
    }
    account.check(&world, &BTreeSet::new()).await;
}
