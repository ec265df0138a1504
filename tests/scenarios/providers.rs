//! How it stands with the providers: connection tests, the secrets of webhooks, and their log.

use payfleet_core::Timestamp;
use payfleet_core::provider::Provider;
use payfleet_queue::limits::{BreakerPolicy, ForcedBreaker};
use payfleet_store::UnhandledWebhook;
use payfleet_tests::world::World;
use payfleet_worker::jobs;
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

/// The moment itself is after `received_from`, and not before `received_to`.
#[tokio::test]
async fn the_log_shows_what_reached_us_from_one_moment_to_another() {
    const FIRST_MS: i64 = 1_790_000_000_000;
    let world = World::start().await;
    let hours = [0, 1, 2, 3];
    let received = hours.map(|hour| UnhandledWebhook {
        provider: Provider::TrovoTech,
        event_key: format!("hour-{hour}"),
        received_at: Timestamp::from_unix_ms(FIRST_MS + hour * 3_600_000),
        body: br#"{"event_type":"wallet.created","data":{"wallet_address":"G"}}"#.to_vec(),
        event_type: "wallet.created".to_owned(),
    });
    world.queue.enqueue(&received.map(|one| jobs::webhook(&one).unwrap())).await.unwrap();
    world.run_until_idle().await;
    let all = world.api.get("/v1/webhooks").await.body;
    let moment = |hour: usize| {
        let key = format!("hour-{hour}");
        let all = all["webhooks"].as_array().unwrap();
        all.iter().find(|one| one["event_key"] == json!(key)).unwrap()["received_at"].as_str().unwrap()
    };
    for (query, shown) in [
        (format!("received_from={}", moment(2)), vec!["hour-2", "hour-3"]),
        (format!("received_to={}", moment(2)), vec!["hour-0", "hour-1"]),
        (format!("received_from={}&received_to={}", moment(1), moment(3)), vec!["hour-1", "hour-2"]),
        (format!("received_from={}&received_to={}&provider=stripe", moment(1), moment(3)), vec![]),
    ] {
        let found = world.api.get(&format!("/v1/webhooks?{query}")).await.body;
        let found = found["webhooks"].as_array().unwrap_or_else(|| panic!("{query}: {found}"));
        let mut keys: Vec<&str> = found.iter().map(|one| one["event_key"].as_str().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, shown, "{query}");
    }
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
