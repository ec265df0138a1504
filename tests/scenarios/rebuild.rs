//! Redis loses everything in the middle of many operations. An operator rebuilds, clients repeat what
//! was not confirmed to them, and every operation comes to rest: settled, or in doubt with a dead
//! letter where the provider offers neither key nor look-up.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use payfleet_core::OperationId;
use payfleet_tests::receiver::{Mood, Receiver};
use payfleet_tests::world::{Setup, World};
use serde_json::json;

/// Operations under way when Redis is emptied; the long variant runs with `PAYFLEET_FULL=1`
/// (`make test-full`).
const OPERATIONS: usize = 60;
const OPERATIONS_FULL: usize = 500;

/// Answers of each provider that are lost after the effect.
const LOST_ANSWERS: u32 = 3;

fn operations() -> usize {
    let is_full = std::env::var_os("PAYFLEET_FULL").is_some_and(|value| value == "1");
    if is_full { OPERATIONS_FULL } else { OPERATIONS }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_emptied_in_the_middle_of_many_operations_is_rebuilt() {
    let world = World::with(Setup { workers: 2, ..Setup::default() }).await;
    let (heleket, trovotech) = (&world.providers.heleket, &world.providers.trovotech);
    world.providers.plan(heleket, "/v1/payout", LOST_ANSWERS, json!("reset_after_effect")).await;
    world.providers.plan(trovotech, "/token/mint", LOST_ANSWERS, json!("reset_after_effect")).await;

    let all = operations();
    let ids = join_all((0..all).map(|n| ask(&world, n))).await;
    world.until("half of them have reached Postgres", async |world| known(world).await >= all / 2).await;
    world.forget_redis().await;

    // Twice at once, beside two workers and their rescuers: what is made twice is made once.
    let (first, second) = tokio::join!(rebuild(&world), rebuild(&world));
    let missing = first["rebuilt"]["operations"]["made"].as_u64().unwrap();
    let again = second["rebuilt"]["operations"]["made"].as_u64().unwrap();
    assert!(missing + again <= 2 * all as u64, "{first} {second}");
    assert!(first["unknown"].as_array().is_some_and(|lines| !lines.is_empty()), "{first}");

    // A client that finds no operation repeats its request under its own key.
    let mut repeated = 0;
    for (n, id) in ids.iter().enumerate() {
        if world.store.operation(*id).await.unwrap().is_none() {
            assert_eq!(ask(&world, n).await, *id, "the same key names the same operation");
            repeated += 1;
        }
    }
    world.until("every operation is at rest", async |world| at_rest(world, &ids).await).await;
    world.abandon_webhooks();
    world.run_until_idle().await;

    let mut fates: BTreeMap<String, usize> = BTreeMap::new();
    for id in &ids {
        let view = world.store.operation(*id).await.unwrap().unwrap();
        let state = view.state.name();
        if state == "in_doubt" {
            assert_eq!(view.kind.as_str(), "mint", "a payout can be asked for: {view:?}");
            assert!(world.store.has_dead_letter(*id).await.unwrap(), "nobody is told of {view:?}");
        }
        *fates.entry(format!("{} {state}", view.kind.as_str())).or_default() += 1;
    }
    assert_eq!(fates.get("payout settled"), Some(&all.div_ceil(2)), "{fates:?}, {repeated} repeated");
    let mints = fates.get("mint settled").unwrap_or(&0) + fates.get("mint in_doubt").unwrap_or(&0);
    assert_eq!(mints, all / 2, "{fates:?}, {repeated} repeated");
    assert!(world.providers.fired(heleket).await > 0 && world.providers.fired(trovotech).await > 0);
    world.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_person_is_told_again_when_its_dead_letter_was_lost() {
    let world = World::start().await;
    let lost = json!("reset_after_effect");
    world.providers.plan(&world.providers.trovotech, "/token/mint", 1, lost).await;
    let id = world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world
        .until("the mint has a dead letter", async |world| world.store.has_dead_letter(id).await.unwrap())
        .await;
    // As if Redis had lost it before it was archived.
    let letter = world.store.dead_letters(1, false).await.unwrap().remove(0);
    world.store.mark_redriven(letter.job_id, letter.died_at).await.unwrap();
    world.forget_redis().await;

    let rebuilt = rebuild(&world).await;
    assert_eq!(rebuilt["rebuilt"]["parked"], json!({"made": 1, "there": 0}), "{rebuilt}");
    world.until("a person is told again", async |world| world.store.has_dead_letter(id).await.unwrap()).await;
    world.assert_state(id, "in_doubt").await;
    assert_eq!(world.providers.effects(&world.providers.trovotech).await.len(), 1);
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_was_given_up_is_told_to_a_person_again_when_its_dead_letter_was_lost() {
    let receiver = Receiver::start(Mood::Down).await;
    let receivers = receiver.settings_with(vec![Duration::from_millis(10)]);
    let world = World::with(Setup { receivers, ..Setup::default() }).await;
    world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let letter = world.store.dead_letters(1, false).await.unwrap().remove(0);
    assert_eq!(letter.code, "not_delivered");
    // As if Redis had lost it before it was archived.
    world.store.mark_redriven(letter.job_id, letter.died_at).await.unwrap();
    world.forget_redis().await;

    let rebuilt = rebuild(&world).await;
    assert_eq!(rebuilt["rebuilt"]["parked_notifications"], json!({"made": 1, "there": 0}), "{rebuilt}");
    world.run_until_idle().await;
    let calls = receiver.callbacks().len();
    let letter = world.store.dead_letters(1, false).await.unwrap().remove(0);
    assert_eq!((letter.code.as_str(), calls), ("not_delivered", 2), "a person is told, and nobody else is");
    let rebuilt = rebuild(&world).await;
    assert_eq!(rebuilt["rebuilt"]["parked_notifications"], json!({"made": 0, "there": 0}), "{rebuilt}");

    receiver.set(Mood::Takes);
    world.payfleet(&["dlq", "retry", &letter.job_id.to_string()]).await;
    world.run_until_idle().await;
    assert!(receiver.taken().len() >= 3, "every step of the payout");
    world.finish().await;
}

/// The `n`th request: payouts and mints by turns, each mint of an asset of its own.
async fn ask(world: &World, n: usize) -> OperationId {
    let key = format!("request-{n}");
    let answer = if n.is_multiple_of(2) {
        world.api.payout(&key, "15.5").await
    } else {
        world.api.mint(&key, &format!("bus-{n}"), "0.1").await
    };
    answer.accepted()
}

async fn known(world: &World) -> usize {
    let counts = world.store.operation_counts().await.unwrap();
    usize::try_from(counts.iter().map(|one| one.count).sum::<i64>()).unwrap()
}

async fn at_rest(world: &World, ids: &[OperationId]) -> bool {
    for id in ids {
        match world.store.operation(*id).await.unwrap() {
            Some(view) if view.state.is_final() || view.parked.is_some() => {}
            _ => return false,
        }
    }
    true
}

async fn rebuild(world: &World) -> serde_json::Value {
    serde_json::from_str(&world.payfleet(&["rebuild", "--json"]).await).expect("JSON")
}
