//! 45, 47: very many jobs die, or are due, at once.

use std::collections::BTreeSet;
use std::time::Duration;

use payfleet::servers::{AppendFsync, RedisOptions, RedisServer};
use payfleet_core::JobId;
use payfleet_core::job::NewJob;
use payfleet_queue::limits::{Booked, Limit};
use payfleet_queue::{Outcome, Settled, Settlement, TimeSource};

use super::account::{Account, job_of_kind};
use super::is_full;
use super::process::{PATIENCE, WorkerProcess};
use crate::world::{LEASE, World, id, job_in};

/// Long enough for a million jobs on a slow machine.
const LONG: Duration = Duration::from_secs(20 * 60);

async fn server() -> RedisServer {
    let options = RedisOptions { appendfsync: AppendFsync::EverySec, ..RedisOptions::default() };
    RedisServer::start(options).await.unwrap()
}

/// Asks again while Redis does not come to it: it shares the processor with everybody else.
async fn enqueue(world: &World, jobs: &[NewJob]) {
    let again = async {
        while let Err(error) = world.queue.enqueue(jobs).await {
            assert!(error.is_unavailable(), "{error}");
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("Redis answers");
}

#[tokio::test]
async fn jobs_that_die_by_the_thousand_hold_nobody_up_and_are_all_kept() {
    let count = if is_full() { 100_000 } else { 5_000 };
    let server = server().await;
    let world = World::at(&server.url(), |config| config.time = TimeSource::Redis).await;
    let mut account = Account::default();
    let jobs: Vec<_> = (1..=count).map(|n| job_of_kind(&world, n, "die")).collect();
    account.enqueue_all(&world.queue, &jobs).await;
    let doomed = account.ids().clone();
    let worker = WorkerProcess::start(&world, &server.url(), 64);
    // Beside them, work that is well goes on.
    for n in count + 1..=count + 100 {
        account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
    }
    Account::until_idle_within(&world, LONG).await;
    worker.stop().await;
    let stats = world.stats().await;
    assert_eq!((stats.dead, stats.done), (count, 100));

    // As the archiver does it: read, keep, remove.
    let mut archived = BTreeSet::new();
    loop {
        let dead = world.queue.dead(&world.name, 1_000).await.unwrap();
        if dead.is_empty() {
            break;
        }
        assert!(dead.iter().all(|dead| dead.failure.code == "hopeless"));
        assert_eq!(world.remove(&dead).await, dead.len() as u64);
        archived.extend(dead.iter().map(|dead| dead.job.envelope.id));
    }
    assert_eq!(archived, doomed, "none is dropped");
    // And the hot path is as free as before.
    world.enqueue(&[job_in(&world.name, count * 2)]).await;
    assert_eq!(world.take_one().await.lease.id, id(count * 2));
}

#[tokio::test]
async fn jobs_that_are_all_due_at_once_drain_to_the_last() {
    let count: u64 = if is_full() { 1_000_000 } else { 20_000 };
    let server = server().await;
    let mut world = World::at(&server.url(), |config| config.max_depth = 2_000_000).await;
    for from in (1..=count).step_by(1_000) {
        let jobs: Vec<_> = (from..from + 1_000)
            .map(|n| {
                let mut job = world.job(n);
                job.delay_ms = 1_000 + n % 1_000;
                job
            })
            .collect();
        enqueue(&world, &jobs).await;
    }
    assert_eq!(world.stats().await.delayed, count);
    // An hour of outage goes by.
    world.advance(Duration::from_hours(1)).await;

    drain(&world, count).await;
}

/// Takes and settles each of the jobs 1 to `count`, once.
async fn drain(world: &World, count: u64) {
    let mut left: BTreeSet<u64> = (1..=count).collect();
    while !left.is_empty() {
        let taken = world.queue.take(&world.name, "w", 1_000).await.unwrap();
        assert!(!taken.jobs.is_empty() || taken.next_due_ms == Some(0), "{} are left", left.len());
        let mut settlements = Vec::with_capacity(taken.jobs.len());
        for leased in taken.jobs {
            let n: u64 = leased.job.envelope.payload.get().parse().unwrap();
            assert!(left.remove(&n), "job {n} came twice");
            settlements.push(Settlement { lease: leased.lease, outcome: Outcome::done() });
        }
        let answers = world.queue.settle(&world.name, &settlements).await.unwrap();
        assert!(answers.iter().all(|answer| *answer == Settled::Applied));
    }
    let stats = world.stats().await;
    assert_eq!((stats.done, stats.ready, stats.delayed, stats.running), (count, 0, 0, 0));
}

#[tokio::test]
async fn leases_that_expire_all_at_once_are_taken_over_to_the_last() {
    let count: u64 = if is_full() { 100_000 } else { 5_000 };
    let server = server().await;
    let mut world = World::at(&server.url(), |_| {}).await;
    for from in (1..=count).step_by(1_000) {
        enqueue(&world, &(from..from + 1_000).map(|n| world.job(n)).collect::<Vec<_>>()).await;
    }
    let mut taken = 0;
    while taken < count {
        taken += world.queue.take(&world.name, "gone", 1_000).await.unwrap().jobs.len() as u64;
    }
    assert_eq!(world.stats().await.running, count);
    world.advance(LEASE).await;
    drain(&world, count).await;
}

#[tokio::test]
async fn jobs_that_are_all_due_at_once_keep_the_limit_of_what_they_call_and_the_first_is_done_at_once() {
    const TICK: Duration = Duration::from_millis(100);
    const TICKS_OF_A_SECOND: usize = 10;
    let count: u64 = if is_full() { 20_000 } else { 2_000 };
    let server = server().await;
    let mut world = World::at(&server.url(), |_| {}).await;
    let limit = Limit::per_second(200);
    let limiter = world.queue.limiter("mail", limit).unwrap();
    let jobs: Vec<_> = (1..=count).map(|n| NewJob { delay_ms: 1_000, ..world.job(n) }).collect();
    for jobs in jobs.chunks(1_000) {
        enqueue(&world, jobs).await;
    }
    world.advance(Duration::from_hours(1)).await;

    let mut calls: Vec<usize> = Vec::new();
    let mut left: BTreeSet<JobId> = jobs.iter().map(|job| job.id).collect();
    while !left.is_empty() {
        let mut called = 0;
        // As many as may call are let in; each takes its permit just before its call.
        let admitted = limiter.reserve(500).await.unwrap();
        let room = usize::try_from(admitted.granted).unwrap();
        limiter.give_back(admitted, u32::MAX).await.unwrap();
        let mut settlements = Vec::new();
        for leased in if room > 0 { world.take(room).await } else { Vec::new() } {
            let outcome = match limiter.book().await.unwrap() {
                Booked::At(..) => {
                    assert!(left.remove(&leased.lease.id), "{} called twice", leased.lease.id);
                    called += 1;
                    Outcome::done()
                }
                Booked::Later(wait) => {
                    Outcome::Defer { delay: wait.unwrap_or(TICK), reason: "limited".to_owned() }
                }
            };
            settlements.push(Settlement { lease: leased.lease, outcome });
        }
        world.queue.settle(&world.name, &settlements).await.unwrap();
        calls.push(called);
        assert!(calls.len() < 10 * TICKS_OF_A_SECOND || calls.iter().any(|n| *n > 0), "none within 10 s");
        assert!(calls.len() < usize::try_from(count).unwrap(), "{} are left", left.len());
        world.advance(TICK).await;
    }
    // A permit may be booked up to one tick ahead, so a window of ten ticks covers at most 1.1 s.
    let most = f64::from(limit.count) * 0.9 * 1.1;
    for window in calls.windows(TICKS_OF_A_SECOND) {
        let sum = window.iter().sum::<usize>();
        assert!((sum as f64) <= most, "{sum} calls within a second: {calls:?}");
    }
    assert!(calls[0] > 0, "the first is done at once");
    assert_eq!((world.stats().await.done, world.stats().await.delayed), (count, 0));
}
