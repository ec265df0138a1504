//! A web app's view: the producer's HTTP API.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::TOKEN;
use crate::store::{ADDRESS, WALLET};

/// The producer, called as a web app calls it.
#[derive(Clone, Debug)]
pub struct Api {
    url: String,
    http: reqwest::Client,
}

/// An answer: status and JSON body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body, `null` where it is no JSON.
    pub body: Value,
}

impl Api {
    pub(super) fn new(url: String) -> Self {
        let http = reqwest::Client::builder().build().expect("an HTTP client");
        Self { url, http }
    }

    /// The producer's base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for a payout of `amount` USDT.
    pub async fn payout(&self, key: &str, amount: &str) -> Answer {
        let body = json!({"amount": amount, "asset": "USDT", "network": "TRON", "address": ADDRESS});
        self.post("/v1/payouts", key, &body).await
    }

    /// Asks for a mint of `percent` of an asset.
    pub async fn mint(&self, key: &str, asset_id: &str, percent: &str) -> Answer {
        let metadata = json!({
            "name": "Bus 1", "type": "E-Bus", "purchase_date": "2026-01-31", "purchase_price": "90000",
            "lifespan_years": 10,
        });
        let body = json!({
            "asset_id": asset_id, "asset_type": "EV", "asset_metadata": metadata, "investor_wallet": WALLET,
            "fraction_owned": percent, "amount": "500", "asset": "USD",
        });
        self.post("/v1/mints", key, &body).await
    }

    /// Posts `body` under an idempotency key.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.url)).header("Idempotency-Key", key);
        Self::send(request.bearer_auth(TOKEN).json(body)).await
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Answer {
        Self::send(self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN)).await
    }

    async fn send(request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("the producer answers");
        let status = response.status();
        Answer { status, body: response.json().await.unwrap_or(Value::Null) }
    }
}

impl Answer {
    /// The operation's id, where the request was accepted.
    pub fn accepted(&self) -> payfleet_core::OperationId {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{self:?}");
        self.body["operation_id"].as_str().expect("an id").parse().expect("a UUID")
    }
}
