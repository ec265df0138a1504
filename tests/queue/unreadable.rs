//! Records that this build cannot read: another version wrote them, or a bit rotted.

use payfleet_core::job::DeadJob;

use crate::world::{World, id, numbers};

/// Puts `record` in the place of job `n`'s, which was the `n`th to come.
async fn overwrite(world: &mut World, n: u64, record: &[u8]) {
    let mut del = redis::cmd("XDEL");
    let () = del.arg(world.key("fresh")).arg(n).query_async(&mut world.redis).await.unwrap();
    let mut set = redis::cmd("HSET");
    let kept = [&[0; 6], record].concat();
    let () = set.arg(world.key("kept")).arg(n).arg(kept).query_async(&mut world.redis).await.unwrap();
}

fn record(n: u64, version: u8, body: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 0, version, 1, 0, 0, 1, 0, 3, 0, 0, 0, 0];
    [&header[..], &id(n).as_uuid().as_bytes()[..], &[0], body].concat()
}

fn raw(dead: &DeadJob) -> Vec<u8> {
    let payload: serde_json::Value = serde_json::from_str(dead.job.envelope.payload.get()).unwrap();
    hex::decode(payload["raw_hex"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_unreadable_record_is_dead_with_its_bytes_and_the_rest_of_the_batch_goes_on() {
    let mut world = World::new().await;
    world.fill(4).await;
    let other_version = record(1, 9, b"something new");
    let no_body = record(3, 1, b"");
    overwrite(&mut world, 1, &other_version).await;
    overwrite(&mut world, 3, &no_body).await;

    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert_eq!(numbers(&taken.jobs), [2, 4]);
    assert_eq!(taken.undecodable, 2);
    let mut dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(dead.len(), 2);
    dead.sort_by_key(|dead| dead.job.envelope.id != id(1));
    assert!(dead.iter().all(|dead| dead.failure.class == "undecodable"));
    assert_eq!(raw(&dead[0]), other_version);
    let kept = raw(&dead[1]);
    assert_eq!((&kept[17..], &kept[..8]), (&no_body[17..], &no_body[..8]), "only counters may change");
    assert_eq!(world.queue.remove_dead(&world.name, &[id(1), id(3)]).await.unwrap(), 2);
}

#[tokio::test]
async fn a_record_that_rotted_away_is_dead_under_an_id_of_its_own() {
    let mut world = World::new().await;
    world.fill(2).await;
    overwrite(&mut world, 1, b"rot").await;
    assert_eq!(numbers(&world.take(10).await), [2]);
    let dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(raw(&dead[0]), b"rot");
    assert_eq!(world.queue.remove_dead(&world.name, &[dead[0].job.envelope.id]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_record_that_vanished_is_passed_over() {
    let mut world = World::new().await;
    world.fill(2).await;
    let mut del = redis::cmd("XDEL");
    let () = del.arg(world.key("fresh")).arg(1).query_async(&mut world.redis).await.unwrap();
    assert_eq!(numbers(&world.take(10).await), [2]);
}
