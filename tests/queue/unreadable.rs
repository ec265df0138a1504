//! Records that this build cannot read: another version wrote them, or a bit rotted.

use payfleet_core::job::DeadJob;

use crate::world::{World, id, numbers};

async fn overwrite(world: &mut World, n: u64, record: &[u8]) {
    let mut set = redis::cmd("HSET");
    set.arg(world.key("jobs")).arg(&id(n).as_uuid().as_bytes()[..]).arg(record);
    let () = set.query_async(&mut world.redis).await.unwrap();
}

fn raw(dead: &DeadJob) -> Vec<u8> {
    let payload: serde_json::Value = serde_json::from_str(dead.job.envelope.payload.get()).unwrap();
    hex::decode(payload["raw_hex"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_unreadable_record_is_dead_with_its_bytes_and_the_rest_of_the_batch_goes_on() {
    let mut world = World::new().await;
    world.fill(4).await;
    let other_version = b"\x09 a record of another version".to_vec();
    let mut no_json = vec![1, 1, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    no_json.extend_from_slice(b"no json");
    overwrite(&mut world, 1, &other_version).await;
    overwrite(&mut world, 3, &no_json).await;

    let taken = world.queue.take(&world.name, "w", 10).await.unwrap();
    assert_eq!(numbers(&taken.jobs), [2, 4]);
    assert_eq!(taken.undecodable, 2);
    let mut dead = world.queue.dead(&world.name, 10).await.unwrap();
    assert_eq!(dead.len(), 2);
    dead.sort_by_key(|dead| dead.job.envelope.id != id(1));
    assert!(dead.iter().all(|dead| dead.failure.class == "undecodable"));
    assert_eq!(raw(&dead[0]), other_version);
    let kept = raw(&dead[1]);
    assert_eq!((&kept[17..], &kept[..3]), (&no_json[17..], &no_json[..3]), "only counters may change");
    assert_eq!(world.queue.remove_dead(&world.name, &[id(1), id(3)]).await.unwrap(), 2);
}

#[tokio::test]
async fn a_record_that_vanished_is_passed_over() {
    let mut world = World::new().await;
    world.fill(2).await;
    let mut del = redis::cmd("HDEL");
    del.arg(world.key("jobs")).arg(&id(1).as_uuid().as_bytes()[..]);
    let () = del.query_async(&mut world.redis).await.unwrap();
    assert_eq!(numbers(&world.take(10).await), [2]);
}
