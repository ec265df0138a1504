//! Schedules: each tick once for the whole fleet, whoever asks, whenever.

use std::time::Duration;

use payfleet_queue::{Error, Missed, Outcome, Overlap, Schedule};

use crate::world::{World, failure};

const MINUTE: Duration = Duration::from_secs(60);

/// Every minute; the stepped clock starts on a full minute.
fn every_minute(world: &World, missed: Missed, overlap: Overlap) -> Schedule {
    Schedule {
        name: "report".to_owned(),
        cron: "* * * * *".to_owned(),
        zone: "UTC".to_owned(),
        missed,
        overlap,
        job: world.job(0),
    }
}

async fn put(world: &World, missed: Missed, overlap: Overlap) {
    world.queue.put_schedule(&every_minute(world, missed, overlap)).await.unwrap();
}

async fn fired(world: &World) -> usize {
    world.queue.fire_schedules(&world.name).await.unwrap().jobs.len()
}

#[tokio::test]
async fn a_tick_is_fired_once_however_many_workers_ask() {
    let mut world = World::new().await;
    put(&world, Missed::Last, Overlap::Allow).await;
    assert_eq!(fired(&world).await, 0, "nothing is due when it is put");
    world.advance(MINUTE).await;
    let workers = (0..8).map(|_| world.queue.fire_schedules(&world.name));
    let fired = futures::future::try_join_all(workers).await.unwrap();
    assert_eq!(fired.iter().map(|fired| fired.jobs.len()).sum::<usize>(), 1);
    assert!(fired.iter().all(|fired| fired.next_in <= Duration::from_secs(10)));
    let job = world.take_one().await.job;
    assert_eq!(job.envelope.origin, payfleet_core::job::Origin::Schedule);
    assert_eq!(world.stats().await.ready, 0);
}

#[tokio::test]
async fn missed_ticks_are_skipped_or_only_the_last_is_fired_or_a_bounded_number() {
    for (missed, expected) in
        [(Missed::Skip, 1), (Missed::Last, 1), (Missed::All(3), 3), (Missed::All(50), 10)]
    {
        let mut world = World::new().await;
        put(&world, missed, Overlap::Allow).await;
        world.advance(MINUTE * 10).await;
        assert_eq!(fired(&world).await, expected, "{missed:?}");
        assert_eq!(fired(&world).await, 0, "{missed:?}");
    }
}

#[tokio::test]
async fn a_tick_is_passed_over_while_the_last_job_lives_if_so_wanted() {
    let mut world = World::new().await;
    put(&world, Missed::Last, Overlap::Skip).await;
    world.advance(MINUTE).await;
    assert_eq!(fired(&world).await, 1);
    world.advance(MINUTE).await;
    assert_eq!(fired(&world).await, 0, "it waits");
    let lease = world.take_one().await.lease;
    world.advance(Duration::from_secs(1)).await;
    assert_eq!(fired(&world).await, 0);
    world.settle(lease, Outcome::Dead { failure: failure("no") }).await;
    assert_eq!(fired(&world).await, 0, "what was passed over does not come back");
    world.advance(MINUTE).await;
    assert_eq!(fired(&world).await, 1, "the dead do not live");
}

#[tokio::test]
async fn a_full_queue_leaves_the_tick_due() {
    let mut world = World::with(|config| config.max_depth = 1).await;
    put(&world, Missed::All(5), Overlap::Allow).await;
    world.fill(1).await;
    world.advance(MINUTE).await;
    let error = world.queue.fire_schedules(&world.name).await.unwrap_err();
    assert!(matches!(error, Error::QueueFull { .. }), "{error}");
    world.settle(world.take_one().await.lease, Outcome::done()).await;
    assert_eq!(fired(&world).await, 1);
}

#[tokio::test]
async fn schedules_are_listed_replaced_and_removed() {
    let mut world = World::new().await;
    let mut schedule = every_minute(&world, Missed::Last, Overlap::Allow);
    put(&world, Missed::Last, Overlap::Allow).await;
    world.advance(MINUTE * 2).await;
    // The same times keep their place, other times start now.
    schedule.overlap = Overlap::Skip;
    world.queue.put_schedule(&schedule).await.unwrap();
    let listed = world.queue.schedules(&world.name).await.unwrap().usable;
    assert_eq!((listed.len(), listed[0].schedule.overlap), (1, Overlap::Skip));
    assert_eq!(listed[0].next, Some(crate::world::after_start(MINUTE)));
    schedule.cron = "*/2 * * * *".to_owned();
    world.queue.put_schedule(&schedule).await.unwrap();
    assert_eq!(fired(&world).await, 0);
    assert!(world.queue.remove_schedule(&world.name, "report").await.unwrap());
    assert!(!world.queue.remove_schedule(&world.name, "report").await.unwrap());
    world.advance(MINUTE * 10).await;
    assert_eq!(fired(&world).await, 0);
}

#[tokio::test]
async fn what_cannot_be_a_schedule_is_refused_and_names_the_field() {
    let world = World::new().await;
    let good = every_minute(&world, Missed::Last, Overlap::Allow);
    for (bad, expected) in [
        (Schedule { name: String::new(), ..good.clone() }, "name"),
        (Schedule { cron: "every day".to_owned(), ..good.clone() }, "cron"),
        (Schedule { zone: "Mars/Olympus".to_owned(), ..good.clone() }, "zone"),
    ] {
        match world.queue.put_schedule(&bad).await {
            Err(Error::InvalidArgument { field, .. }) => assert_eq!(field, expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(world.queue.schedules(&world.name).await.unwrap().usable.is_empty());
}

#[tokio::test]
async fn a_schedule_that_nobody_can_read_any_more_is_told_of_and_holds_up_no_other() {
    let mut world = World::new().await;
    let good = every_minute(&world, Missed::Last, Overlap::Allow);
    world.queue.put_schedule(&good).await.unwrap();
    let another_release =
        serde_json::to_string(&good).unwrap().replace("* * * * *", "every minute").replace("report", "aeon");
    for (name, kept) in [("aeon", format!("then\n{another_release}")), ("rot", "\u{fffd}".to_owned())] {
        let (key, mut put) = (world.key("schedules"), redis::cmd("HSET"));
        let () = put.arg(key).arg(name).arg(kept).query_async(&mut world.redis).await.unwrap();
    }
    world.advance(MINUTE).await;
    let fired = world.queue.fire_schedules(&world.name).await.unwrap();
    assert_eq!(fired.jobs.len(), 1);
    let names: Vec<&str> = fired.unusable.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["aeon", "rot"]);
    assert!(fired.unusable[0].reason.contains("cron"), "{}", fired.unusable[0].reason);
    let listed = world.queue.schedules(&world.name).await.unwrap();
    assert_eq!((listed.usable.len(), listed.unusable), (1, fired.unusable));
    for name in ["aeon", "rot"] {
        assert!(world.queue.remove_schedule(&world.name, name).await.unwrap());
    }
    assert!(world.queue.schedules(&world.name).await.unwrap().unusable.is_empty());
}

#[tokio::test]
async fn a_job_that_lost_its_record_does_not_keep_its_schedule_from_firing() {
    let mut world = World::new().await;
    put(&world, Missed::Last, Overlap::Skip).await;
    world.advance(MINUTE).await;
    assert_eq!(fired(&world).await, 1);
    let (key, mut lose) = (world.key("fresh"), redis::cmd("DEL"));
    let () = lose.arg(key).query_async(&mut world.redis).await.unwrap();
    world.advance(MINUTE).await;
    assert_eq!(fired(&world).await, 1);
}
