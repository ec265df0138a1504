//! The sandboxes' webhooks, taken by the same verification as the real ones.

use payfleet_core::Timestamp;
use payfleet_core::provider::Provider;
use payfleet_providers::webhook::{Delivery, Rejected, Secrets, Verified, parse, verify};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::bench::{Bench, SETTLE_MS, START_MS, accepted, key, mint, payout};

/// An HTTP server of one trick: takes a request and answers with a status.
pub(crate) struct Receiver(TcpListener);

pub(crate) struct Received {
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Receiver {
    pub(crate) async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) async fn start(bench: &Bench) -> Self {
        let receiver = Self::bind().await;
        bench.sandbox.deliver_to(&receiver.url());
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.0.local_addr().unwrap())
    }

    pub(crate) async fn take(&self, status: &str) -> Received {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut bytes = Vec::new();
        let (head, start) = loop {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request ended early");
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break (String::from_utf8(bytes[..end].to_vec()).unwrap(), end + 4);
            }
        };
        let received = Received { head, body: Vec::new() };
        let length: usize = received.header("content-length").unwrap().parse().unwrap();
        while bytes.len() < start + length {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the body ended early");
        }
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        Received { body: bytes[start..].to_vec(), ..received }
    }
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn verify(&self, provider: Provider, secret: &str) -> Result<Verified, Rejected> {
        let header = |name: &str| self.header(name).map(str::as_bytes);
        let now = Timestamp::from_unix_ms(START_MS);
        let delivery = Delivery { provider, header: &header, body: &self.body, now };
        verify(delivery, &Secrets::new(vec![secret.into()]))
    }
}

#[tokio::test]
async fn every_sandbox_signs_as_its_provider_does() {
    let legacy =
        r#"{"subscriptionType":"ADDRESS_EVENT","chain":"tron","txId":"t","address":"a","blockNumber":1}"#;
    for (provider, asked, event_key) in [
        (Provider::Stripe, r#"{"id":"evt_1","type":"payout.paid","data":{"object":{"id":"po_1"}}}"#, "evt_1"),
        (Provider::Tatum, legacy, "ADDRESS_EVENT|tron|t|a||||confirmed"),
        (Provider::Heleket, r#"{"type":"payout","uuid":"u","status":"paid","url":"https://a/b"}"#, "u|paid"),
        (
            Provider::TrovoTech,
            r#"{"event_type":"wallet.created","data":{"wallet_address":"G1"}}"#,
            "wallet.created|G1|",
        ),
    ] {
        let bench = Bench::start(provider).await;
        let receiver = Receiver::start(&bench).await;
        bench.tell("_emit", asked).await;
        let received = receiver.take("200 OK").await;
        assert_eq!(received.verify(provider, "sandbox-secret").unwrap().event_key, event_key);
        assert_eq!(received.verify(provider, "another"), Err(Rejected::BadSignature), "{provider}");
    }
}

#[tokio::test]
async fn stripes_sandbox_makes_a_whole_event_of_an_object() {
    let bench = Bench::start(Provider::Stripe).await;
    let receiver = Receiver::start(&bench).await;
    let asked = r#"{"type":"payout.failed","account":"acct_1","object":{"id":"po_1","object":"payout"}}"#;
    bench.tell("_emit", asked).await;
    let received = receiver.take("200 OK").await;
    let event = parse(Provider::Stripe, &received.body).unwrap();
    assert_eq!(event.event_type, "payout.failed");
    assert_eq!(event.account.as_deref(), Some("acct_1"));
    assert_eq!(event.provider_ref.as_deref(), Some("po_1"));
    assert_eq!(event.livemode, Some(false));
}

#[tokio::test]
async fn a_payouts_progress_is_told_until_it_is_taken() {
    let bench = Bench::start(Provider::Heleket).await;
    let receiver = Receiver::start(&bench).await;
    let key = key(Provider::Heleket, "a");
    let report = accepted(bench.client().call(&payout("2"), &key).await);
    bench.clock.advance_ms(SETTLE_MS / 2);
    let refused = receiver.take("503 Service Unavailable").await;
    let taken = receiver.take("200 OK").await;
    assert_eq!(refused.body, taken.body);
    let verified = taken.verify(Provider::Heleket, "sandbox-secret").unwrap();
    assert_eq!(verified.event_key, format!("{}|check", report.provider_ref));

    bench.clock.advance_ms(SETTLE_MS / 2);
    let paid = receiver.take("200 OK").await;
    paid.verify(Provider::Heleket, "sandbox-secret").unwrap();
    let event = parse(Provider::Heleket, &paid.body).unwrap();
    assert_eq!(event.our_reference, Some(bench.client().reference(&key)));
    let told = event.report.unwrap();
    assert_eq!(told.progress, payfleet_core::provider::Progress::Succeeded);
    assert_eq!((told.money, told.network.as_deref()), (report.money, Some("TRON")));
}

#[tokio::test]
async fn what_was_not_told_before_a_crash_is_told_after_it() {
    let bench = Bench::start(Provider::Heleket).await;
    accepted(bench.client().call(&payout("2"), &key(Provider::Heleket, "a")).await);
    bench.clock.advance_ms(SETTLE_MS);
    let bench = bench.restart().await;
    let receiver = Receiver::start(&bench).await;
    let received = receiver.take("200 OK").await;
    assert!(received.verify(Provider::Heleket, "sandbox-secret").unwrap().event_key.ends_with("|paid"));
}

#[tokio::test]
async fn a_minted_token_is_told_once_it_is_in_the_ledger() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let receiver = Receiver::start(&bench).await;
    let report = accepted(bench.client().call(&mint("2"), &key(Provider::TrovoTech, "a")).await);
    bench.clock.advance_ms(SETTLE_MS);
    let received = receiver.take("200 OK").await;
    let verified = received.verify(Provider::TrovoTech, "sandbox-secret").unwrap();
    assert_eq!(verified.event_type, "token.minted");
    let told = parse(Provider::TrovoTech, &received.body).unwrap().report.unwrap();
    assert_eq!((told.provider_ref, told.tx_hash), (report.provider_ref, report.tx_hash));
}
