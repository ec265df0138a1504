//! A worker of apalis on the queue, end to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use payfleet_queue::{Outcome, Place};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::world::{LEASE, World, handler, id, job_in, numbers, queue_name};

#[tokio::test]
async fn every_job_is_handled_once_and_never_more_at_a_time_than_allowed() {
    let world = World::new().await;
    world.fill(300).await;
    let (runs, running, most) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&runs), Arc::clone(&running), Arc::clone(&most));
    let worker = world.worker(
        7,
        handler(move |_| {
            let (runs, running, most) = counts.clone();
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(Outcome::done())
            }
        }),
    );
    world.until("all are done", |stats| stats.done == 300).await;
    worker.stop().await;
    assert_eq!(runs.load(Ordering::SeqCst), 300);
    assert!((1..=7).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[tokio::test]
async fn an_idle_worker_starts_what_comes() {
    let world = World::new().await;
    let worker = world.worker(1, handler(|_| async { Ok(Outcome::done()) }));
    for n in 1..=20 {
        world.enqueue(&[world.job(n)]).await;
        world.until("it is done", |stats| stats.done == n).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn an_error_and_a_panic_are_failed_attempts_until_the_last() {
    let world = World::new().await;
    world.fill(2).await;
    let worker = world.worker(
        2,
        handler(|delivery| async move {
            assert_ne!(delivery.job.envelope.id, id(2), "boom");
            Err("no luck".into())
        }),
    );
    world.until("both are dead", |stats| stats.dead == 2).await;
    worker.stop().await;
    let mut dead = world.queue.dead(&world.name, 10).await.unwrap();
    dead.sort_by_key(|dead| dead.job.envelope.id != id(1));
    assert_eq!(
        (dead[0].failure.code.as_str(), dead[0].failure.message.as_str()),
        ("handler_error", "no luck")
    );
    assert_eq!(dead[1].failure.code, "panic");
    assert!(dead[1].failure.message.contains("boom"), "{}", dead[1].failure.message);
    assert!(dead.iter().all(|dead| dead.job.history.len() == 3 && dead.job.history[0].worker == "w1"));
}

#[tokio::test]
async fn outcomes_reach_the_queue_and_a_full_queue_elsewhere_holds_up_only_its_own() {
    let world = World::with(|config| config.max_depth = 2).await;
    let full = queue_name("full");
    world.enqueue(&[job_in(&full, 11), job_in(&full, 12)]).await;
    world.fill(2).await;
    let (to, other) = (full.clone(), queue_name("other"));
    let also = other.clone();
    // Both end at the same moment, so that their outcomes may go together.
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let worker = world.worker(
        2,
        handler(move |delivery| {
            let first = delivery.job.envelope.id == id(1);
            let then = if first { job_in(&to, 13) } else { job_in(&also, 14) };
            let both = Arc::clone(&both);
            async move {
                both.wait().await;
                Ok(Outcome::Done { then: vec![then] })
            }
        }),
    );
    world.until("the second is done", |stats| stats.done == 1).await;
    assert!(world.queue.find(&other, id(14)).await.unwrap().is_some());
    assert!(matches!(world.place(id(1)).await, Some(Place::Leased { .. })));
    assert!(world.queue.cancel(&full, id(12)).await.unwrap());
    world.until("the first is done too", |stats| stats.done == 2).await;
    worker.stop().await;
    assert!(world.queue.find(&full, id(13)).await.unwrap().is_some());
}

#[tokio::test]
async fn heartbeats_go_on_while_handlers_take_long() {
    let mut world = World::new().await;
    world.fill(1).await;
    let (go, gone) = watch::channel(false);
    let worker = world.worker(
        1,
        handler(move |delivery| {
            let mut gone = gone.clone();
            async move {
                gone.wait_for(|go| *go).await.unwrap();
                assert!(!delivery.lease.is_lost());
                Ok(Outcome::done())
            }
        }),
    );
    world.until("it runs", |stats| stats.running == 1).await;
    for _ in 0..5 {
        let Some(Place::Leased { until: before, .. }) = world.place(id(1)).await else {
            panic!("it is leased")
        };
        world.advance(LEASE / 2).await;
        loop {
            let Some(Place::Leased { until, .. }) = world.place(id(1)).await else { panic!("it is leased") };
            if until > before {
                break;
            }
        }
    }
    go.send(true).unwrap();
    world.until("it is done", |stats| stats.done == 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_handler_learns_that_its_lease_is_lost_and_its_outcome_is_refused() {
    let mut world = World::new().await;
    world.fill(1).await;
    let (told, mut lost) = mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&permits);
    let worker = world.worker(
        1,
        handler(move |delivery| {
            let (told, gate) = (told.clone(), Arc::clone(&gate));
            async move {
                if delivery.job.deliveries == 1 {
                    delivery.lease.lost().await;
                    told.send(()).unwrap();
                    let _ = gate.acquire().await;
                }
                Ok(Outcome::done())
            }
        }),
    );
    world.until("it runs", |stats| stats.running == 1).await;
    // Someone takes the lease away behind the worker's back.
    let mut forget = redis::cmd("DEL");
    forget.arg(world.key("lease:1"));
    let () = forget.query_async(&mut world.redis).await.unwrap();
    lost.recv().await.unwrap();
    permits.add_permits(1);
    worker.stop().await;
    assert_eq!(world.stats().await.done, 0);
}

#[tokio::test]
async fn a_paused_queue_rests_and_goes_on_when_resumed() {
    let world = World::new().await;
    world.queue.pause(&world.name).await.unwrap();
    world.fill(3).await;
    let worker = world.worker(2, handler(|_| async { Ok(Outcome::done()) }));
    world.queue.resume(&world.name).await.unwrap();
    world.until("all are done", |stats| stats.done == 3).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_was_taken_ahead_goes_back_when_handlers_become_slow_and_is_not_suspected() {
    const FAST: u64 = 2_000;
    let world = World::new().await;
    world.fill(FAST + 1_000).await;
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let worker = world.worker(
        2,
        handler(move |delivery| {
            let gate = Arc::clone(&opened);
            async move {
                let n: u64 = delivery.job.envelope.payload.get().parse()?;
                if n > FAST {
                    drop(gate.acquire().await?);
                }
                Ok(Outcome::done())
            }
        }),
    );
    world.until("only what runs is held", |stats| stats.done == FAST && stats.running == 2).await;
    // Their order is kept, and it is as if nobody had had them.
    let next = world.take(10).await;
    assert_eq!(numbers(&next), (FAST + 3..=FAST + 12).collect::<Vec<_>>());
    assert!(next.iter().all(|leased| leased.job.deliveries == 1 && !leased.suspect));
    let leases: Vec<_> = next.iter().map(|leased| leased.lease).collect();
    world.queue.release(&world.name, &leases).await.unwrap();
    gate.add_permits(1_000);
    world.until("all are done", |stats| stats.done == FAST + 1_000).await;
    worker.stop().await;
}
