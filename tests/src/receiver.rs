//! A web app's end of callbacks: takes them over HTTP, checks their signatures with its own code, and
//! keeps every one, taken or not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use payfleet_core::TenantId;
use payfleet_process::spawn;
use payfleet_providers::callback::{Config, SigningSecret};
use payfleet_worker::receivers::{Receiver as Setting, Receivers};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What callbacks are signed with, and what they were signed with before.
pub const SECRETS: [&str; 2] = [
    "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
];

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// 204.
    Takes,
    /// 503 and a page of text.
    Down,
    /// 410.
    Gone,
    /// 307 to another path of its own.
    Redirects,
    /// 500 with a body that never ends.
    Endless,
    /// Takes it, and answers only once it is in another mood.
    Hangs,
}

/// One callback as it came.
#[derive(Clone, Debug)]
pub struct Callback {
    /// `webhook-id`.
    pub id: String,
    /// Its body.
    pub event: Value,
    /// Whether it was answered with 2xx.
    pub taken: bool,
    /// `traceparent`, if there was one.
    pub traceparent: Option<String>,
}

impl Callback {
    /// The operation it is about.
    pub fn operation(&self) -> String {
        self.event["data"]["operation_id"].as_str().expect("an operation").to_owned()
    }

    /// Its number within the operation.
    pub fn sequence(&self) -> i64 {
        self.event["data"]["sequence"].as_i64().expect("a sequence")
    }
}

/// A receiver of callbacks.
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    mood: watch::Sender<Mood>,
    callbacks: watch::Sender<Vec<Callback>>,
    astray: watch::Sender<usize>,
}

impl Receiver {
    /// A receiver on a port of its own.
    pub async fn start(mood: Mood) -> Self {
        let shared = Arc::new(Shared {
            mood: watch::Sender::new(mood),
            callbacks: watch::Sender::new(Vec::new()),
            astray: watch::Sender::new(0),
        });
        let app = Router::new().route("/hook", post(take)).fallback(any(astray)).with_state(shared.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
        spawn("receiver", async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url, shared }
    }

    /// From now on it answers so.
    pub fn set(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// The settings of a worker that tells it of everything, under the name `shop`: many quick
    /// attempts, so that an outage of an hour takes a moment.
    pub fn settings(&self) -> Receivers {
        self.settings_with(vec![Duration::from_millis(20); 5_000])
    }

    /// The same, with other pauses between attempts.
    pub fn settings_with(&self, retry_after: Vec<Duration>) -> Receivers {
        let secrets = SECRETS.map(|text| SigningSecret::new(text).expect("a secret")).to_vec();
        let callback = Config { url: self.url.clone(), secrets, allow_private: true };
        let name = "shop".to_owned().try_into().expect("a name");
        let all = vec![Setting { name, tenant: TenantId::default(), callback }];
        Receivers { all, retry_after: retry_after.into() }
    }

    /// The same as environment variables, for a worker that is a process.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("NOTIFY_RECEIVERS", format!("shop:default:{}", self.url)),
            ("NOTIFY_SECRETS", format!("shop:{}", SECRETS[0])),
            ("NOTIFY_SECRETS_OLD", format!("shop:{}", SECRETS[1])),
            ("NOTIFY_RETRY_MS", vec!["20"; 500].join(",")),
        ]
    }

    /// Every callback so far.
    pub fn callbacks(&self) -> Vec<Callback> {
        self.shared.callbacks.borrow().clone()
    }

    /// Those it has taken.
    pub fn taken(&self) -> Vec<Callback> {
        self.callbacks().into_iter().filter(|one| one.taken).collect()
    }

    /// Waits until `count` callbacks have come, taken or not.
    pub async fn came(&self, count: usize) {
        let mut callbacks = self.shared.callbacks.subscribe();
        let waiting = callbacks.wait_for(|callbacks| callbacks.len() >= count);
        let came = tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok();
        assert!(came, "{count} callbacks never came: {:?}", self.callbacks());
    }

    /// How many requests came to another path than its own.
    pub fn astray(&self) -> usize {
        *self.shared.astray.borrow()
    }

    /// Asserts that it has taken each of `ids` exactly once, and of each operation in order.
    pub fn assert_told(&self, ids: &BTreeSet<String>) {
        let taken = self.taken();
        let told: BTreeSet<String> = taken.iter().map(|one| one.id.clone()).collect();
        assert_eq!(&told, ids);
        assert_eq!(taken.len(), ids.len(), "some event was taken twice");
        let mut last = std::collections::BTreeMap::new();
        for one in &taken {
            let before = last.insert(one.operation(), one.sequence()).unwrap_or(0);
            assert_eq!(one.sequence(), before + 1, "out of order: {one:?}");
        }
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    let id = header("webhook-id").expect("an id");
    let timestamp = header("webhook-timestamp").expect("a timestamp");
    let signatures: Vec<String> =
        header("webhook-signature").expect("signatures").split(' ').map(str::to_owned).collect();
    let expected = SECRETS.map(|secret| sign(secret, &id, &timestamp, &body)).to_vec();
    assert_eq!(signatures, expected, "one signature of each secret, the new one first");
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(event["id"], Value::from(id.clone()));
    let mood = *shared.mood.borrow();
    let taken = matches!(mood, Mood::Takes | Mood::Hangs);
    let callback = Callback { id, event, taken, traceparent: header("traceparent") };
    shared.callbacks.send_modify(|callbacks| callbacks.push(callback));
    match mood {
        Mood::Takes => StatusCode::NO_CONTENT.into_response(),
        Mood::Down => (StatusCode::SERVICE_UNAVAILABLE, "out\r\nof order ".repeat(10_000)).into_response(),
        Mood::Gone => StatusCode::GONE.into_response(),
        Mood::Redirects => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        Mood::Endless => {
            let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"x ")));
            (StatusCode::INTERNAL_SERVER_ERROR, Body::from_stream(chunks)).into_response()
        }
        Mood::Hangs => {
            let mut moods = shared.mood.subscribe();
            let _ = moods.wait_for(|mood| *mood != Mood::Hangs).await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn astray(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.astray.send_modify(|count| *count += 1);
    StatusCode::NO_CONTENT
}

fn sign(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("its prefix")).expect("base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any key");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
