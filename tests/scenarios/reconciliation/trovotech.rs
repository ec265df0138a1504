//! TrovoTech: tokens, which bear no reference of ours. Two that are there for one of ours cannot be told
//! from a stranger, and the list says nothing of amounts.

use std::time::Duration;

use payfleet_core::provider::{Action, Effect, Provider};
use payfleet_tests::store::mint;
use payfleet_tests::world::{Setup, World};
use serde_json::json;

use super::{call, found, reconcile, stranger};

#[tokio::test]
async fn a_token_that_nobody_here_knows_is_found() {
    let mut world = World::with(Setup { webhooks: false, ..Setup::default() }).await;
    world.strangers = 1;
    world.api.mint("m-1", "ev-1", "10").await.accepted();
    let effect = Effect { asked: mint("not ours", "ev-1", "5").request, on: None };
    call(&world, Provider::TrovoTech, &effect, stranger(Action::Mint)).await;
    world.run_until_idle().await;
    let report = reconcile(&world, Provider::TrovoTech).await;
    assert_eq!(found(&report), [("missing_here", None)]);
    assert_eq!((&report["listed"], &report["held"]), (&json!(2), &json!(1)));
    world.finish().await;
}

#[tokio::test]
async fn a_token_that_is_not_listed_any_more_is_missing_there() {
    let world = World::start().await;
    world.api.mint("m-1", "ev-1", "10").await.accepted();
    world.run_until_idle().await;
    let effects = world.providers.effects(&world.providers.trovotech).await;
    let token = effects.iter().find(|effect| effect.kind == "mint").unwrap();
    world.providers.forget(&world.providers.trovotech, &token.id).await;
    assert_eq!(found(&reconcile(&world, Provider::TrovoTech).await), [("missing_there", None)]);
    world.finish().await;
}

#[tokio::test]
async fn a_token_that_is_listed_though_its_mint_failed_is_for_a_person() {
    let world = World::start().await;
    world.providers.plan(&world.providers.trovotech, "/token/mint", 1, json!({ "ends": "failed" })).await;
    let id = world.api.mint("m-1", "ev-1", "10").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    assert_eq!(found(&reconcile(&world, Provider::TrovoTech).await), [("status", None)]);
    world.finish().await;
}

#[tokio::test]
async fn a_mint_that_does_not_move_is_woken() {
    let call_timeout = Duration::from_mins(1);
    let world = World::with(Setup { webhooks: false, call_timeout, ..Setup::default() }).await;
    world.providers.plan(&world.providers.trovotech, "/transactions/*", 1, json!("hold")).await;
    let id = world.api.mint("m-1", "ev-1", "10").await.accepted();
    world.providers.held(&world.providers.trovotech, 1).await;
    world.age_transitions(id, 25).await;
    assert_eq!(found(&reconcile(&world, Provider::TrovoTech).await), [("stuck", Some("woken"))]);
    super::until(&world, id, "settled").await;
    world.providers.release(&world.providers.trovotech).await;
    world.finish().await;
}
