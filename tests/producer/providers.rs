//! How it stands with providers, and the log of their events: whose it is, and what may be asked.

use payfleet::servers::RedisOptions;
use payfleet_core::Clock;
use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::control::Control;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::provider::Provider;
use payfleet_process::SystemClock;
use payfleet_store::{Store, WebhookStatus};
use payfleet_tests::servers;
use reqwest::Method;
use serde_json::json;

use crate::intake::{Answer, Intake, OTHER_TOKEN};

async fn start() -> (Intake, Store) {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    (Intake::start_with(RedisOptions::default(), |config| config.database_url = url.into()).await, store)
}

/// A webhook of TrovoTech's that a person must look at; its number.
async fn failed(store: &Store, body: &[u8]) -> i64 {
    let event = WebhookEvent {
        provider: Provider::TrovoTech,
        event_key: "PO_1".to_owned(),
        body_base64: String::new(),
        received_at: SystemClock.now(),
        secret: None,
    };
    let id = store.receive_webhook(&event, "payout.completed", body).await.unwrap().id;
    let status = WebhookStatus::Failed { detail: "no operation of ours matches the event".to_owned() };
    store.mark_webhook(id, &status).await.unwrap();
    id
}

#[tokio::test]
async fn a_provider_is_shown_with_what_failed_and_the_secrets_that_are_taken() {
    let (intake, store) = start().await;
    failed(&store, br#"{"event_type":"payout.completed"}"#).await;
    let all = intake.get("/v1/providers").await;
    let names: Vec<&str> = all.body["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["provider"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["stripe", "tatum", "heleket", "trovotech"]);
    let one = intake.get("/v1/providers/trovotech").await;
    assert_eq!(one.body, all.body["providers"][3], "the same alone as on the list");
    let webhooks = &one.body["webhooks"];
    assert_eq!((&webhooks["is_configured"], &webhooks["failed_last_day"]), (&json!(true), &json!(1)));
    let secrets = webhooks["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 2, "{one:?}");
    assert_ne!(secrets[0]["fingerprint"], secrets[1]["fingerprint"]);
    assert!(!one.body.to_string().contains("trovo-"), "no secret is shown: {one:?}");
    let none = intake.get("/v1/providers/tatum").await;
    assert_eq!(none.body["webhooks"]["is_configured"], json!(false), "{none:?}");
    intake.stop().await;
}

#[tokio::test]
async fn a_test_is_one_job_for_the_workers() {
    let (intake, _store) = start().await;
    let request = intake.request(Method::POST, "/v1/providers/stripe/test");
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(
        (answer.status, &answer.body["status_url"]),
        (202, &json!("/v1/providers/stripe")),
        "{answer:?}"
    );
    let job = intake.find(JobKind::Control, answer.body["job_id"].as_str().unwrap()).await.unwrap();
    let control: Control = serde_json::from_str(job.job.envelope.payload.get()).unwrap();
    assert_eq!(control, Control::TestConnection { provider: Provider::Stripe });
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}

#[tokio::test]
async fn providers_and_their_events_are_the_deployments_own_and_bad_parameters_are_named() {
    let (intake, store) = start().await;
    let id = failed(&store, b"{}").await;
    for (method, path, status) in [
        (Method::GET, "/v1/providers".to_owned(), 200),
        (Method::GET, "/v1/providers/trovotech".to_owned(), 404),
        (Method::POST, "/v1/providers/trovotech/test".to_owned(), 404),
        (Method::GET, "/v1/webhooks".to_owned(), 200),
        (Method::GET, format!("/v1/webhooks/{id}"), 404),
    ] {
        let request = intake.bare(method, &path).bearer_auth(OTHER_TOKEN);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(!answer.body.to_string().contains("PO_1"), "{answer:?}");
    }
    assert_eq!(intake.jobs().await, 0, "nothing was tested for a stranger");
    for path in
        ["/v1/providers/paypal", "/v1/webhooks/0", "/v1/webhooks/one", "/v1/webhooks/99999999999999999999"]
    {
        intake.get(path).await.assert_problem(404, "not-found");
    }
    let request = intake.request(Method::POST, "/v1/providers/paypal/test");
    Answer::of(request.send().await.unwrap()).await.assert_problem(404, "not-found");
    for (query, field) in [
        ("provider=paypal", "provider"),
        ("outcome=lost", "outcome"),
        ("event_type=", "event_type"),
        ("received_from=yesterday", "received_from"),
        ("received_from=2026-05-02T00:00:00Z&received_to=2026-05-01T00:00:00Z", "received_to"),
        ("limit=201", "limit"),
        ("cursor=0", "cursor"),
        ("status=failed", "status"),
    ] {
        let answer = intake.get(&format!("/v1/webhooks?{query}")).await;
        answer.assert_problem(422, "invalid-fields");
        assert_eq!(answer.fields(), [field], "{query}");
    }
    intake.stop().await;
}
