//! What is unknown is in doubt: it is found out, never resent blindly, never called failed.

use payfleet_tests::world::World;
use serde_json::json;

const PAYOUT: &str = "/v1/payout";
const MINT: &str = "/token/mint";

#[tokio::test]
async fn a_payout_whose_answer_was_lost_settles_with_one_effect() {
    for fault in ["reset_before", "reset_after_effect", "effect_then_timeout", "effect_then_500"] {
        let world = World::start().await;
        world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!(fault)).await;
        let id = world.api.payout("order-1", "15.5").await.accepted();
        world.until("the payout settles", async |world| settled(world, id).await).await;
        assert_eq!(world.providers.fired(&world.providers.heleket).await, 1, "{fault} never fired");
        assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 1, "{fault}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_payout_that_the_provider_refuses_fails_without_an_effect() {
    let world = World::start().await;
    let refusal = json!({"body": {"state": 1, "message": "Minimum amount 0.5 USDT"}});
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, refusal).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    assert!(world.providers.effects(&world.providers.heleket).await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_could_not_be_made_yet_is_tried_again_under_the_same_key() {
    let world = World::start().await;
    let wait = json!({"body": {"state": 1, "message": "Not enough funds"}});
    world.providers.plan(&world.providers.heleket, PAYOUT, 2, wait).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.until("the payout settles", async |world| settled(world, id).await).await;
    assert_eq!(world.providers.fired(&world.providers.heleket).await, 2);
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn another_amount_than_was_asked_for_is_quarantined_and_a_dead_letter_says_so() {
    let world = World::start().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("wrong_amount")).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "quarantined").await;
    let dead = world.store.dead_letters(10, false).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].code.as_str(), dead[0].operation_id), ("quarantined", Some(id.as_uuid())));
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.finish().await;
}

#[tokio::test]
async fn an_unknown_status_is_a_discrepancy_and_the_payout_still_settles() {
    let world = World::start().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("unknown_status")).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_mint_in_doubt_is_left_to_a_person_and_never_sent_again() {
    let world = World::start().await;
    world.providers.plan(&world.providers.trovotech, MINT, 1, json!("reset_after_effect")).await;
    let id = world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world
        .until("the mint is parked", async |world| {
            let view = world.store.operation(id).await.unwrap();
            view.is_some_and(|view| view.parked.as_deref() == Some("in_doubt"))
        })
        .await;
    world.assert_state(id, "in_doubt").await;
    assert_eq!(world.providers.effects(&world.providers.trovotech).await.len(), 1);
    world
        .until("its dead letter is archived", async |world| {
            !world.store.dead_letters(10, false).await.unwrap().is_empty()
        })
        .await;
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn refused_credentials_park_the_payout_instead_of_failing_it() {
    let world = World::start().await;
    let refusal = json!({"body": {"state": 1, "message": "Invalid Sign."}});
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, refusal).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let view = world.store.operation(id).await.unwrap().unwrap();
    assert_eq!(view.parked.as_deref(), Some("provider_refuses_us"));
    assert_eq!(view.state.name(), "retrying");
    world.finish().await;
}

async fn settled(world: &World, id: payfleet_core::OperationId) -> bool {
    world.store.operation(id).await.unwrap().is_some_and(|view| view.state.name() == "settled")
}

#[tokio::test]
async fn a_webhook_during_a_call_that_is_quarantined_does_not_hide_the_dead_letter() {
    let world = World::start().await;
    let heleket = &world.providers.heleket;
    world.providers.plan(heleket, PAYOUT, 1, json!("hold_after_effect")).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.providers.held(heleket, 1).await;
    let effect = world.providers.effects(heleket).await.remove(0);
    let hint = json!({
        "type": "payout", "uuid": effect.id, "order_id": effect.reference, "amount": "15.5", "currency": "USDT",
        "network": "TRON", "status": "process", "is_final": false,
    });
    world.providers.emit(heleket, hint).await;
    world
        .until("the hint is in the inbox", async |world| {
            let counts = world.store.webhook_counts().await.unwrap();
            counts.iter().any(|one| one.provider == "heleket" && one.status == "processed")
        })
        .await;
    world.assert_state(id, "submitting").await;
    world.providers.release(heleket).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    world.finish().await;
}
