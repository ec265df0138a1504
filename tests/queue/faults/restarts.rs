//! 8: Redis killed and started again, while jobs come in and run.

use std::collections::BTreeSet;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::TimeSource;

use super::account::{Account, job_of_kind};
use super::process::{Said, WorkerProcess};
use crate::world::{World, id};

#[tokio::test]
async fn a_redis_that_is_killed_again_and_again_loses_no_job_and_cancels_no_handler() {
    const KILLS: u64 = 3;
    const EACH: u64 = 100;
    let mut server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |config| {
        config.time = TimeSource::Redis;
        config.lease = Duration::from_secs(5);
    })
    .await;
    let mut account = Account::default();
    let held: Vec<_> = (1..=4).collect();
    for n in &held {
        account.enqueue(&world.queue, &job_of_kind(&world, *n, "hold")).await;
    }
    let mut worker = WorkerProcess::start(&world, &server.url(), 16);
    let begins: Vec<_> = held.iter().map(|n| Said::Begins(id(*n))).collect();
    worker.until_said(&begins).await;

    for round in 1..=KILLS {
        // Half before the kill, half while it is down: those are asked for until they are accepted.
        let all = round * 1_000..round * 1_000 + EACH;
        for n in all.clone().take(50) {
            account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
        }
        server.kill().await;
        assert!(server.ended().is_some(), "it was killed");
        assert!(world.queue.ping().await.unwrap_err().is_unavailable());
        let more = async {
            for n in all.skip(50) {
                account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
            }
        };
        let (restarted, ()) = tokio::join!(server.restart(), more);
        restarted.unwrap();
    }
    worker.go().await;
    Account::until_idle(&world).await;
    let said = worker.stop().await;
    for n in held {
        assert!(said.contains(&Said::Ends(id(n))), "the handler of job {n} was cancelled");
    }
    assert_eq!(account.ids().len(), usize::try_from(4 + KILLS * EACH).unwrap());
    account.check(&world, &BTreeSet::new()).await;
}
