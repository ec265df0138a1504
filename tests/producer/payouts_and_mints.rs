//! What is accepted, and what a repetition is answered.

use payfleet_core::job::Origin;
use payfleet_core::kinds::{Advance, JobKind, Request};
use payfleet_core::{JobId, OperationId, TenantId};
use reqwest::Method;
use serde_json::json;

use crate::intake::{Answer, Intake, OTHER_TOKEN, mint, payout, with};

#[tokio::test]
async fn a_payout_is_answered_202_with_ids_derived_from_its_key() {
    let intake = Intake::start().await;
    let answer = intake.post("/v1/payouts", "order-1", &payout()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = OperationId::derive(&TenantId::default(), "/v1/payouts", "order-1");
    let status_url = format!("/v1/payouts/{id}");
    let want = json!({"job_id": JobId::first_of(id), "operation_id": id, "status_url": status_url});
    assert_eq!(answer.body, want);
    assert_eq!(answer.header("location"), Some(status_url.as_str()));
    assert_eq!(answer.header("idempotent-replayed"), None);
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}

#[tokio::test]
async fn the_job_carries_the_request_and_its_facts() {
    let intake = Intake::start().await;
    let answer = intake.post("/v1/mints", "mint-1", &mint()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let job = intake.find(JobKind::Mint, answer.body["job_id"].as_str().unwrap()).await.unwrap();
    let envelope = job.job.envelope;
    assert_eq!(envelope.kind, "mint");
    assert_eq!(envelope.origin, Origin::Api);
    assert_eq!(envelope.facts["amount"], "6250");
    assert_eq!(envelope.facts["asset"], "USD");
    assert_eq!(envelope.facts["provider"], "trovotech");
    assert_eq!(envelope.facts["operation_id"], answer.body["operation_id"].as_str().unwrap());
    let advance: Advance = serde_json::from_str(envelope.payload.get()).unwrap();
    let Some(Request::Mint(share)) = advance.request.map(|new| new.request) else { panic!("no mint") };
    assert_eq!(share.percent.value().to_string(), "12.5");
    intake.stop().await;
}

#[tokio::test]
async fn the_job_goes_on_with_the_callers_trace_or_begins_one() {
    let intake = Intake::start().await;
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let mut trace_ids = Vec::new();
    for traceparent in [format!("00-{trace_id}-b7ad6b7169203331-01"), "garbage".to_owned()] {
        let request = intake.request(Method::POST, "/v1/payouts").header("Idempotency-Key", &traceparent);
        let request = request.header("traceparent", &traceparent).json(&payout());
        let answer = Answer::of(request.send().await.unwrap()).await;
        let job = intake.find(JobKind::Payout, answer.body["job_id"].as_str().unwrap()).await.unwrap().job;
        let sent = job.envelope.trace.traceparent.expect("every job has a trace");
        assert_ne!(sent, traceparent, "the job's parent is our span, not the caller's");
        trace_ids.push(sent.split('-').nth(1).unwrap().to_owned());
    }
    assert_eq!(trace_ids[0], trace_id);
    assert_ne!(trace_ids[1], trace_id);
    intake.stop().await;
}

#[tokio::test]
async fn the_same_key_and_request_is_one_job_however_often_and_however_it_is_written() {
    let intake = Intake::start().await;
    let first = intake.post("/v1/payouts", "order-1", &payout()).await;
    for amount in ["15.5", "15.50", "015.5"] {
        let again = intake.post("/v1/payouts", "order-1", &with(payout(), "amount", json!(amount))).await;
        assert_eq!(again.status, 202, "{again:?}");
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}

#[tokio::test]
async fn a_hundred_repetitions_at_once_are_one_job() {
    let intake = Intake::start().await;
    let body = payout();
    let posts = (0..100).map(|_| intake.post("/v1/payouts", "order-1", &body));
    let answers = futures::future::join_all(posts).await;
    let first_ones = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count();
    assert!(answers.iter().all(|answer| answer.status == 202), "{answers:?}");
    assert_eq!((first_ones, intake.jobs().await), (1, 1));
    intake.stop().await;
}

#[tokio::test]
async fn the_same_key_with_another_body_is_a_conflict() {
    let intake = Intake::start().await;
    intake.post("/v1/payouts", "order-1", &payout()).await;
    let other = with(payout(), "amount", json!("15.51"));
    intake.post("/v1/payouts", "order-1", &other).await.assert_problem(409, "idempotency-conflict");
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}

#[tokio::test]
async fn another_tenant_or_endpoint_may_use_the_same_key() {
    let intake = Intake::start().await;
    let mut ids = vec![
        intake.post("/v1/payouts", "1", &payout()).await.body["operation_id"].to_string(),
        intake.post("/v1/mints", "1", &mint()).await.body["operation_id"].to_string(),
    ];
    let request = intake.bare(Method::POST, "/v1/payouts").bearer_auth(OTHER_TOKEN);
    let answer =
        Answer::of(request.header("Idempotency-Key", "1").json(&payout()).send().await.unwrap()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    ids.push(answer.body["operation_id"].to_string());
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), intake.jobs().await), (3, 3));
    intake.stop().await;
}

#[tokio::test]
async fn the_same_key_names_the_same_operation_after_redis_lost_everything() {
    let mut intake = Intake::start().await;
    let first = intake.post("/v1/payouts", "order-1", &payout()).await;
    intake.redis.kill().await;
    std::fs::remove_dir_all(intake.redis.dir().join("appendonlydir")).unwrap();
    intake.redis.restart().await.unwrap();
    let again = intake.post("/v1/payouts", "order-1", &payout()).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(again.header("idempotent-replayed"), None);
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}
