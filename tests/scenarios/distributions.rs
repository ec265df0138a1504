//! A revenue split over holders: exactly, once a holder and period, whatever dies meanwhile.

use payfleet_core::OperationId;
use payfleet_tests::store::ADDRESS;
use payfleet_tests::world::{Setup, World};
use rust_decimal::Decimal;
use serde_json::{Value, json};

fn holders(weights: &[&str]) -> Value {
    let holder = |(number, weight): (usize, &&str)| json!({"holder": format!("investor-{number}"), "weight": weight, "network": "TRON", "address": ADDRESS});
    weights.iter().enumerate().map(holder).collect()
}

fn revenue(period: &str, amount: &str, holders: Value) -> Value {
    json!({"asset_id": "ev-1", "period": period, "amount": amount, "asset": "USDT", "holders": holders})
}

async fn paid(world: &World) -> Vec<Decimal> {
    let effects = world.providers.effects(&world.providers.heleket).await;
    let mut paid: Vec<Decimal> = effects.iter().map(|effect| effect.amount.parse().unwrap()).collect();
    paid.sort();
    paid
}

fn decimals(texts: &[&str]) -> Vec<Decimal> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

async fn shown(world: &World, id: OperationId) -> Value {
    world.api.get(&format!("/v1/distributions/{id}")).await.body
}

#[tokio::test]
async fn a_revenue_becomes_one_payout_a_holder_and_the_parts_are_the_whole() {
    let world = World::start().await;
    let body = revenue("2026-05", "100", holders(&["33.3333", "33.3333", "33.3334"]));
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.run_until_idle().await;
    assert_eq!(paid(&world).await.iter().sum::<Decimal>(), Decimal::ONE_HUNDRED);
    let shown = shown(&world, id).await;
    assert_eq!((&shown["state"], &shown["result"]["settled"]), (&json!("settled"), &json!("3")), "{shown}");
    world.finish().await;
}

#[tokio::test]
async fn a_holder_gets_one_part_a_period_under_whatever_key() {
    let world = World::start().await;
    let first = revenue("2026-05", "100", holders(&["1", "1"]));
    let first = world.api.post("/v1/distributions", "d-1", &first).await.accepted();
    let again = revenue("2026-05", "100", holders(&["1"]));
    world.run_until_idle().await;
    let again = world.api.post("/v1/distributions", "d-2", &again).await.accepted();
    let next = revenue("2026-06", "10", holders(&["1", "1"]));
    let next = world.api.post("/v1/distributions", "d-3", &next).await.accepted();
    world.run_until_idle().await;
    for (id, state) in [(first, "settled"), (again, "failed"), (next, "settled")] {
        world.assert_state(id, state).await;
    }
    assert_eq!(paid(&world).await, decimals(&["5", "5", "50", "50"]));
    world.finish().await;
}

#[tokio::test]
async fn parts_below_the_minimum_are_carried_over_until_they_reach_it() {
    let world = World::start().await;
    for (number, amount) in [(1, "10"), (2, "10"), (3, "10")] {
        let mut body = revenue(&format!("2026-0{number}"), amount, holders(&["96", "4"]));
        body["minimum"] = json!("1");
        let id = world.api.post("/v1/distributions", &format!("d-{number}"), &body).await.accepted();
        world.run_until_idle().await;
        world.assert_state(id, "settled").await;
    }
    // 0.4 and 0.4 waited; with the third 0.4 it is 1.2.
    assert_eq!(paid(&world).await, decimals(&["1.2", "9.6", "9.6", "9.6"]));
    world.finish().await;
}

#[tokio::test]
async fn a_worker_killed_while_its_payouts_are_under_way_pays_nobody_twice() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let first = world.worker_process("first").await;
    let weights = vec!["1"; 200];
    let body = revenue("2026-05", "1000", holders(&weights));
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.until("some are paid", async |world| paid(world).await.len() >= 20).await;
    first.kill().await;
    let second = world.worker_process("second").await;
    world.run_until_idle().await;
    assert_eq!(paid(&world).await, decimals(&vec!["5"; 200]));
    world.assert_state(id, "settled").await;
    assert!(second.stop().await.success());
    world.finish().await;
}

#[tokio::test]
async fn trovotech_splits_over_the_holders_of_its_tokens_once_a_period() {
    let world = World::start().await;
    let mint = world.api.mint("m-1", "ev-1", "40").await.accepted();
    let other = world.api.mint("m-2", "ev-1", "60").await.accepted();
    world.run_until_idle().await;
    let mut tokens = Vec::new();
    for id in [mint, other] {
        let shown = world.api.get(&format!("/v1/mints/{id}")).await.body;
        tokens.push(json!({"token_id": shown["provider_ref"]}));
    }
    let body = json!({
        "asset_id": "ev-1", "period": "2026-05", "amount": "100", "asset": "NGN", "holders": tokens,
        "description": "swaps",
    });
    let first = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.run_until_idle().await;
    let again = world.api.post("/v1/distributions", "d-2", &body).await.accepted();
    world.run_until_idle().await;
    world.assert_state(first, "settled").await;
    world.assert_state(again, "failed").await;
    world.finish().await;
}

#[tokio::test]
async fn each_wrong_field_of_a_distribution_is_named() {
    let world = World::start().await;
    for (body, field) in [
        (revenue("2026-05", "100", json!([])), "holders"),
        (json!({"asset_id": "ev-1", "period": "p", "amount": "1", "asset": "USDT"}), "holders"),
        (revenue("2026-05", "100", holders(&["0"])), "holders[0].weight"),
        (revenue("2026-05", "100", holders(&vec!["1"; 1_001])), "holders"),
        (
            revenue("2026-05", "100", [holders(&["1"])[0].clone(), holders(&["2"])[0].clone()].into()),
            "holders[1]",
        ),
    ] {
        let answer = world.api.post("/v1/distributions", "d", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["errors"][0]["field"]), (422, &json!(field)));
    }
    world.finish().await;
}
