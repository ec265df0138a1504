//! What the web app learns by itself: the feed of events, and callbacks that carry the same.

use std::collections::BTreeSet;
use std::time::Duration;

use payfleet_tests::receiver::{Mood, Receiver};
use payfleet_tests::world::{Setup, World};
use serde_json::{Value, json};

async fn world(receiver: &Receiver) -> World {
    World::with(Setup { receivers: receiver.settings(), ..Setup::default() }).await
}

/// Everything in the feed, read in small steps, once it has `count` events.
async fn feed(world: &World, count: usize) -> Vec<Value> {
    world
        .until("the feed is whole", async |world| {
            world.api.get("/v1/events?limit=1000").await.body["events"].as_array().map(Vec::len)
                == Some(count)
        })
        .await;
    let (mut events, mut next) = (Vec::new(), "0".to_owned());
    loop {
        let page = world.api.get(&format!("/v1/events?after={next}&limit=3")).await;
        assert_eq!(page.status, 200, "{page:?}");
        events.extend_from_slice(page.body["events"].as_array().unwrap());
        next = page.body["next"].as_str().unwrap().to_owned();
        if page.body["more"] == json!(false) {
            break;
        }
    }
    let again = world.api.get(&format!("/v1/events?after={next}")).await.body;
    assert_eq!(again, json!({"events": [], "next": next, "more": false}));
    events
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// Asserts that the receiver was told of all that is in the feed, once each and in order.
async fn assert_told_all(world: &World, receiver: &Receiver) {
    let events = feed(world, receiver.taken().len()).await;
    receiver.assert_told(&ids(&events));
}

#[tokio::test]
async fn each_step_of_a_payout_is_in_the_feed_and_told_in_order_and_signed() {
    let receiver = Receiver::start(Mood::Takes).await;
    let world = world(&receiver).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let told: Vec<Value> = receiver.taken().into_iter().map(|one| one.event).collect();
    let events = feed(&world, told.len()).await;
    assert_eq!(told, events, "one operation: the feed has the order of the callbacks");
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    // Heleket's webhook may be quicker than its answer; then it is never seen accepted.
    assert_eq!(types[..2], ["payout.requested", "payout.submitting"]);
    assert_eq!(*types.last().unwrap(), "payout.settled");
    let first = &events[0];
    assert_eq!(first["id"], json!(format!("evt_{}_1", id.as_uuid().simple())));
    assert_eq!(first["data"]["idempotency_key"], json!("order-1"));
    assert_eq!(first["data"]["previous_state"], Value::Null);
    let last = &events.last().unwrap()["data"];
    assert_eq!((&last["operation_id"], &last["sequence"]), (&json!(id), &json!(events.len())));
    assert!(last["provider_ref"].is_string(), "{last}");
    world.finish().await;
}

#[tokio::test]
async fn a_receiver_that_was_down_is_told_of_everything_once_each_and_in_order() {
    let receiver = Receiver::start(Mood::Down).await;
    let world = World::with(Setup { workers: 2, receivers: receiver.settings(), ..Setup::default() }).await;
    let mut asked = Vec::new();
    for index in 0..6 {
        asked.push(world.api.payout(&format!("order-{index}"), "1.25").await.accepted());
    }
    world
        .until("all payouts settle, whoever is down", async |world| {
            for id in &asked {
                let view = world.store.operation(*id).await.unwrap();
                if view.is_none_or(|view| view.state.name() != "settled") {
                    return false;
                }
            }
            true
        })
        .await;
    receiver.came(12).await;
    assert!(receiver.taken().is_empty());
    let firsts: BTreeSet<i64> =
        receiver.callbacks().iter().map(payfleet_tests::receiver::Callback::sequence).collect();
    assert_eq!(firsts, BTreeSet::from([1]), "an event waits for the one before it");
    receiver.set(Mood::Takes);
    world.run_until_idle().await;
    assert_told_all(&world, &receiver).await;
    world.finish().await;
}

#[tokio::test]
async fn redis_emptied_while_a_receiver_is_down_costs_it_no_event() {
    let receiver = Receiver::start(Mood::Down).await;
    let world = world(&receiver).await;
    world.api.payout("order-1", "15.5").await.accepted();
    receiver.came(2).await;
    let mut redis =
        redis::Client::open(world.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    receiver.set(Mood::Takes);
    world.run_until_idle().await;
    assert_told_all(&world, &receiver).await;
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_was_refused_too_often_is_a_dead_letter_and_goes_on_when_it_is_released() {
    let receiver = Receiver::start(Mood::Down).await;
    let receivers = receiver.settings_with(vec![Duration::from_millis(10); 2]);
    let world = World::with(Setup { receivers, ..Setup::default() }).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(receiver.callbacks().len(), 3, "one attempt, and one after each pause");
    let letter = world.store.dead_letters(10, false).await.unwrap().remove(0);
    assert_eq!((letter.kind.as_str(), letter.code.as_str()), ("notify", "not_delivered"));
    let said = letter.message.split("HTTP 503: ").nth(1).unwrap();
    assert!(said.starts_with("out of order out of order") && said.len() == 120, "{said}");

    receiver.set(Mood::Takes);
    world.payfleet(&["dlq", "retry", &letter.job_id.to_string()]).await;
    world.run_until_idle().await;
    assert_told_all(&world, &receiver).await;
    assert!(world.store.dead_letters(10, false).await.unwrap().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn neither_a_redirect_is_followed_nor_an_endless_answer_read() {
    let receiver = Receiver::start(Mood::Redirects).await;
    let world = world(&receiver).await;
    world.api.payout("order-1", "15.5").await.accepted();
    receiver.came(2).await;
    receiver.set(Mood::Endless);
    let seen = receiver.callbacks().len();
    receiver.came(seen + 3).await;
    receiver.set(Mood::Takes);
    world.run_until_idle().await;
    assert_eq!(receiver.astray(), 0);
    assert_told_all(&world, &receiver).await;
    world.finish().await;
}

#[tokio::test]
async fn a_worker_that_dies_after_the_receiver_has_taken_an_event_tells_it_again_and_goes_on() {
    let receiver = Receiver::start(Mood::Hangs).await;
    let world = World::with(Setup { workers: 0, receivers: receiver.settings(), ..Setup::default() }).await;
    let victim = world.worker_process_with("victim", &receiver.environment()).await;
    world.api.payout("order-1", "15.5").await.accepted();
    receiver.came(1).await;
    victim.kill().await;
    receiver.set(Mood::Takes);
    let next = world.worker_process_with("next", &receiver.environment()).await;
    world.run_until_idle().await;
    let taken = receiver.taken();
    assert_eq!(taken[0].id, taken[1].id, "told again, under the same id");
    let once: BTreeSet<String> = taken.iter().map(|one| one.id.clone()).collect();
    assert_eq!(taken.len(), once.len() + 1);
    assert_eq!(once, ids(&feed(&world, once.len()).await));
    world.finish().await;
    assert!(next.stop().await.success());
}

#[tokio::test]
async fn a_receiver_that_says_it_is_gone_is_left_alone_until_an_operator_enables_it() {
    let receiver = Receiver::start(Mood::Gone).await;
    let world = world(&receiver).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    receiver.came(1).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert!(world.payfleet(&["receivers", "list"]).await.contains("disabled: HTTP 410"));
    assert_eq!(receiver.callbacks().len(), 1);
    receiver.set(Mood::Takes);
    world.payfleet(&["receivers", "enable", "shop"]).await;
    world.run_until_idle().await;
    assert_told_all(&world, &receiver).await;
    world.finish().await;
}
