//! What is unknown is in doubt: it is found out, never resent blindly, never called failed.

use payfleet_core::OperationId;
use payfleet_tests::world::World;
use serde_json::{Value, json};

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
    until_doubt_is_parked(&world, id).await;
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

async fn until_doubt_is_parked(world: &World, id: OperationId) {
    world
        .until("the doubt is parked", async |world| {
            let view = world.store.operation(id).await.unwrap();
            view.is_some_and(|view| view.parked.as_deref() == Some("in_doubt"))
        })
        .await;
}

/// `payfleet operations` with a person's word.
async fn say(world: &World, id: OperationId, word: &[&str]) {
    let id = id.to_string();
    let said = ["--author", "on-call", "--reason", "their support says so"];
    let arguments: Vec<&str> =
        ["operations", word[0], &id].into_iter().chain(word[1..].to_vec()).chain(said).collect();
    world.payfleet(&arguments).await;
}

#[tokio::test]
async fn a_person_ends_a_doubt_that_nobody_else_can() {
    let world = World::start().await;
    world.providers.plan(&world.providers.trovotech, MINT, 1, json!("reset_after_effect")).await;
    let happened = world.api.mint("mint-1", "bus-1", "60").await.accepted();
    until_doubt_is_parked(&world, happened).await;
    world.providers.plan(&world.providers.trovotech, MINT, 1, json!("reset_before")).await;
    let never = world.api.mint("mint-2", "bus-1", "40").await.accepted();
    until_doubt_is_parked(&world, never).await;

    let token = world.providers.effects(&world.providers.trovotech).await.remove(0).id;
    say(&world, happened, &["confirm", "--provider-ref", &token]).await;
    say(&world, never, &["deny"]).await;
    for (id, state) in [(happened, "settled"), (never, "failed")] {
        world
            .until(state, async |world| {
                world.store.operation(id).await.unwrap().unwrap().state.name() == state
            })
            .await;
    }
    let shown = world.api.get(&format!("/v1/mints/{happened}")).await.body;
    assert_eq!(shown["result"]["confirmed_by"], "on-call", "{shown}");
    let shown = world.api.get(&format!("/v1/mints/{never}")).await.body;
    assert_eq!(shown["reason"], "it never happened, says on-call: their support says so", "{shown}");
    // What was set aside for the one that never happened is free again, the other's is not.
    let rest = world.api.mint("mint-3", "bus-1", "40").await.accepted();
    let over = world.api.mint("mint-4", "bus-1", "1").await.accepted();
    world.run_until_idle().await;
    let mut states = [world.store.operation(rest).await, world.store.operation(over).await]
        .map(|view| view.unwrap().unwrap().state.name());
    states.sort_unstable();
    assert_eq!(states, ["failed", "settled"]);
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn a_person_accepts_what_was_quarantined() {
    let world = World::start().await;
    world.providers.plan(&world.providers.heleket, PAYOUT, 1, json!("wrong_amount")).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    say(&world, id, &["confirm"]).await;
    world.until("it settles", async |world| settled(world, id).await).await;

    let listed = world.payfleet(&["discrepancies", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["operation_id"], json!(id), "{listed}");
    let said = ["--author", "on-call", "--reason", "the fee was taken out of it"];
    let number = listed[0]["number"].to_string();
    world.payfleet(&[["discrepancies", "resolve", &number].as_slice(), &said].concat()).await;
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
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

async fn settled(world: &World, id: OperationId) -> bool {
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
