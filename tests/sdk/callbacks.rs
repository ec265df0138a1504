//! The library of the Standard Webhooks specification as the receiver of our callbacks.

use std::process::Stdio;

use payfleet_core::job::TraceContext;
use payfleet_core::kinds::notify::{Details, Transition};
use payfleet_core::{Clock, OperationId, TenantId};
use payfleet_process::SystemClock;
use payfleet_providers::callback::{Answered, Client, Config, Message, SigningSecret};
use payfleet_tests::receiver::SECRETS;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::install::{here, installed};

#[tokio::test]
async fn the_library_of_standard_webhooks_takes_our_callbacks_under_either_secret_and_nothing_else() {
    let Some(library) = installed("python") else { return };
    let mut receiver = Command::new(library.join("venv/bin/python"))
        .arg(here().join("receiver.py"))
        .env("SECRETS", SECRETS.join(" "))
        .env("STRANGE_SECRET", "whsec_AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().expect("it says where it listens; else see above why not");

    let transition = Transition {
        operation_id: OperationId::derive(&TenantId::default(), "/v1/payouts", "order-1"),
        kind: "payout".to_owned(),
        idempotency_key: "order-1 \u{00e9}".to_owned(),
        sequence: 4,
        from: Some("accepted".to_owned()),
        to: "settled".to_owned(),
        details: Details { provider_ref: Some("p-1".to_owned()), ..Details::default() },
        at: SystemClock.now(),
        trace: TraceContext::default(),
    };
    let secrets = SECRETS.map(|text| SigningSecret::new(text).unwrap()).to_vec();
    let url = format!("http://127.0.0.1:{port}/hook");
    let client = Client::new("the receiver", Config { url, secrets, allow_private: true }).unwrap();
    let (id, body) = (transition.id(), serde_json::to_vec(&transition).unwrap());
    let message = Message { id: &id, body: &body, now: SystemClock.now(), trace: &transition.trace };
    let answered = client.send(&message).await;
    let status = receiver.wait().await.unwrap();
    assert_eq!(answered, Answered::Taken { status: 204 }, "the library says why not, above");
    assert!(status.success());
}
