//! Stripe as a server. For now it only sends events, signed as Stripe signs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::sandbox::{Actor, Happened, Options, Signed};
use crate::signature::hmac_sha256_hex;

/// The version of Stripe's API whose events it sends.
const API_VERSION: &str = "2026-10-28.endive";

pub(crate) struct Stripe {
    options: Options,
    events: AtomicU64,
}

impl Stripe {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, events: AtomicU64::new(0) }
    }
}

impl Actor for Stripe {
    fn routes(self: Arc<Self>) -> Router {
        Router::new()
    }

    fn effects(&self) -> Vec<Happened> {
        Vec::new()
    }

    fn sign(&self, payload: String) -> Signed {
        let secret = self.options.secret.expose_secret().as_bytes();
        let signed_at = self.options.now().unix_s().to_string();
        let parts = [signed_at.as_bytes(), b".", payload.as_bytes()];
        let v1 = hmac_sha256_hex(secret, &parts).unwrap_or_default();
        Signed { header: Some(("stripe-signature", format!("t={signed_at},v1={v1}"))), body: payload }
    }

    /// `{"type": .., "object": .., "account"?: ..}` becomes an event; a whole event stays as it is.
    fn payload(&self, asked: String) -> String {
        let Ok(Value::Object(mut asked_for)) = serde_json::from_str::<Value>(&asked) else { return asked };
        let Some(object) = asked_for.remove("object").filter(Value::is_object) else { return asked };
        let number = self.events.fetch_add(1, Ordering::SeqCst).saturating_add(1);
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
}
