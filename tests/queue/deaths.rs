//! Jobs that will not be tried again by themselves.

use std::time::Duration;

use payfleet_queue::{Outcome, Place, Waiting};

use crate::world::{World, after_start, failure, id, retry};

#[tokio::test]
async fn a_job_dies_of_its_last_attempt_and_keeps_them_all() {
    let world = World::new().await;
    world.fill(1).await;
    for n in 1..=3 {
        world.settle(world.take_one().await.lease, retry(&format!("e{n}"))).await;
    }
    assert!(world.take(1).await.is_empty());
    let dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].failure, failure("e3"));
    let codes: Vec<&str> = dead[0].job.history.iter().map(|record| record.code.as_str()).collect();
    assert_eq!(codes, ["e1", "e2", "e3"]);
    assert_eq!((dead[0].job.attempt, dead[0].job.deliveries), (3, 3));
    assert_eq!(dead[0].job.envelope.payload.get(), "1");
}

#[tokio::test]
async fn the_dead_are_read_oldest_first_and_leave_once_archived() {
    let mut world = World::new().await;
    world.fill(3).await;
    for leased in world.take(3).await.into_iter().rev() {
        world.settle(leased.lease, Outcome::Dead { failure: failure("no") }).await;
        world.advance(Duration::from_secs(1)).await;
    }
    let ids = async |max| -> Vec<_> {
        let dead = world.queue.dead(&world.name, max).await.unwrap();
        dead.into_iter().map(|dead| dead.job.envelope.id).collect()
    };
    assert_eq!(ids(10).await, [id(3), id(2), id(1)]);
    assert_eq!(ids(2).await, [id(3), id(2)]);
    let died_at = after_start(Duration::from_secs(2));
    assert_eq!(world.place(id(1)).await, Some(Place::Dead { failure: failure("no"), died_at }));
    assert_eq!(world.stats().await.dead, 3);

    let mut dead = world.queue.dead(&world.name, 10).await.unwrap();
    dead.remove(1);
    assert_eq!(world.remove(&dead).await, 2);
    assert_eq!(world.remove(&dead).await, 0);
    assert_eq!(ids(10).await, [id(2)]);
}

#[tokio::test]
async fn a_job_that_was_released_and_died_again_is_not_removed_with_its_first_death() {
    let mut world = World::new().await;
    let die = Outcome::Dead { failure: failure("no") };
    world.fill(1).await;
    world.settle(world.take_one().await.lease, die.clone()).await;
    let first = world.queue.dead(&world.name, 10).await.unwrap();
    // Two archivers have read it; one removes it, and somebody releases the job at once.
    assert_eq!(world.remove(&first).await, 1);
    world.fill(1).await;
    world.advance(Duration::from_millis(1)).await;
    world.settle(world.take_one().await.lease, die).await;
    assert_eq!(world.remove(&first).await, 0, "the other archiver has not seen the second death");
    let second = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(world.remove(&second).await, 1);
}

#[tokio::test]
async fn a_death_that_cannot_be_read_hides_no_other() {
    let mut world = World::new().await;
    world.fill(2).await;
    for leased in world.take(2).await {
        world.settle(leased.lease, Outcome::Dead { failure: failure("no") }).await;
    }
    let (key, mut rot) = (world.key("deaths"), redis::cmd("HSET"));
    let () = rot.arg(key).arg(1).arg("rot").query_async(&mut world.redis).await.unwrap();
    let dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!((dead[0].failure.class.as_str(), dead[0].failure.code.as_str()), ("undecodable", "death"));
    assert!(dead[0].failure.message.contains(&hex::encode("rot")), "{}", dead[0].failure.message);
    assert_eq!((dead[0].died_at, &dead[1].failure), (after_start(Duration::ZERO), &failure("no")));
    let why = world.queue.why(&world.name, id(1)).await.unwrap();
    assert!(matches!(why.waiting, Waiting::Dead { .. }), "{why}");
    assert!(matches!(world.place(id(1)).await, Some(Place::Dead { .. })));
    assert_eq!(world.remove(&dead).await, 2);
}

#[tokio::test]
async fn removing_the_dead_touches_no_living_job() {
    let world = World::new().await;
    world.fill(2).await;
    world.take_one().await;
    let died_at = after_start(Duration::ZERO);
    let removed = world.queue.remove_dead(&world.name, &[(id(1), died_at), (id(2), died_at)]).await;
    assert_eq!(removed.unwrap(), 0);
    let stats = world.stats().await;
    assert_eq!((stats.running, stats.ready), (1, 1));
}
