//! Stores that are away: the producer stays up, says so, and recovers by itself.

use payfleet::servers::{RedisOptions, Signal};
use serde_json::json;

use crate::intake::{Intake, payout};

#[tokio::test]
async fn without_redis_everything_is_503_and_after_its_return_everything_works() {
    let mut intake = Intake::start().await;
    assert_eq!(intake.post("/v1/payouts", "before", &payout()).await.status, 202);
    intake.redis.kill().await;

    intake.post("/v1/payouts", "during", &payout()).await.assert_problem(503, "unavailable");
    let event = r#"{"event_type":"payout.completed","data":{"payout_id":"PO_1","tx_hash":"a"}}"#;
    intake.deliver_trovo("trovo-new", event).await.assert_problem(503, "unavailable");
    intake.get("/readyz").await.assert_problem(503, "unavailable");
    assert_eq!(intake.get("/healthz").await.status, 200);

    intake.redis.restart().await.unwrap();
    let mut answer = intake.post("/v1/payouts", "during", &payout()).await;
    while answer.status == 503 {
        answer = intake.post("/v1/payouts", "during", &payout()).await;
    }
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(intake.get("/readyz").await.body, json!({"status": "ready"}));
    assert_eq!(intake.jobs().await, 2, "what was accepted before is still there");
    intake.stop().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_a_503_as_well() {
    let intake = Intake::start().await;
    intake.redis.signal(Signal::STOP);
    intake.post("/v1/payouts", "1", &payout()).await.assert_problem(503, "unavailable");
    intake.redis.signal(Signal::CONT);
    let mut answer = intake.post("/v1/payouts", "1", &payout()).await;
    while answer.status == 503 {
        answer = intake.post("/v1/payouts", "1", &payout()).await;
    }
    assert_eq!((answer.status, intake.jobs().await), (202, 1));
    intake.stop().await;
}

#[tokio::test]
async fn a_redis_without_memory_is_a_503_and_nothing_is_enqueued() {
    let settings = vec![("maxmemory".to_owned(), "1".to_owned())];
    let intake = Intake::start_with(RedisOptions { settings, ..RedisOptions::default() }, |_| {}).await;
    intake.post("/v1/payouts", "1", &payout()).await.assert_problem(503, "queue-full");
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn without_postgres_requests_are_accepted_and_shown_from_the_queue() {
    let intake = Intake::start().await;
    let accepted = intake.post("/v1/payouts", "1", &payout()).await;
    let shown = intake.get(accepted.body["status_url"].as_str().unwrap()).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!(shown.body["state"], "queued");
    assert_eq!(shown.body["operation_id"], accepted.body["operation_id"]);
    assert_eq!(shown.body["job"]["id"], accepted.body["job_id"]);

    let unknown = intake.get("/v1/payouts/5a88b422-6dee-86f7-a3ca-fd294a9b7141").await;
    unknown.assert_problem(503, "unavailable");
    intake.stop().await;
}
