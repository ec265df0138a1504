//! The rest of Heleket's API: the price of a payout, balances, transfers between the two wallets, and
//! webhooks sent on request. Balances and test webhooks about payments go by the payment key.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::book::{COMMISSION, Movement};
use super::{Heleket, Key, SERVICES, found, invalid, refused};
use crate::sandbox::{Notice, locked};

/// `/v1/payout/calculate`.
#[derive(Deserialize)]
struct Calculate {
    currency: String,
    network: String,
    amount: String,
    is_subtract: bool,
}

/// `/v1/transfer/...`.
#[derive(Deserialize)]
struct Transfer {
    amount: String,
    currency: String,
}

/// `/v1/test-webhook/...`.
#[derive(Deserialize)]
struct TestWebhook {
    url_callback: String,
    currency: String,
    network: String,
    status: String,
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default)]
    order_id: Option<String>,
}

pub(super) fn routes() -> Router<Arc<Heleket>> {
    type Me = State<Arc<Heleket>>;
    let calculate = async |State(me): Me, headers: HeaderMap, body: Bytes| {
        me.signed(Key::Payout, &headers, &body, |asked| calculate(&asked))
    };
    let balance = async |State(me): Me, headers: HeaderMap, body: Bytes| {
        me.signed(Key::Payment, &headers, &body, |_: Value| me.balance())
    };
    let to_personal = async |State(me): Me, headers: HeaderMap, body: Bytes| {
        me.signed(Key::Payout, &headers, &body, |asked: Transfer| me.transfer(&asked, true))
    };
    let to_business = async |State(me): Me, headers: HeaderMap, body: Bytes| {
        me.signed(Key::Payout, &headers, &body, |asked: Transfer| me.transfer(&asked, false))
    };
    let test = async |State(me): Me, Path(kind): Path<String>, headers: HeaderMap, body: Bytes| {
        let key = if kind == "payout" { Key::Payout } else { Key::Payment };
        me.signed(key, &headers, &body, |asked: TestWebhook| me.test_webhook(&kind, &asked))
    };
    Router::new()
        .route("/v1/payout/calculate", post(calculate))
        .route("/v1/payout/calc", post(calculate))
        .route("/v1/balance", post(balance))
        .route("/v1/transfer/to-personal", post(to_personal))
        .route("/v1/transfer/to-business", post(to_business))
        .route("/v1/test-webhook/{kind}", post(test))
}

/// As `create` does it: the fee is always on top.
fn calculate(asked: &Calculate) -> Response {
    let Ok(amount) = parse_plain_decimal(&asked.amount) else {
        return invalid("amount", "validation.numeric");
    };
    let known = SERVICES.iter().any(|(currency, network, ..)| {
        *currency == asked.currency && asked.network.eq_ignore_ascii_case(network)
    });
    if !known {
        return refused(StatusCode::BAD_REQUEST, "The service was not found");
    }
    let commission = parse_plain_decimal(COMMISSION).unwrap_or_default();
    found(&json!({
        "amount": amount.to_string(),
        "commission": COMMISSION,
        "merchant_amount": amount.saturating_add(commission).to_string(),
        "is_subtract": asked.is_subtract,
    }))
}

impl Heleket {
    fn balance(&self) -> Response {
        let wallet = |personal: bool| -> Vec<Value> {
            let held = locked(&self.book).held(personal, self.options.now());
            held.into_iter()
                .map(|(currency, amount)| {
                    json!({
                        "uuid": wallet_of(personal),
                        "balance": amount.to_string(),
                        "currency_code": currency,
                        "balance_usd": null,
                    })
                })
                .collect()
        };
        found(&json!([{ "balance": { "merchant": wallet(false), "user": wallet(true) } }]))
    }

    fn transfer(&self, asked: &Transfer, to_personal: bool) -> Response {
        let Some(amount) = parse_plain_decimal(&asked.amount).ok().filter(|amount| *amount > Decimal::ZERO)
        else {
            return invalid("amount", "validation.numeric");
        };
        let mut book = locked(&self.book);
        let now = self.options.now();
        let held = book.held(!to_personal, now).get(&asked.currency).copied();
        let Some(held) = held else {
            return refused(StatusCode::BAD_REQUEST, "The currency was not found");
        };
        if held < amount {
            return refused(StatusCode::BAD_REQUEST, "Not enough funds");
        }
        let movement =
            Movement { to_personal, currency: asked.currency.clone(), amount, at_ms: now.unix_ms() };
        if book.transfer(movement).is_err() {
            return (StatusCode::INTERNAL_SERVER_ERROR, "no record").into_response();
        }
        found(&json!({ "user_wallet_uuid": wallet_of(true), "merchant_wallet_uuid": wallet_of(false) }))
    }

    fn test_webhook(&self, kind: &str, asked: &TestWebhook) -> Response {
        if !matches!(kind, "payout" | "payment" | "wallet") {
            return StatusCode::NOT_FOUND.into_response();
        }
        if !(6..=150).contains(&asked.url_callback.len()) {
            return invalid("url_callback", "validation.between");
        }
        let payload = json!({
            "type": kind,
            "uuid": asked.uuid.as_deref().unwrap_or("8b03432e-385b-4670-8d06-064591096795"),
            "order_id": asked.order_id.as_deref().unwrap_or("1"),
            "amount": "15.00000000",
            "merchant_amount": "15.30000000",
            "commission": COMMISSION,
            "is_final": !matches!(asked.status.as_str(), "process" | "check"),
            "status": asked.status,
            "txid": null,
            "currency": asked.currency,
            "network": asked.network.to_ascii_lowercase(),
            "payer_currency": asked.currency,
            "payer_amount": "15.00000000",
        });
        let url = Some(asked.url_callback.clone());
        locked(&self.asked_for).push(Notice { id: String::new(), url, payload: payload.to_string() });
        found(&json!([]))
    }
}

/// The ids of its two wallets.
fn wallet_of(personal: bool) -> &'static str {
    if personal { "user-wallet" } else { "merchant-wallet" }
}
