//! 20: a Redis that stands still for a while, and then goes on as if nothing had been.

use std::collections::BTreeSet;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::TimeSource;

use super::account::{Account, job_of_kind};
use super::is_full;
use super::process::{Said, WorkerProcess};
use crate::world::{World, id};

/// Stalls Redis for so long while a worker runs jobs and holds some, and jobs come in.
async fn stall(for_how_long: Duration) {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut world = World::at(&server.url(), |config| {
        config.time = TimeSource::Redis;
        config.lease = Duration::from_secs(10);
    })
    .await;
    let mut account = Account::default();
    for n in 1..=2 {
        account.enqueue(&world.queue, &job_of_kind(&world, n, "hold")).await;
    }
    let mut worker = WorkerProcess::start(&world, &server.url(), 8);
    worker.until_said(&[Said::Begins(id(1)), Said::Begins(id(2))]).await;
    for n in 100..200 {
        account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
    }

    let mut other =
        redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    other.set_response_timeout(for_how_long * 3 + Duration::from_secs(60));
    let stalled = payfleet_process::spawn("stall", async move {
        let mut debug = redis::cmd("DEBUG");
        debug.arg("SLEEP").arg(for_how_long.as_secs_f64()).query_async::<String>(&mut other).await
    });
    // The same job may be asked for many times now; it is there once.
    for n in 200..250 {
        account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
    }
    assert_eq!(stalled.await.unwrap().unwrap(), "OK", "it stood still, and woke up");
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut world.redis).await.unwrap();
    let debug = stats.lines().find(|line| line.starts_with("cmdstat_debug:")).unwrap();
    let micros = debug.split("usec=").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(micros.parse::<u128>().unwrap() >= for_how_long.as_micros(), "{debug}");

    worker.go().await;
    Account::until_idle(&world).await;
    let said = worker.stop().await;
    assert!(said.contains(&Said::Ends(id(1))) && said.contains(&Said::Ends(id(2))), "a handler was lost");
    account.check(&world, &BTreeSet::new()).await;
}

#[tokio::test]
async fn a_stall_shorter_than_a_usual_time_out_is_not_noticed() {
    stall(Duration::from_millis(400)).await;
}

#[tokio::test]
async fn a_stall_a_little_longer_than_a_usual_time_out_loses_nothing() {
    stall(Duration::from_millis(600)).await;
}

#[tokio::test]
async fn a_stall_longer_than_our_own_time_out_loses_nothing() {
    stall(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_stall_longer_than_a_lease_loses_nothing() {
    stall(Duration::from_secs(if is_full() { 60 } else { 12 })).await;
}
