//! Many dead letters released by a plan: looked at first, one before the others, paced, stopped by
//! itself, and each with one effect at most, whoever dies.

mod halted;

use std::time::Duration;

use payfleet_core::job::{DeadJob, Failure, Job, NewJob, Origin};
use payfleet_core::kinds::redrive::Redrive;
use payfleet_core::kinds::{Advance, OperationKind};
use payfleet_core::{Clock, JobId, OperationId, TenantId};
use payfleet_process::SystemClock;
use payfleet_tests::store::payout_of;
use payfleet_tests::trap::{Aim, Step};
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs::{self, Subject};
use serde_json::{Value, json};

const PAYOUT: &str = "/v1/payout";
const AUTHOR: [&str; 4] = ["--author", "on-call", "--reason", "their key is mended"];
const SECOND: [&str; 4] = ["--author", "team-lead", "--reason", "looked at it"];
/// So fast that no test waits for it.
const FAST: [&str; 2] = ["--per-minute", "6000"];

fn refusal() -> Value {
    json!({"body": {"state": 1, "message": "Invalid Sign."}})
}

/// Payouts that stand still: the provider has refused our credentials once each.
async fn parked(world: &World, count: usize) -> Vec<OperationId> {
    let times = u32::try_from(count).unwrap();
    world.providers.plan(&world.providers.heleket, PAYOUT, times, refusal()).await;
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(world.api.payout(&format!("order-{n}"), "15.5").await.accepted());
    }
    world.run_until_idle().await;
    assert_eq!(open_letters(world).await, count);
    ids
}

async fn open_letters(world: &World) -> usize {
    world.store.dead_letters(20_000, false).await.unwrap().len()
}

async fn effects(world: &World) -> usize {
    world.providers.effects(&world.providers.heleket).await.len()
}

/// Runs `payfleet redrive` and returns the plan as it is then.
async fn redrive(world: &World, verb: &str, rest: &[&str], said: &[&str]) -> Value {
    let printed = world.payfleet(&[&["redrive", verb, "--json"], rest, said].concat()).await;
    serde_json::from_str(&printed).expect("JSON")
}

/// Makes a plan of all payouts at Heleket, and answers its number.
async fn plan(world: &World, more: &[&str]) -> String {
    plan_of(world, &[&["--provider", "heleket"], more].concat()).await
}

async fn plan_of(world: &World, which: &[&str]) -> String {
    let plan = redrive(world, "plan", which, &AUTHOR).await;
    assert_eq!(plan["state"], json!("planned"), "{plan}");
    plan["plan"].to_string()
}

async fn shown(world: &World, id: &str) -> Value {
    redrive(world, "show", &[id], &[]).await
}

async fn state(world: &World, id: &str) -> String {
    world.store.redrive_plan(id.parse().unwrap()).await.unwrap().unwrap().state
}

async fn until_it_is(world: &World, id: &str, awaited: &str) {
    let what = format!("plan {id} is {awaited}");
    world.until(&what, async |world| state(world, id).await == awaited).await;
}

async fn until_done(world: &World, id: &str, count: i64) {
    let done =
        async |world: &World| world.store.redrive_progress(id.parse().unwrap()).await.unwrap().done >= count;
    world.until("so many are done", done).await;
}

/// Also of a plan that releases nothing more.
async fn until_nothing_is_out(world: &World, id: &str) {
    let known =
        async |world: &World| world.store.redrive_progress(id.parse().unwrap()).await.unwrap().out == 0;
    world.until("the end of what was released is known", known).await;
}

/// Nothing of the plan is left to look at.
async fn rests(world: &World, id: &str) {
    world.give_up_steps().await;
    let rests = async |world: &World| {
        let steps = world.store.redrive_steps(None).await.unwrap();
        !steps.iter().any(|due| due.step.plan.to_string() == id)
    };
    world.until("the plan rests", rests).await;
}

async fn assert_all_settled_once(world: &World, ids: &[OperationId]) {
    for id in ids {
        world.assert_state(*id, "settled").await;
    }
    assert_eq!(effects(world).await, ids.len());
}

#[tokio::test]
async fn a_plan_says_what_it_is_about_releases_nothing_by_itself_and_then_all_of_it_settles() {
    let world = World::start().await;
    let ids = parked(&world, 8).await;
    let all = [["--provider", "heleket"], FAST].concat();
    let made = redrive(&world, "plan", &all, &AUTHOR).await;
    let id = made["plan"].to_string();
    assert_eq!(made["totals"]["letters"], json!(8), "{made}");
    assert_eq!(made["groups"][0]["amount"], json!("124"), "{made}");
    assert_eq!((&made["totals"]["over"], &made["totals"]["in_doubt"]), (&json!(0), &json!(0)), "{made}");
    world.run_until_idle().await;
    assert_eq!((open_letters(&world).await, effects(&world).await), (8, 0), "a plan is a dry run");

    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_it_is(&world, &id, "finished").await;
    world.run_until_idle().await;
    assert_all_settled_once(&world, &ids).await;
    assert_eq!(open_letters(&world).await, 0);
    let shown = shown(&world, &id).await;
    assert_eq!(shown["progress"]["done"], json!(8), "{shown}");
    let said: Vec<_> = shown["changes"].as_array().unwrap().iter().map(|one| &one["what"]).collect();
    assert_eq!(said, ["planned", "released", "finished"], "{shown}");
    let table = world.payfleet(&["redrive", "show", &id]).await;
    assert!(table.contains("124 USDT") && table.contains("8 done"), "{table}");
    assert!(world.payfleet(&["redrive", "list"]).await.contains("finished"));
    world.finish().await;
}

#[tokio::test]
async fn a_canary_that_dies_again_stops_its_plan_and_nothing_else_is_released() {
    let world = World::start().await;
    let ids = parked(&world, 6).await;
    let id = plan(&world, &FAST).await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, refusal()).await;
    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_it_is(&world, &id, "stopped").await;
    let stopped = shown(&world, &id).await;
    assert!(stopped["why"].as_str().unwrap().contains("canary"), "{stopped}");
    assert_eq!(stopped["progress"]["waiting"], json!(5), "{stopped}");
    assert_eq!(stopped["progress"]["died_again"], json!(1), "{stopped}");
    world.run_until_idle().await;
    assert_eq!((open_letters(&world).await, effects(&world).await), (6, 0));

    // What died again is of no plan of before.
    redrive(&world, "resume", &[&id], &SECOND).await;
    until_it_is(&world, &id, "finished").await;
    world.run_until_idle().await;
    assert_eq!((open_letters(&world).await, effects(&world).await), (1, 5));
    let id = plan(&world, &FAST).await;
    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_it_is(&world, &id, "finished").await;
    world.run_until_idle().await;
    assert_all_settled_once(&world, &ids).await;
    world.finish().await;
}

#[tokio::test]
async fn a_plan_of_which_too_many_fail_stops_with_the_rest_unreleased() {
    let world = World::start().await;
    parked(&world, 15).await;
    let id = plan(&world, &["--per-minute", "120"]).await;
    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_done(&world, &id, 1).await;
    redrive(&world, "pause", &[&id], &SECOND).await;
    world.run_until_idle().await;
    let went_well = effects(&world).await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 20, refusal()).await;
    redrive(&world, "resume", &[&id], &SECOND).await;
    until_it_is(&world, &id, "stopped").await;
    until_nothing_is_out(&world, &id).await;
    let stopped = shown(&world, &id).await;
    assert!(stopped["why"].as_str().unwrap().contains("more than 20 in 100"), "{stopped}");
    let waiting = stopped["progress"]["waiting"].as_u64().unwrap();
    assert!(waiting > 0, "{stopped}");
    assert_eq!(effects(&world).await, went_well);
    let released: i64 = world
        .count("SELECT count(*) FROM dead_letters WHERE redriven_at IS NOT NULL AND $1 <> ''", "x")
        .await;
    assert_eq!(u64::try_from(released).unwrap(), 15 - waiting, "{stopped}");
    world.finish().await;
}

#[tokio::test]
async fn a_plan_that_needs_a_second_person_is_released_only_after_another_has_agreed() {
    let world = World::start().await;
    // One more than a World's operators may release alone.
    let ids = parked(&world, 16).await;
    let id = plan(&world, &FAST).await;
    let refuses = async |verb: &str, said: &[&str]| {
        world.payfleet_refuses(&[&["redrive", verb, &id], said].concat()).await
    };
    let set = json!({"letters": 15, "amounts": {"USDT": "10000"}});
    assert_eq!(shown(&world, &id).await["approve_above"], set);
    let table = world.payfleet(&["redrive", "show", &id]).await;
    assert!(table.contains("15 letters, 10000 USDT"), "{table}");
    let why = refuses("release", &AUTHOR).await;
    assert!(why.contains("needs a second person"), "{why}");
    let why = refuses("approve", &["--author", "On-Call", "--reason", "me again"]).await;
    assert!(why.contains("has made plan"), "{why}");
    let approved = redrive(&world, "approve", &[&id], &SECOND).await;
    assert_eq!(approved["approved_by"], json!("team-lead"), "{approved}");
    let why = refuses("approve", &SECOND).await;
    assert!(why.contains("approved already"), "{why}");
    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_it_is(&world, &id, "finished").await;
    world.run_until_idle().await;
    assert_all_settled_once(&world, &ids).await;
    let why = world.payfleet_refuses(&[&["redrive", "plan"], AUTHOR.as_slice()].concat()).await;
    assert!(why.contains("--provider") && why.contains("--all"), "{why}");
    let why = world.payfleet_refuses(&[&["redrive", "plan", "--all"], AUTHOR.as_slice()].concat()).await;
    assert!(why.contains("no dead letter is selected"), "{why}");
    world.finish().await;
}

/// Before what was released is written, at both ends of the step's transaction, and before what follows.
#[tokio::test]
async fn a_worker_killed_at_a_step_leaves_a_plan_that_goes_on_and_pays_each_once() {
    for step in [
        Step::Before("redrive_mark"),
        Step::Before("redrive_end"),
        Step::Committed("redrive_end"),
        Step::BeforeSettle,
    ] {
        let mut world = World::start().await;
        let ids = parked(&world, 4).await;
        world.stop_workers().await;
        let id = plan(&world, &FAST).await;
        redrive(&world, "release", &[&id], &AUTHOR).await;
        let first = Redrive { plan: id.parse().unwrap(), step: 1 };
        let aim = Aim { operation: None, job: first.job_id(), step };
        let (victim, trap) = world.trapped_worker("victim", aim, &[]).await;
        trap.sprung().await;
        victim.kill().await;
        trap.open();
        world.give_up_steps().await;
        world.add_worker();
        let finished = async |world: &World| {
            world.give_up_claims().await;
            state(world, &id).await == "finished"
        };
        world.until("the plan is finished", finished).await;
        world.run_until_idle().await;
        assert_all_settled_once(&world, &ids).await;
        assert_eq!(world.attempts_spent().await.iter().sum::<i32>(), 8, "{step:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn redis_emptied_in_the_middle_of_a_plan_loses_no_letter_and_pays_none_twice() {
    let world = World::with(Setup { workers: 2, ..Setup::default() }).await;
    let ids = parked(&world, 12).await;
    let id = plan(&world, &["--per-minute", "240"]).await;
    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_done(&world, &id, 2).await;
    world.forget_redis().await;
    world.give_up_steps().await;
    let finished = async |world: &World| {
        world.give_up_claims().await;
        state(world, &id).await == "finished"
    };
    world.until("the plan is finished", finished).await;
    world.run_until_idle().await;
    assert_all_settled_once(&world, &ids).await;
    assert_eq!(open_letters(&world).await, 0);
    world.finish().await;
}

#[tokio::test]
async fn several_jobs_of_the_same_step_and_two_plans_of_the_same_letters_release_each_letter_once() {
    let mut world = World::start().await;
    let ids = parked(&world, 6).await;
    world.stop_workers().await;
    let plans = [plan(&world, &FAST).await, plan(&world, &FAST).await];
    for id in &plans {
        redrive(&world, "release", &[id], &AUTHOR).await;
        let step = Redrive { plan: id.parse().unwrap(), step: 1 };
        let job = jobs::redrive(&step, Duration::ZERO, Origin::Rescue).unwrap();
        let more: Vec<_> = (0..5_i64).map(|n| NewJob { id: step.rescue_id(n), ..job.clone() }).collect();
        world.queue.enqueue(&more).await.unwrap();
    }
    world.add_worker();
    world.add_worker();
    for id in &plans {
        until_it_is(&world, id, "finished").await;
    }
    world.give_up_steps().await;
    world.run_until_idle().await;
    assert_all_settled_once(&world, &ids).await;
    assert_eq!(world.attempts_spent().await.iter().sum::<i32>(), 12, "one refused, one accepted, each");
    let mut released = 0;
    for id in &plans {
        let shown = shown(&world, id).await;
        released += shown["progress"]["done"].as_u64().unwrap();
        assert_eq!(shown["changes"].as_array().unwrap().len(), 3, "{shown}");
    }
    assert_eq!(released, 6);
    world.finish().await;
}

#[tokio::test]
async fn what_is_over_or_was_released_by_hand_meanwhile_is_skipped_and_said() {
    let world = World::start().await;
    let ids = parked(&world, 4).await;
    let id = plan(&world, &[]).await;
    let pace = shown(&world, &id).await["per_minute"].as_u64().unwrap();
    assert!((50_000..=60_000).contains(&pace), "a tenth of what a World's limiters let through: {pace}");
    world.api.post(&format!("/v1/payouts/{}/cancel", ids[0]), "unused", &json!({})).await.accepted();
    let letters = world.store.dead_letters(10, false).await.unwrap();
    let by_hand = letters.iter().find(|one| one.operation_id == Some(ids[1].as_uuid())).unwrap();
    world.payfleet(&["dlq", "retry", &by_hand.job_id.to_string()]).await;
    world.run_until_idle().await;
    let now = shown(&world, &id).await;
    assert_eq!(now["totals"]["over"], json!(2), "{now}");
    redrive(&world, "release", &[&id], &AUTHOR).await;
    until_it_is(&world, &id, "finished").await;
    world.run_until_idle().await;
    let now = shown(&world, &id).await;
    assert_eq!((&now["progress"]["skipped"], &now["progress"]["done"]), (&json!(2), &json!(2)), "{now}");
    world.assert_state(ids[0], "failed").await;
    assert_eq!(effects(&world).await, 3);
    world.finish().await;
}

#[tokio::test]
async fn a_payout_in_doubt_that_a_plan_releases_is_looked_up_and_not_sent_again() {
    // Its news would move it, too.
    let mut world = World::with(Setup { workers: 0, webhooks: false, ..Setup::default() }).await;
    let heleket = &world.providers.heleket;
    world.providers.plan(heleket, PAYOUT, 1, json!("hold_after_effect")).await;
    let victim = world.worker_process("victim").await;
    let paid = world.api.payout("order-1", "15.5").await.accepted();
    world.providers.held(heleket, 1).await;
    victim.kill().await;
    world.providers.release(heleket).await;
    world.age_intents(200).await;
    world.probed(119).await;
    world.providers.plan(heleket, "/v1/payout/info", 1, json!("reset_before")).await;
    world.age(paid, 200 * 3_600).await;
    world.add_worker();
    let is_parked = async |world: &World| {
        world.give_up_claims().await;
        open_letters(world).await == 1
    };
    world.until("it waits for a person", is_parked).await;
    world.assert_state(paid, "in_doubt").await;

    let made = redrive(&world, "plan", &[["--provider", "heleket"], FAST].concat(), &AUTHOR).await;
    assert_eq!(made["totals"]["in_doubt"], json!(1), "{made}");
    assert_eq!(made["totals"]["past_window"], json!(1), "{made}");
    let sent = world.providers.calls_of(&world.providers.heleket, PAYOUT).await;
    redrive(&world, "release", &[&made["plan"].to_string()], &AUTHOR).await;
    until_it_is(&world, &made["plan"].to_string(), "finished").await;
    world.run_until_idle().await;
    assert_all_settled_once(&world, &[paid]).await;
    assert_eq!(world.providers.calls_of(&world.providers.heleket, PAYOUT).await, sent, "it was sent again");
    world.finish().await;
}

/// Requests whose jobs died before they reached Postgres; the long variant runs with `PAYFLEET_FULL=1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_many_is_paced_and_pays_each_once() {
    let is_full = std::env::var_os("PAYFLEET_FULL").is_some_and(|value| value == "1");
    let all = if is_full { 10_000 } else { 60 };
    let world = World::with(Setup { workers: 2, webhooks: false, ..Setup::default() }).await;
    let mut ids = Vec::new();
    for n in 0..all {
        ids.push(dies_unread(&world, &format!("order-{n}")).await);
    }
    let made = redrive(&world, "plan", &["--queue", "payout", "--per-minute", "60000"], &AUTHOR).await;
    assert_eq!((&made["totals"]["not_begun"], &made["totals"]["letters"]), (&json!(all), &json!(all)));
    let id = made["plan"].to_string();
    if made["wants_approval"] == json!(true) {
        redrive(&world, "approve", &[&id], &SECOND).await;
    }
    redrive(&world, "release", &[&id], &AUTHOR).await;
    for tenth in 1..=10 {
        until_done(&world, &id, all * tenth / 10).await;
    }
    until_it_is(&world, &id, "finished").await;
    let settled = "SELECT count(*) FROM operations WHERE state = $1";
    for tenth in 1..=10 {
        let some = async |world: &World| world.count(settled, "settled").await >= all * tenth / 10;
        world.until("they settle", some).await;
    }
    world.run_until_idle().await;
    assert_all_settled_once(&world, &ids).await;
    world.finish().await;
}

/// A request whose job died before any worker could read it, as it is archived.
async fn dies_unread(world: &World, key: &str) -> OperationId {
    let new = payout_of(key, "1");
    let subject = Subject { id: new.id(), kind: OperationKind::Payout, tenant: TenantId::default() };
    let mut envelope =
        jobs::advance(&subject, JobId::first_of(new.id()), Duration::ZERO, Origin::Api).unwrap();
    let advance = Advance { operation_id: new.id(), request: Some(new.clone()), event: None };
    envelope.payload = serde_json::value::to_raw_value(&advance).unwrap();
    let died_at = SystemClock.now();
    let failure = Failure {
        class: "crash_loop".to_owned(),
        code: "crash_loop".to_owned(),
        message: "it ended its worker".to_owned(),
    };
    let job = Job { envelope, attempt: 0, deliveries: 4, enqueued_at: died_at, history: Vec::new() };
    world.store.archive(&DeadJob { job, died_at, failure }).await.unwrap();
    new.id()
}
