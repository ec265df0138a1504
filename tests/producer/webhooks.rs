//! Webhooks: verified over their raw bytes or refused, enqueued once, never parsed here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::provider::Provider;
use reqwest::Method;
use serde_json::json;
use sha2::Sha256;

use crate::intake::{Answer, Intake, NOW_S};

const TROVO: &str = r#"{"event_type":"payout.completed","data":{"payout_id":"PO_1","tx_hash":"ab12"}}"#;
const STRIPE: &str = r#"{"id":"evt_1","object":"event","type":"payout.paid","livemode":false,
    "data":{"object":{"id":"po_1","object":"payout"}}}"#;
const HELEKET: &str =
    r#"{"amount":"15","currency":"USD","order_id":"1","sign":"27241b4fe4019e6c19622ce88888603c"}"#;

fn hmac_hex(secret: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn stripe_header(secret: &str, at_s: i64) -> String {
    format!("t={at_s},v1={}", hmac_hex(secret, &format!("{at_s}.{STRIPE}")))
}

impl Intake {
    async fn deliver(&self, provider: &str, header: Option<(&str, String)>, body: &str) -> Answer {
        let mut request = self.bare(Method::POST, &format!("/webhooks/{provider}")).body(body.to_owned());
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn deliver_trovo(&self, secret: &str, body: &str) -> Answer {
        self.deliver("trovotech", Some(("X-TrovoTech-Signature", hmac_hex(secret, body))), body).await
    }
}

fn assert_received(answer: &Answer) {
    assert_eq!((answer.status, &answer.body), (200, &json!({"received": true})), "{answer:?}");
}

#[tokio::test]
async fn an_event_is_enqueued_with_its_raw_bytes_and_its_repetitions_are_not() {
    let intake = Intake::start().await;
    for _ in 0..3 {
        assert_received(&intake.deliver_trovo("trovo-new", TROVO).await);
    }
    assert_eq!(intake.jobs().await, 1);
    let queue = JobKind::Webhook.queue().unwrap();
    let job = intake.queue.take(&queue, "w", 1).await.unwrap().jobs.remove(0).job;
    let event: WebhookEvent = serde_json::from_str(job.envelope.payload.get()).unwrap();
    assert_eq!(event.provider, Provider::TrovoTech);
    assert_eq!(STANDARD.decode(event.body_base64).unwrap(), TROVO.as_bytes());
    assert_eq!(event.received_at.unix_s(), NOW_S);
    intake.stop().await;
}

#[tokio::test]
async fn a_hundred_deliveries_of_one_event_at_once_are_one_job() {
    let intake = Intake::start().await;
    let deliveries = (0..100).map(|_| intake.deliver_trovo("trovo-new", TROVO));
    for answer in futures::future::join_all(deliveries).await {
        assert_received(&answer);
    }
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}

#[tokio::test]
async fn another_body_under_the_same_event_is_a_job_of_its_own() {
    let intake = Intake::start().await;
    let variant = TROVO.replace("\"data\"", " \"data\"");
    assert_received(&intake.deliver_trovo("trovo-new", TROVO).await);
    assert_received(&intake.deliver_trovo("trovo-new", &variant).await);
    assert_eq!(intake.jobs().await, 2);
    intake.stop().await;
}

#[tokio::test]
async fn every_live_secret_is_accepted_and_no_other() {
    let intake = Intake::start().await;
    assert_received(&intake.deliver_trovo("trovo-new", TROVO).await);
    assert_received(&intake.deliver_trovo("trovo-old", &TROVO.replace("PO_1", "PO_2")).await);
    for (secret, name) in [("whsec_one", "Stripe-Signature"), ("whsec_connect", "Stripe-Signature")] {
        let header = Some((name, stripe_header(secret, NOW_S)));
        assert_received(&intake.deliver("stripe", header, STRIPE).await);
    }
    assert_received(&intake.deliver("heleket", None, HELEKET).await);
    assert_eq!(intake.jobs().await, 4, "the two deliveries to Stripe's endpoints are one event");
    intake.deliver_trovo("trovo-older", TROVO).await.assert_problem(401, "bad-signature");
    intake.stop().await;
}

#[tokio::test]
async fn a_forged_unsigned_or_stale_event_is_401_and_enqueues_nothing() {
    let intake = Intake::start().await;
    let trovo = |value: String| Some(("X-TrovoTech-Signature", value));
    let stripe = |value: String| Some(("Stripe-Signature", value));
    let good = hmac_hex("trovo-new", TROVO);
    let cases = [
        ("trovotech", None, TROVO.to_owned()),
        ("trovotech", trovo(String::new()), TROVO.to_owned()),
        ("trovotech", trovo(hmac_hex("guess", TROVO)), TROVO.to_owned()),
        ("trovotech", trovo(good[..32].to_owned()), TROVO.to_owned()),
        ("trovotech", trovo(good), format!("{TROVO} ")),
        ("stripe", stripe(stripe_header("whsec_guess", NOW_S)), STRIPE.to_owned()),
        ("stripe", stripe(stripe_header("whsec_one", NOW_S - 301)), STRIPE.to_owned()),
        ("stripe", None, STRIPE.to_owned()),
        ("heleket", None, HELEKET.replace("\"15\"", "\"16\"")),
    ];
    for (provider, header, body) in cases {
        let answer = intake.deliver(provider, header, &body).await;
        answer.assert_problem(401, "bad-signature");
        assert!(!answer.body.to_string().contains("PO_1"), "nothing of the payload comes back: {answer:?}");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_provider_without_a_secret_fails_closed() {
    let intake = Intake::start().await;
    let header = Some(("x-payload-hash", "anything".to_owned()));
    let answer = intake.deliver("tatum", header, "{}").await;
    answer.assert_problem(503, "webhook-not-configured");
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_400() {
    let intake = Intake::start().await;
    for body in ["", "[]", "not json"] {
        intake.deliver_trovo("trovo-new", body).await.assert_problem(400, "malformed-webhook");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}
