//! Stripe with Connect as a server: payments, customers, refunds, connected accounts, transfers, payouts,
//! balances and events, with idempotency, paging and refusals as Stripe documents them.
//!
//! Money is real here: a refund never exceeds what was captured, a transfer or payout never what is
//! available, and every movement is a balance transaction. What is not documented is chosen here: fees
//! are 2.9 % and 30 minor units, and payments become available, and payouts arrive, `settle_after` later.

mod accounts;
mod balance;
mod book;
mod cards;
mod customers;
mod disputes;
mod door;
mod effects;
mod events;
mod fees;
mod intents;
mod lists;
mod params;
mod payments;
mod payouts;
mod progress;
mod refunds;
mod refused;
mod routes;
mod transfers;
mod tx;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::routing::{any, get};
use book::{Book, member};
use payfleet_core::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::API_VERSION;
use crate::sandbox::{Actor, Fault, Faults, Filling, Happened, Notice, Options, Signed, locked};
use crate::signature::hmac_sha256_hex;

/// A sandbox of Stripe.
pub(crate) struct Stripe {
    options: Options,
    book: Mutex<Book>,
    /// Keys whose first request is still being executed.
    running: Mutex<HashSet<String>>,
    /// The second that is counted, and the calls in it.
    pace: Mutex<(i64, u32)>,
    emitted: AtomicU64,
}

impl Stripe {
    pub(crate) fn open(options: Options) -> anyhow::Result<Self> {
        let book = Book::open(&options.dir, options.settle_after_ms())?;
        Ok(Self {
            options,
            book: Mutex::new(book),
            running: Mutex::default(),
            pace: Mutex::default(),
            emitted: AtomicU64::new(0),
        })
    }

    /// Events of connected accounts are signed with the Connect endpoint's secret.
    fn secret_of(&self, payload: &str) -> &SecretString {
        let is_connect =
            serde_json::from_str(payload).is_ok_and(|event: Value| member(&event, "account").is_string());
        match &self.options.connect_secret {
            Some(secret) if is_connect => secret,
            _ => &self.options.secret,
        }
    }

    fn signed(&self, secret: &[u8], payload: String) -> Signed {
        let signed_at = self.options.now().unix_s().to_string();
        let parts = [signed_at.as_bytes(), b".", payload.as_bytes()];
        let v1 = hmac_sha256_hex(secret, &parts).unwrap_or_default();
        Signed { header: Some(("stripe-signature", format!("t={signed_at},v1={v1}"))), body: payload }
    }
}

impl Actor for Stripe {
    fn routes(self: Arc<Self>) -> Router {
        type Me = State<Arc<Stripe>>;
        let call = async |State(me): Me,
                          Extension(fault): Extension<Option<Fault>>,
                          Extension(faults): Extension<Arc<Faults>>,
                          method: Method,
                          uri: Uri,
                          headers: HeaderMap,
                          body: Bytes| {
            me.call(&door::Asked { method, uri, headers, body, fault }, &faults).await
        };
        let onboard = async |State(me): Me, Path((account, token)): Path<(String, String)>| -> Response {
            me.visit(|tx| accounts::onboard(tx, &account, &token))
        };
        let authenticate =
            async |State(me): Me, Path((intent, verdict)): Path<(String, String)>| -> Response {
                me.visit(|tx| payments::authenticate(tx, &intent, verdict == "succeed"))
            };
        Router::new()
            .route("/v1/{*path}", any(call))
            .route("/setup/{account}/{token}", get(onboard))
            .route("/authenticate/{intent}/{verdict}", get(authenticate))
            .with_state(self)
    }

    fn now(&self) -> Timestamp {
        self.options.now()
    }

    /// `/v1/payouts/{id}/cancel`: what follows a kind of object is one's id, but for a search.
    fn route_of(&self, path: &str) -> Option<String> {
        let mut parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
        if let Some(id) = parts.get_mut(1).filter(|part| **part != "search") {
            *id = "{id}";
        }
        Some(format!("/v1/{}", parts.join("/")))
    }

    fn effects(&self) -> Vec<Happened> {
        let mut book = locked(&self.book);
        progress::advance(&mut book, self.options.now());
        effects::happened(&book)
    }

    fn sign(&self, payload: String) -> Signed {
        self.signed(self.secret_of(&payload).expose_secret().as_bytes(), payload)
    }

    /// Endpoints that were made by the API have secrets of their own.
    fn sign_notice(&self, notice: &Notice) -> Signed {
        match locked(&self.book).endpoint_secret(&notice.id) {
            Some(secret) => self.signed(secret.as_bytes(), notice.payload.clone()),
            None => self.sign(notice.payload.clone()),
        }
    }

    /// `{"type": .., "object": .., "account"?: ..}` becomes an event; a whole event stays as it is.
    fn payload(&self, asked: String) -> String {
        let Ok(Value::Object(mut asked_for)) = serde_json::from_str::<Value>(&asked) else { return asked };
        let Some(object) = asked_for.remove("object").filter(Value::is_object) else { return asked };
        let number = self.emitted.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let mut event = json!({
            "id": format!("evt_sandbox_{}_{number}", self.options.now().unix_ms()),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.options.now().unix_s(),
            "data": { "object": object },
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
        });
        if let Some(event) = event.as_object_mut() {
            event.extend(asked_for);
        }
        event.to_string()
    }

    fn forget(&self, id: &str) -> bool {
        locked(&self.book).forget(id)
    }

    fn fill(&self, filling: &Filling) -> bool {
        transfers::fill(&mut locked(&self.book), filling);
        true
    }

    fn due(&self) -> Vec<Notice> {
        let mut book = locked(&self.book);
        progress::advance(&mut book, self.options.now());
        events::untold(&mut book)
    }

    /// Three tries within a few hours, as in Stripe's test mode.
    fn retry_after(&self, failures: u32) -> Option<Duration> {
        (failures < 3).then(|| Duration::from_secs(u64::from(failures).saturating_mul(3_600)))
    }

    fn delivered(&self, notice: &str) {
        // A record that cannot be written shows at the next call; at worst this one is told twice.
        let _ = locked(&self.book).told(notice);
    }
}
