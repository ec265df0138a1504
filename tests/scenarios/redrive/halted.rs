//! Plans that are halted while something of them is out, or on its way.

use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::redrive::Redrive;
use payfleet_tests::trap::{Aim, Step};
use payfleet_tests::world::World;
use serde_json::json;

use super::{
    AUTHOR, SECOND, dies_unread, effects, open_letters, parked, plan, plan_of, redrive, rests, shown,
    until_done, until_it_is, until_nothing_is_out,
};

/// While the canary waits for its worker, nothing follows it.
#[tokio::test]
async fn a_plan_is_paused_resumed_and_abandoned_and_what_was_not_released_stays_a_dead_letter() {
    let mut world = World::start().await;
    parked(&world, 6).await;
    let id = plan(&world, &["--per-minute", "6000"]).await;
    let why = world.payfleet_refuses(&[&["redrive", "pause", &id], AUTHOR.as_slice()].concat()).await;
    assert!(why.contains("is planned"), "{why}");
    world.stop_workers().await;
    redrive(&world, "release", &[&id], &AUTHOR).await;
    redrive(&world, "pause", &[&id], &SECOND).await;
    world.add_worker();
    rests(&world, &id).await;
    world.run_until_idle().await;
    assert_eq!((open_letters(&world).await, effects(&world).await), (6, 0), "it was paused in time");
    let payouts = JobKind::Payout.queue().unwrap();
    world.queue.pause(&payouts).await.unwrap();
    redrive(&world, "resume", &[&id], &SECOND).await;
    until_one_is_out(&world, &id).await;
    redrive(&world, "abandon", &[&id], &AUTHOR).await;
    world.queue.resume(&payouts).await.unwrap();
    until_done(&world, &id, 1).await;
    rests(&world, &id).await;
    world.run_until_idle().await;
    assert_eq!((open_letters(&world).await, effects(&world).await), (5, 1));
    let abandoned = shown(&world, &id).await;
    assert_eq!(abandoned["progress"]["waiting"], json!(5), "{abandoned}");
    let why = world.payfleet_refuses(&[&["redrive", "resume", &id], AUTHOR.as_slice()].concat()).await;
    assert!(why.contains("is abandoned"), "{why}");
    world.finish().await;
}

async fn until_one_is_out(world: &World, id: &str) {
    let is_out =
        async |world: &World| world.store.redrive_progress(id.parse().unwrap()).await.unwrap().out == 1;
    world.until("the canary is out", is_out).await;
}

/// The second letter is not released any more; the first was, before it had reached Postgres.
#[tokio::test]
async fn what_a_plan_had_released_before_it_was_halted_is_released_again_where_redis_lost_it() {
    for verb in ["abandon", "pause"] {
        let world = World::start().await;
        for key in ["first", "second"] {
            dies_unread(&world, key).await;
        }
        let id = plan_of(&world, &["--queue", "payout", "--per-minute", "6000"]).await;
        let payouts = JobKind::Payout.queue().unwrap();
        world.queue.pause(&payouts).await.unwrap();
        redrive(&world, "release", &[&id], &AUTHOR).await;
        until_one_is_out(&world, &id).await;
        redrive(&world, verb, &[&id], &SECOND).await;
        world.forget_redis().await;
        world.give_up_steps().await;
        until_nothing_is_out(&world, &id).await;
        world.run_until_idle().await;
        assert_eq!((effects(&world).await, open_letters(&world).await), (1, 1), "{verb}");
        let progress = world.store.redrive_progress(id.parse().unwrap()).await.unwrap();
        assert_eq!((progress.done, progress.waiting), (1, 1), "{verb}: {progress:?}");
        world.finish().await;
    }
}

/// A worker that stands still between a letter's release and writing it: one more, and that one is
/// looked after, though nothing was left to look at.
#[tokio::test]
async fn a_pause_in_the_middle_of_a_step_lets_no_letter_go_but_the_one_that_is_on_its_way() {
    let mut world = World::start().await;
    parked(&world, 8).await;
    let id = plan(&world, &["--per-minute", "120"]).await;
    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_done(&world, &id, 1).await;
    redrive(&world, "pause", &[&id], &SECOND).await;
    rests(&world, &id).await;
    world.stop_workers().await;
    let before = shown(&world, &id).await["progress"]["done"].as_u64().unwrap();
    redrive(&world, "resume", &[&id], &SECOND).await;
    let step = world.store.redrive_plan(id.parse().unwrap()).await.unwrap().unwrap().step;
    let held = Redrive { plan: id.parse().unwrap(), step };
    let aim = Aim { operation: None, job: held.job_id(), step: Step::Before("redrive_hold") };
    let (slow, trap) = world.trapped_worker("slow", aim, &[]).await;
    trap.sprung().await;
    redrive(&world, "pause", &[&id], &SECOND).await;
    world.add_worker();
    rests(&world, &id).await;
    trap.open();
    until_done(&world, &id, i64::try_from(before + 1).unwrap()).await;
    rests(&world, &id).await;
    world.run_until_idle().await;
    let paused = shown(&world, &id).await;
    assert_eq!(paused["progress"]["done"], json!(before + 1), "{paused}");
    assert_eq!(paused["progress"]["waiting"], json!(7 - before), "{paused}");
    assert_eq!(effects(&world).await, usize::try_from(before + 1).unwrap());
    slow.kill().await;
    redrive(&world, "resume", &[&id], &SECOND).await;
    until_it_is(&world, &id, "finished").await;
    world.run_until_idle().await;
    assert_eq!((effects(&world).await, open_letters(&world).await), (8, 0));
    world.finish().await;
}
