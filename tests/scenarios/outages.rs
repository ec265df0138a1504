//! Processes die in the middle of things.

use payfleet_tests::world::{Setup, World};
use serde_json::json;

const PAYOUT: &str = "/v1/payout";

#[tokio::test]
async fn a_worker_killed_during_the_call_leaves_one_effect_and_a_settled_payout() {
    for fault in ["hold", "hold_after_effect"] {
        let mut world = World::with(Setup { workers: 0, ..Setup::default() }).await;
        world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!(fault)).await;
        let victim = world.worker_process("victim").await;
        let id = world.api.payout("order-1", "15.5").await.accepted();
        world.providers.held(&world.providers.heleket, 1).await;
        victim.kill().await;
        world.providers.release(&world.providers.heleket).await;
        world.add_worker();
        world
            .until("the payout settles", async |world| {
                let view = world.store.operation(id).await.unwrap();
                view.is_some_and(|view| view.state.name() == "settled")
            })
            .await;
        assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 1, "{fault}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_mint_whose_worker_was_killed_during_the_call_is_left_to_a_person() {
    let mut world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    world.providers.plan(&world.providers.trovotech, "/token/mint", 1, json!("hold_after_effect")).await;
    let victim = world.worker_process("victim").await;
    let id = world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world.providers.held(&world.providers.trovotech, 1).await;
    victim.kill().await;
    world.providers.release(&world.providers.trovotech).await;
    world.add_worker();
    world
        .until("the mint is parked", async |world| {
            world.store.operation(id).await.unwrap().is_some_and(|view| view.parked.is_some())
        })
        .await;
    world.assert_state(id, "in_doubt").await;
    assert_eq!(world.providers.effects(&world.providers.trovotech).await.len(), 1);
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn redis_killed_during_a_call_loses_nothing_that_was_accepted() {
    let mut world = World::start().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("hold_after_effect")).await;
    let held = world.api.payout("held", "15.5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    let waiting = world.api.payout("waiting", "2").await.accepted();
    world.redis.kill().await;
    let refused = world.api.payout("refused", "3").await;
    assert_eq!(refused.status, 503);
    world.providers.release(&world.providers.heleket).await;
    world.redis.restart().await.unwrap();
    world
        .until("the producer takes work again", async |world| {
            world.api.payout("refused", "3").await.status == 202
        })
        .await;
    world.run_until_idle().await;
    world.assert_state(held, "settled").await;
    world.assert_state(waiting, "settled").await;
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 3);
    world.finish().await;
}

#[tokio::test]
async fn redis_emptied_during_the_work_is_made_up_for_from_postgres() {
    let world = World::start().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("hold_after_effect")).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    let mut redis =
        redis::Client::open(world.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    world.providers.release(&world.providers.heleket).await;
    world
        .until("the payout settles", async |world| {
            world.store.operation(id).await.unwrap().is_some_and(|view| view.state.name() == "settled")
        })
        .await;
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn postgres_killed_during_the_work_costs_no_answer_and_no_accepted_job() {
    let mut world = World::with(Setup { own_postgres: true, ..Setup::default() }).await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("hold_after_effect")).await;
    let held = world.api.payout("held", "15.5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    world.postgres.as_mut().unwrap().kill().await;
    let meanwhile = world.api.payout("meanwhile", "2").await.accepted();
    world.providers.release(&world.providers.heleket).await;
    world.postgres.as_mut().unwrap().restart().await.unwrap();
    world.run_until_idle().await;
    world.assert_state(held, "settled").await;
    world.assert_state(meanwhile, "settled").await;
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_worker_asked_to_stop_finishes_what_it_holds_and_exits_with_success() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("hold")).await;
    let worker = world.worker_process("asked").await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    worker.signal(payfleet::servers::Signal::TERM);
    world.providers.release(&world.providers.heleket).await;
    assert!(worker.stop().await.success(), "{}", worker.last_words());
    let view = world.store.operation(id).await.unwrap().unwrap();
    assert!(matches!(view.state.name(), "accepted" | "settled"), "{view:?}");
    let next = world.worker_process("next").await;
    world.finish().await;
    assert!(next.stop().await.success());
}

#[tokio::test]
async fn a_worker_that_was_stopped_past_its_lease_changes_nothing_when_it_comes_back() {
    let mut world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("hold_after_effect")).await;
    let zombie = world.worker_process("zombie").await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.providers.held(&world.providers.heleket, 1).await;
    zombie.signal(payfleet::servers::Signal::STOP);
    world.providers.release(&world.providers.heleket).await;
    world.add_worker();
    world
        .until("the new owner settles the payout", async |world| {
            world.store.operation(id).await.unwrap().is_some_and(|view| view.state.name() == "settled")
        })
        .await;
    zombie.signal(payfleet::servers::Signal::CONT);
    world.until("its answer is kept as evidence", async |world| world.evidence_count().await == 1).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 1);
    assert!(zombie.stop().await.success(), "{}", zombie.last_words());
    world.finish().await;
}
