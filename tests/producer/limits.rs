//! Bodies that are too large or too slow, panics, and the way out.

use std::sync::Arc;
use std::time::Duration;

use payfleet::servers::RedisOptions;
use payfleet_core::{Clock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::intake::{Answer, Intake, TOKEN, payout, with};

/// The longest body, and one byte more.
const LONGEST: usize = 192_000;

/// A payout padded with spaces to `length` bytes.
fn padded(length: usize) -> String {
    let mut body = payout().to_string();
    body.push_str(&" ".repeat(length - body.len()));
    body
}

impl Intake {
    async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("Idempotency-Key", "key");
        let request = request.header("Content-Type", "application/json").body(body);
        Answer::of(request.send().await.unwrap()).await
    }
}

#[tokio::test]
async fn a_body_over_the_cap_is_413_and_the_sender_can_read_it() {
    let intake = Intake::start().await;
    for length in [LONGEST + 1, 256 * 1024 + 1, 1_000_000, 20_000_000] {
        let answer = intake.post_text("/v1/payouts", padded(length)).await;
        answer.assert_problem(413, "body-too-large");
    }
    intake.post_text("/webhooks/trovotech", padded(LONGEST + 1)).await.assert_problem(413, "body-too-large");
    assert_eq!(intake.jobs().await, 0);
    assert_eq!(intake.post_text("/v1/payouts", padded(LONGEST)).await.status, 202);
    intake.stop().await;
}

#[tokio::test]
async fn a_sender_that_listens_only_once_it_has_sent_everything_reads_the_413_too() {
    let intake = Intake::start().await;
    let mut stream = TcpStream::connect(&intake.address).await.unwrap();
    let head = "POST /v1/payouts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..10 {
        stream.write_all(&[b' '; 100_000]).await.unwrap();
        // Meanwhile the producer has time to hang up, if it would.
        assert_eq!(intake.get("/healthz").await.status, 200);
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    intake.stop().await;
}

#[tokio::test]
async fn the_longest_webhook_fits_into_its_job() {
    let intake = Intake::start().await;
    let frame = r#"{"event_type":"payout.completed","data":{"payout_id":"PO_1","tx_hash":""}}"#;
    let body = frame.replace("\"\"", &format!("\"{}\"", "a".repeat(LONGEST - frame.len())));
    assert_eq!(body.len(), LONGEST);
    let answer = intake.deliver_trovo("trovo-new", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let short = |config: &mut payfleet_producer::Config| config.request_timeout = Duration::from_millis(200);
    let intake = Intake::start_with(RedisOptions::default(), short).await;
    let mut stream = TcpStream::connect(&intake.address).await.unwrap();
    let head = format!(
        "POST /v1/payouts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: k\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"amount\":"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("urn:payfleet:problem:slow-body"), "{answer}");
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_request_that_is_not_http_harms_nobody() {
    let intake = Intake::start().await;
    let mut stream = TcpStream::connect(&intake.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01\x02\x00 hello\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "));
    assert_eq!(intake.post("/v1/payouts", "key", &payout()).await.status, 202);
    intake.stop().await;
}

#[tokio::test]
async fn deeply_nested_json_is_refused_like_any_other() {
    let intake = Intake::start().await;
    let deep: String = "[".repeat(90_000) + &"]".repeat(90_000);
    let body = with(payout(), "memo", json!("?")).to_string().replace("\"?\"", &deep);
    let answer = intake.post_text("/v1/payouts", body).await;
    assert!(answer.status == 400 || answer.status == 422, "{answer:?}");
    intake.stop().await;
}

struct Broken;

impl Clock for Broken {
    fn now(&self) -> Timestamp {
        panic!("the clock is broken")
    }
}

#[tokio::test]
async fn a_panic_is_a_500_problem_and_the_next_request_is_served() {
    let broken = |config: &mut payfleet_producer::Config| config.clock = Arc::new(Broken);
    let intake = Intake::start_with(RedisOptions::default(), broken).await;
    intake.deliver_trovo("trovo-new", "{}").await.assert_problem(500, "internal");
    assert_eq!(intake.post("/v1/payouts", "key", &payout()).await.status, 202);
    intake.stop().await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_producer_stops() {
    let intake = Intake::start().await;
    let body = payout().to_string();
    let head = format!(
        "POST /v1/payouts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: k\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(&intake.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // Asked for the body: the request is under way.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"), "{go_on:?}");
    intake.stop_soon();
    intake.until_refusing().await;
    assert!(!intake.has_ended(), "it waits for the request under way");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(serde_json::from_str::<Value>(body).unwrap()["operation_id"].is_string());
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}
