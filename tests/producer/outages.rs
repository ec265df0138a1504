//! Stores that are away: the producer stays up, says so, and recovers by itself.

use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer, Signal};
use payfleet_producer::{Config, ServeError, serve};
use payfleet_queue::Durability;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::intake::{Intake, config, payout};

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
    assert_eq!(intake.get("/readyz").await.body, json!({"status": "ready", "warnings": []}));
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
async fn a_redis_that_evicts_is_refused_at_the_start_and_not_ready_later() {
    let intake = Intake::start().await;
    assert_eq!(intake.get("/readyz").await.status, 200);
    let evict = "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n";
    let mut redis = TcpStream::connect(("127.0.0.1", intake.redis.port())).await.unwrap();
    redis.write_all(evict.as_bytes()).await.unwrap();
    let mut ok = [0; 5];
    redis.read_exact(&mut ok).await.unwrap();
    assert_eq!(&ok, b"+OK\r\n");

    let answer = intake.get("/readyz").await;
    answer.assert_problem(503, "unavailable");
    assert!(answer.body["detail"].as_str().unwrap().contains("noeviction"), "{answer:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let again = serve(config(&intake.redis.url()), listener, CancellationToken::new()).await;
    assert!(matches!(again, Err(ServeError::UnsafeRedis(_))), "{again:?}");
    intake.stop().await;
}

#[tokio::test]
async fn where_a_replica_is_asked_for_nothing_counts_as_accepted_without_it() {
    let one_replica = |config: &mut Config| {
        config.durability = Durability::Replicas { count: 1, timeout: Duration::from_millis(100) };
    };
    let intake = Intake::start_with(RedisOptions::default(), one_replica).await;
    intake.post("/v1/payouts", "1", &payout()).await.assert_problem(503, "unavailable");

    let of = format!("127.0.0.1 {}", intake.redis.port());
    let settings = vec![("replicaof".to_owned(), of)];
    let replica = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    let mut answer = intake.post("/v1/payouts", "1", &payout()).await;
    while answer.status == 503 {
        answer = intake.post("/v1/payouts", "1", &payout()).await;
    }
    assert_eq!((answer.status, intake.jobs().await), (202, 1), "{answer:?}");
    drop(replica);
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
