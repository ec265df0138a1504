//! How it stands with the providers: connection tests, the secrets of webhooks, and their log.

use payfleet_core::provider::Provider;
use payfleet_queue::limits::{BreakerPolicy, ForcedBreaker};
use payfleet_tests::world::World;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// What the test that was just asked for has found.
async fn tested(world: &World, provider: &str) -> Value {
    let path = format!("/v1/providers/{provider}");
    let asked = world.api.post(&format!("{path}/test"), "unused", &json!({})).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    assert_eq!(asked.body["status_url"], json!(path));
    world.run_until_idle().await;
    let test = world.api.get(&path).await.body["last_test"].clone();
    assert_eq!(test["job_id"], asked.body["job_id"], "{test}");
    test
}

#[tokio::test]
async fn a_worker_tests_the_connection_to_each_provider_with_its_own_credentials() {
    let world = World::start().await;
    for provider in Provider::ALL {
        let test = tested(&world, provider.as_str()).await;
        assert_eq!((&test["works"], &test["http_status"]), (&json!(true), &json!(200)), "{provider}: {test}");
        assert!(test["duration_ms"].is_u64() && test["worker"] == json!("worker-0"), "{test}");
    }
    let printed = world.payfleet(&["providers", "test", "stripe"]).await;
    assert!(printed.starts_with("stripe: works, 200 in "), "{printed}");
    let refused = json!({"status": 503});
    world.providers.plan(&world.providers.heleket, "/v1/payout/services", 1, refused).await;
    let test = tested(&world, "heleket").await;
    assert_eq!((&test["works"], &test["http_status"]), (&json!(false), &json!(503)), "{test}");
    assert_eq!(test["code"], json!("http_503"), "{test}");
    world.finish().await;
}

#[tokio::test]
async fn a_connection_test_is_held_back_where_any_call_would_be() {
    let world = World::start().await;
    tested(&world, "tatum").await;
    let calls = world.providers.calls(&world.providers.tatum).await;
    let breaker = world.queue.breaker("tatum:default:reads", BreakerPolicy::default()).unwrap();
    breaker.force(Some(ForcedBreaker::Open), "a drill").await.unwrap();
    let test = tested(&world, "tatum").await;
    assert_eq!((&test["works"], &test["code"]), (&json!(false), &json!("not_now")), "{test}");
    assert_eq!(world.providers.calls(&world.providers.tatum).await, calls, "nothing was sent");
    world.finish().await;
}

#[tokio::test]
async fn webhooks_are_logged_filtered_and_shown_without_what_names_people() {
    let world = World::start().await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let event = json!({
        "id": "evt_1", "type": "customer.created",
        "data": {"object": {"id": "cus_1", "object": "customer", "email": "payer@example.com", "balance": 7}},
    });
    world.providers.emit(&world.providers.stripe, event).await;
    world.run_until_idle().await;

    let all = world.api.get("/v1/webhooks").await.body;
    let count = all["webhooks"].as_array().unwrap().len();
    let of_heleket = world.api.get("/v1/webhooks?provider=heleket&outcome=processed").await.body;
    let of_heleket = of_heleket["webhooks"].as_array().unwrap();
    assert!(count > of_heleket.len() && !of_heleket.is_empty(), "{all}");
    assert!(of_heleket.iter().all(|one| one["operation_id"] == json!(id.to_string())), "{of_heleket:?}");
    let page = world.api.get("/v1/webhooks?limit=1").await.body;
    let rest = world.api.get(&format!("/v1/webhooks?cursor={}", page["next_cursor"])).await.body;
    assert_eq!(rest["webhooks"].as_array().unwrap().len(), count - 1, "{rest}");

    let ignored = world.api.get("/v1/webhooks?event_type=customer.created&outcome=ignored").await.body;
    let number = &ignored["webhooks"][0]["id"];
    let shown = world.api.get(&format!("/v1/webhooks/{number}")).await.body;
    assert_eq!(shown["body"]["data"]["object"]["id"], json!("cus_1"), "{shown}");
    assert!(!shown.to_string().contains("payer@example.com"), "{shown}");
    let printed = world.payfleet(&["events", "show", &number.to_string()]).await;
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["body"], shown["body"], "{printed}");
    let listed = world.payfleet(&["events", "list", "--provider", "stripe", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()[0]["id"], *number, "{listed}");
    world.finish().await;
}

#[tokio::test]
async fn a_secret_is_as_old_as_the_first_event_that_was_signed_with_it() {
    let world = World::start().await;
    world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let health = world.api.get("/v1/providers/heleket").await.body;
    let webhooks = &health["webhooks"];
    assert_eq!((&webhooks["is_configured"], &webhooks["failed_last_day"]), (&json!(true), &json!(0)));
    assert!(webhooks["last_event_at"].is_string(), "{health}");
    let secrets = webhooks["secrets"].as_array().unwrap();
    let used: Vec<&Value> = secrets.iter().filter(|one| one["first_used_at"].is_string()).collect();
    assert_eq!(
        (secrets.len(), used.len()),
        (3, 1),
        "the fleet knows three and Heleket signs with one: {health}"
    );
    let printed = world.payfleet(&["providers", "list", "--json"]).await;
    let printed: Vec<Value> = serde_json::from_str(&printed).unwrap();
    let heleket = printed.iter().find(|one| one["provider"] == json!("heleket")).unwrap();
    assert_eq!(heleket["secrets"][0]["fingerprint"], used[0]["fingerprint"], "{heleket}");
    world.finish().await;
}
