//! 6: a job that takes its worker's process with it, and what looks like one and is not: takes whose
//! answers got lost (22) leave leases that expire, and nobody crashed.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::{Place, TimeSource};
use payfleet_tests::proxy::Proxy;

use super::account::{Account, job_of_kind};
use super::process::{PATIENCE, WorkerProcess, times_begun};
use crate::world::{World, id};

#[tokio::test]
async fn a_job_that_aborts_its_worker_is_the_only_dead_one_among_500() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let world = World::at(&server.url(), |config| {
        config.time = TimeSource::Redis;
        config.lease = Duration::from_millis(500);
    })
    .await;
    let killer = id(250);
    let mut account = Account::default();
    let jobs: Vec<_> =
        (1..=500).map(|n| job_of_kind(&world, n, if n == 250 { "abort" } else { "done" })).collect();
    account.enqueue_all(&world.queue, &jobs).await;

    let mut crashes = 0;
    let mut begun = 0;
    // As a service manager does: a worker that dies is started again.
    while !matches!(world.place(killer).await, Some(Place::Dead { .. })) {
        assert!(crashes < 6, "it goes on killing workers");
        let mut worker = WorkerProcess::start(&world, &server.url(), 16);
        let died = async { while !matches!(world.place(killer).await, Some(Place::Dead { .. })) {} };
        tokio::select! {
            status = worker.ended() => {
                assert_eq!(status.signal(), Some(6), "{status}");
                crashes += 1;
            }
            () = died => {}
        }
        begun += times_begun(&worker.said, killer);
    }
    let worker = WorkerProcess::start(&world, &server.url(), 16);
    Account::until_idle(&world).await;
    worker.stop().await;

    assert!(crashes >= 3 && begun == crashes, "{crashes} crashes by {begun} runs");
    let Some(Place::Dead { failure, .. }) = world.place(killer).await else { panic!("it is dead") };
    assert_eq!(failure.class, "crash_loop");
    account.check(&world, &BTreeSet::from([killer])).await;
}

#[tokio::test]
async fn a_worker_that_misses_one_answer_in_a_few_settles_every_job_once() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], server.port()).into()).await.unwrap();
    let world = World::at(&server.url(), |config| {
        config.time = TimeSource::Redis;
        config.lease = Duration::from_secs(1);
    })
    .await;
    let mut account = Account::default();
    let jobs: Vec<_> =
        (0..300).map(|n| job_of_kind(&world, n, if n % 3 == 0 { "retry-once" } else { "done" })).collect();
    account.enqueue_all(&world.queue, &jobs).await;
    let worker = WorkerProcess::start(&world, &proxy.redis_url(), 8);
    for lost in 1..=12 {
        proxy.drop_reply_to("EVALSHA", 1);
        let fired = async {
            while proxy.fired().replies_dropped < lost {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, fired).await.expect("the worker asks again");
    }
    Account::until_idle(&world).await;
    worker.stop().await;
    account.check(&world, &BTreeSet::new()).await;
}
