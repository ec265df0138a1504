//! The happy paths.

use payfleet_tests::world::{Setup, World};
use serde_json::json;

#[tokio::test]
async fn a_payout_goes_from_http_to_heleket_and_settles_in_the_ledger() {
    let world = World::start().await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    let effects = world.providers.effects(&world.providers.heleket).await;
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].amount, "15.5");
    let shown = world.api.get(&format!("/v1/payouts/{id}")).await.body;
    assert_eq!(shown["state"], json!("settled"));
    let balances = world.store.balances().await.unwrap();
    let paid = balances.iter().find(|one| one.account == "payouts:default").unwrap();
    assert_eq!((paid.unit.as_str(), paid.balance.to_string().as_str()), ("USDT", "15.5"));
    world.finish().await;
}

#[tokio::test]
async fn a_mint_goes_from_http_through_trovotech_to_the_bantu_ledger() {
    let world = World::start().await;
    let id = world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(world.providers.effects(&world.providers.trovotech).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_poll_settles_what_no_webhook_ever_told_of() {
    let world = World::with(Setup { webhooks: false, ..Setup::default() }).await;
    let payout = world.api.payout("order-1", "15.5").await.accepted();
    let mint = world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world.run_until_idle().await;
    world.assert_state(payout, "settled").await;
    world.assert_state(mint, "settled").await;
    world.finish().await;
}

#[tokio::test]
async fn the_same_key_is_one_payout_and_another_body_under_it_is_a_conflict() {
    let world = World::start().await;
    let first = world.api.payout("order-1", "15.5").await;
    let again = world.api.payout("order-1", "15.50").await;
    assert_eq!((again.accepted(), &again.body["job_id"]), (first.accepted(), &first.body["job_id"]));
    assert_eq!(world.api.payout("order-1", "16").await.status, 409);
    world.run_until_idle().await;
    let later = world.api.payout("order-1", "15.5").await;
    assert_eq!(later.accepted(), first.accepted());
    world.run_until_idle().await;
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn shares_of_one_asset_stop_at_a_hundred_percent() {
    let world = World::start().await;
    let first = world.api.mint("a", "bus-1", "60").await.accepted();
    world.run_until_idle().await;
    let second = world.api.mint("b", "bus-1", "60").await.accepted();
    let third = world.api.mint("c", "bus-1", "40").await.accepted();
    world.run_until_idle().await;
    world.assert_state(first, "settled").await;
    world.assert_state(second, "failed").await;
    world.assert_state(third, "settled").await;
    world.finish().await;
}

#[tokio::test]
async fn three_workers_share_the_work() {
    let world = World::with(Setup { workers: 3, ..Setup::default() }).await;
    let mut ids = Vec::new();
    for index in 0..30 {
        ids.push(world.api.payout(&format!("order-{index}"), "1.25").await.accepted());
    }
    world.run_until_idle().await;
    for id in ids {
        world.assert_state(id, "settled").await;
    }
    assert_eq!(world.providers.effects(&world.providers.heleket).await.len(), 30);
    world.finish().await;
}
