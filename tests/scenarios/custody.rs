//! What TrovoTech does beside mints: wallets and telemetry.

use payfleet_tests::world::World;
use serde_json::{Value, json};

fn investor(email: &str) -> Value {
    json!({"investor_email": email, "investor_name": "An Investor", "kyc_verified": true})
}

fn readings(count: usize) -> Value {
    let reading = |number: usize| {
        json!({
            "asset_id": format!("ev-{number}"), "battery_level": 87.5, "kilometers": 12043,
            "status": "moving", "location": {"lat": 6.5244, "lng": -3.3792},
            "timestamp": "2026-01-31T12:00:00Z",
        })
    };
    json!({"readings": (0..count).map(reading).collect::<Vec<_>>()})
}

#[tokio::test]
async fn an_investor_has_one_wallet_whoever_asks_and_its_address_is_shown() {
    let world = World::start().await;
    let first = world.api.post("/v1/wallets", "w-1", &investor("a@example.com")).await.accepted();
    let again = world.api.post("/v1/wallets", "w-2", &investor("a@example.com")).await.accepted();
    let other = world.api.post("/v1/wallets", "w-3", &investor("b@example.com")).await.accepted();
    world.run_until_idle().await;
    let mut addresses = Vec::new();
    for id in [first, again, other] {
        let shown = world.api.get(&format!("/v1/wallets/{id}")).await.body;
        assert_eq!(shown["state"], "settled", "{shown}");
        addresses.push(shown["result"]["address"].as_str().unwrap().to_owned());
    }
    assert_eq!(addresses[0], addresses[1]);
    assert_ne!(addresses[0], addresses[2]);
    world.finish().await;
}

#[tokio::test]
async fn a_wallet_whose_answer_was_lost_is_asked_for_again_and_is_the_same() {
    let world = World::start().await;
    for (key, fault) in [("w-1", "reset_after_effect"), ("w-2", "effect_then_timeout")] {
        world.providers.plan(&world.providers.trovotech, "/wallet/create", 1, json!(fault)).await;
        let id = world.api.post("/v1/wallets", key, &investor("a@example.com")).await.accepted();
        world.run_until_idle().await;
        world.assert_state(id, "settled").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_batch_of_readings_arrives_even_if_the_provider_fails_in_the_middle_of_it() {
    let world = World::start().await;
    let id = world.api.post("/v1/telemetry", "t-1", &readings(5)).await.accepted();
    world.run_until_idle().await;
    let shown = world.api.get(&format!("/v1/telemetry/{id}")).await.body;
    assert_eq!((&shown["state"], &shown["readings"]), (&json!("settled"), &json!(5)), "{shown}");
    assert_eq!(shown["result"]["uris"].as_array().unwrap().len(), 5);
    world.providers.plan(&world.providers.trovotech, "/telemetry/sync", 1, json!({"status": 503})).await;
    let id = world.api.post("/v1/telemetry", "t-2", &readings(3)).await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    world.finish().await;
}

#[tokio::test]
async fn wrong_fields_are_named_with_their_place() {
    let world = World::start().await;
    let answer =
        world.api.post("/v1/wallets", "w", &json!({"investor_email": "nobody", "kyc_verified": 1})).await;
    assert_eq!(answer.status, 422);
    assert_eq!(fields(&answer.body), ["investor_email", "investor_name", "kyc_verified"]);
    let mut batch = readings(2);
    batch["readings"][1]["battery_level"] = json!(101);
    batch["readings"][1]["timestamp"] = json!("yesterday");
    let answer = world.api.post("/v1/telemetry", "t", &batch).await;
    assert_eq!(fields(&answer.body), ["readings[1].battery_level", "readings[1].timestamp"]);
    let answer = world.api.post("/v1/telemetry", "t", &readings(101)).await;
    assert_eq!(fields(&answer.body), ["readings"]);
    world.finish().await;
}

fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{problem}"));
    let mut fields: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    fields
}
