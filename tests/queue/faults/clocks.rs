//! 41: a worker whose clock is wrong. The queue's time is Redis' alone, here a key that is years away
//! from the clock of this machine, before it or behind it.

use std::path::Path;
use std::time::Duration;

use payfleet_queue::{Outcome, TimeSource};
use tokio::sync::{Semaphore, mpsc};

use crate::world::{LEASE, World, handler};

/// What reads a clock that can be wrong.
const WALL_CLOCKS: [&str; 4] = ["SystemTime", "now_utc", "UtcDateTime", "SystemClock"];

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn no_line_of_the_queue_reads_a_worker_s_clock() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs/queue/src"));
    assert!(files.len() > 20, "these are the queue's sources");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for clock in WALL_CLOCKS {
            assert!(!text.contains(clock), "{} reads {clock}", file.display());
        }
    }
}

/// A job that runs at a worker whose clock is off by years is stolen by nobody, however often others
/// ask, until its time is over by Redis' clock.
async fn live_job_is_not_stolen(redis_time: i64) {
    let mut world = World::new().await;
    let TimeSource::Key(clock) = world.queue.config().time.clone() else { panic!("a stepped clock") };
    let () = redis::cmd("SET").arg(clock).arg(redis_time).query_async(&mut world.redis).await.unwrap();
    world.fill(1).await;
    let (say, mut said) = mpsc::unbounded_channel();
    let gate = std::sync::Arc::new(Semaphore::new(0));
    let permits = std::sync::Arc::clone(&gate);
    let worker = world.worker(
        1,
        handler(move |delivery| {
            let (say, gate) = (say.clone(), std::sync::Arc::clone(&permits));
            async move {
                say.send(delivery.job.deliveries)?;
                gate.acquire().await?.forget();
                assert!(!delivery.lease.is_lost());
                Ok(Outcome::done())
            }
        }),
    );
    assert_eq!(said.recv().await, Some(1));
    let lease = u64::try_from(LEASE.as_millis()).unwrap();
    for _ in 0..20 {
        let taken = world.queue.take(&world.name, "thief", 10).await.unwrap();
        assert!(taken.jobs.is_empty(), "a live job was stolen");
        assert!(taken.next_due_ms.is_some_and(|ms| 0 < ms && ms <= lease), "{:?}", taken.next_due_ms);
    }
    gate.add_permits(1);
    world.until("it is done", |stats| stats.done == 1).await;

    worker.stop().await;
    // And a worker that is gone holds its job exactly as long as Redis says.
    world.enqueue(&[world.job(2), world.job(3)]).await;
    let held = world.take(10).await;
    world.advance(LEASE - Duration::from_millis(1)).await;
    assert!(world.queue.take(&world.name, "thief", 10).await.unwrap().jobs.is_empty());
    world.advance(Duration::from_millis(1)).await;
    let mut back = 0;
    while back < held.len() {
        let taken = world.queue.take(&world.name, "thief", 10).await.unwrap().jobs;
        assert!(!taken.is_empty(), "{back} of {} came back", held.len());
        for leased in taken {
            world.settle(leased.lease, Outcome::done()).await;
            back += 1;
        }
    }
}

#[tokio::test]
async fn a_worker_years_ahead_of_redis_steals_nothing() {
    live_job_is_not_stolen(1_000_000_000_000).await;
}

#[tokio::test]
async fn a_worker_years_behind_redis_steals_nothing() {
    live_job_is_not_stolen(4_000_000_000_000).await;
}
