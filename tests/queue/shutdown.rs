//! A worker that ends: nothing it started is cut off, nothing it did not start stays with it.

use std::sync::Arc;

use payfleet_queue::Outcome;
use tokio::sync::{Semaphore, mpsc};

use crate::world::{World, handler};

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_what_runs_and_takes_no_more() {
    let world = World::new().await;
    world.fill(5).await;
    let (say, mut started) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&gate);
    let worker = world.worker(
        2,
        handler(move |_| {
            let (say, gate) = (say.clone(), Arc::clone(&permits));
            async move {
                say.send(())?;
                gate.acquire().await?.forget();
                Ok(Outcome::done())
            }
        }),
    );
    started.recv().await.unwrap();
    started.recv().await.unwrap();
    let _ = worker.stop.send(());
    tokio::task::yield_now().await;
    gate.add_permits(2);
    worker.run.await.unwrap().unwrap();
    let stats = world.stats().await;
    assert_eq!((stats.done, stats.running, stats.ready), (2, 0, 3));
    assert!(started.try_recv().is_err());
}

#[tokio::test]
async fn a_handler_survives_the_drop_of_its_worker_and_is_settled() {
    let world = World::new().await;
    world.fill(3).await;
    let (say, mut started) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&gate);
    let worker = world.worker(
        1,
        handler(move |_| {
            let (say, gate) = (say.clone(), Arc::clone(&permits));
            async move {
                say.send(())?;
                gate.acquire().await?.forget();
                Ok(Outcome::done())
            }
        }),
    );
    started.recv().await.unwrap();
    worker.run.abort();
    assert!(worker.run.await.unwrap_err().is_cancelled());
    gate.add_permits(3);
    world.until("its job is done and the others are back", |stats| stats.done == 1 && stats.ready == 2).await;
}

#[tokio::test]
async fn a_worker_that_never_ran_leaves_nothing() {
    let world = World::new().await;
    world.fill(1).await;
    drop(world.worker(1, handler(|_| async { Ok(Outcome::done()) })).run);
    let worker = world.worker(1, handler(|_| async { Ok(Outcome::done()) }));
    world.until("someone does it", |stats| stats.done == 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_redis_hands_to_an_idle_worker_that_stops_goes_back() {
    let world = World::new().await;
    let worker = world.worker(3, handler(|_| async { Ok(Outcome::done()) }));
    world.fill(1).await;
    world.until("it is done, and the worker idle", |stats| stats.done == 1).await;
    let _ = worker.stop.send(());
    for n in 2..=6 {
        world.enqueue(&[world.job(n)]).await;
    }
    worker.run.await.unwrap().unwrap();
    let stats = world.stats().await;
    assert_eq!((stats.running, stats.ready + stats.done), (0, 6), "{stats:?}");
}
