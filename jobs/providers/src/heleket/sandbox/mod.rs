//! Heleket as a server: payouts under an `order_id`, their progress, their list, their webhooks.
//!
//! What is not documented is chosen here and marked: a bad signature is answered with 401, an unknown
//! payout with 404, and the list's filters are read at +03:00, the zone of its times.

mod account;
mod book;

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use book::{Asked, Book, Selection};
use payfleet_core::Timestamp;
use payfleet_core::money::parse_plain_decimal;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::heleket::sign::sign;
use crate::sandbox::{Actor, Fault, Filling, Happened, Notice, Options, Signed, limits, locked};

/// What it pays out: currency, network, least and largest amount.
const SERVICES: &[(&str, &str, &str, &str)] = &[
    ("USDT", "TRON", "0.5", "10000000"),
    ("USDT", "ETH", "0.5", "10000000"),
    ("USDT", "BSC", "0.5", "10000000"),
    ("USDT", "POLYGON", "0.5", "10000000"),
    ("USDC", "ETH", "0.5", "10000000"),
    ("USDC", "BSC", "0.5", "10000000"),
    ("USDC", "POLYGON", "0.5", "10000000"),
    ("TRX", "TRON", "1", "10000000"),
    ("ETH", "ETH", "0.001", "10000"),
    ("BNB", "BSC", "0.001", "100000"),
    ("MATIC", "POLYGON", "0.1", "10000000"),
    ("BTC", "BTC", "0.0001", "1000"),
];

/// A sandbox of Heleket.
pub(crate) struct Heleket {
    options: Options,
    book: Mutex<Book>,
    /// Test webhooks that are to be sent.
    asked_for: Mutex<Vec<Notice>>,
}

/// Which of the two keys signs.
#[derive(Clone, Copy)]
enum Key {
    Payout,
    Payment,
}

impl Heleket {
    pub(crate) fn open(options: Options) -> anyhow::Result<Self> {
        let book = Book::open(&options.dir, options.settle_after_ms())?;
        Ok(Self { options, book: Mutex::new(book), asked_for: Mutex::new(Vec::new()) })
    }

    fn key(&self, key: Key) -> &[u8] {
        let secret = match key {
            Key::Payout => &self.options.secret,
            Key::Payment => &self.options.payment_key,
        };
        secret.expose_secret().as_bytes()
    }

    fn is_authentic(&self, key: Key, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name| headers.get(name).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
        let signed = sign(body, self.key(key)).as_bytes().ct_eq(header("sign"));
        bool::from(signed & self.options.merchant.as_bytes().ct_eq(header("merchant")))
    }

    /// Runs `answer` with the body of a rightly signed request.
    fn signed<T: for<'b> Deserialize<'b>>(
        &self,
        key: Key,
        headers: &HeaderMap,
        body: &[u8],
        answer: impl FnOnce(T) -> Response,
    ) -> Response {
        if !self.is_authentic(key, headers, body) {
            return refused(StatusCode::UNAUTHORIZED, "Invalid Sign.");
        }
        match serde_json::from_slice(if body.is_empty() { b"{}" } else { body }) {
            Ok(asked) => answer(asked),
            Err(_) => invalid("body", "validation.json"),
        }
    }

    fn create(&self, asked: Asked, fault: Option<&Fault>) -> Response {
        if let Some(refusal) = unacceptable(&asked) {
            return refusal;
        }
        let now = self.options.now();
        let mut book = locked(&self.book);
        let Ok(number) = book.create(asked, fault, now) else {
            return (StatusCode::INTERNAL_SERVER_ERROR, "no record").into_response();
        };
        let mut payout = book.show(number, now);
        if let (Some(Fault::UnknownStatus), Some(payout)) = (fault, payout.as_object_mut()) {
            payout.insert("status".to_owned(), json!("held_by_the_moon"));
        }
        found(&payout)
    }

    fn info(&self, by: &ByName) -> Response {
        let book = locked(&self.book);
        match book.find(by.order_id.as_deref(), by.uuid.as_deref()) {
            Some(number) => found(&book.show(number, self.options.now())),
            None => refused(StatusCode::NOT_FOUND, "The payout was not found"),
        }
    }

    fn list(&self, window: &Window, cursor: Option<&str>) -> Response {
        let Some(selection) = Selection::read(window.date_from.as_deref(), window.date_to.as_deref(), cursor)
        else {
            return invalid("date_from", "validation.date");
        };
        let page = locked(&self.book).page(&selection, &self.options.merchant, self.options.now());
        found(&page)
    }
}

/// `/v1/payout/info`: both may be given; then the order wins.
#[derive(Deserialize)]
struct ByName {
    order_id: Option<String>,
    uuid: Option<String>,
}

/// `/v1/payout/list`.
#[derive(Deserialize)]
struct Window {
    date_from: Option<String>,
    date_to: Option<String>,
}

#[derive(Deserialize)]
struct Cursor {
    cursor: Option<String>,
}

fn found(result: &Value) -> Response {
    Json(json!({ "state": 0, "result": result })).into_response()
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "state": 1, "message": message }))).into_response()
}

fn invalid(field: &str, code: &str) -> Response {
    let body = json!({ "state": 1, "errors": { field: [code] } });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

/// Why it would not make this payout, if so.
fn unacceptable(asked: &Asked) -> Option<Response> {
    let order_id_fits = (1..=100).contains(&asked.order_id.len())
        && asked.order_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !order_id_fits {
        return Some(invalid("order_id", "validation.alpha_dash"));
    }
    if asked.address.is_empty() {
        return Some(invalid("address", "validation.required"));
    }
    let Ok(amount) = parse_plain_decimal(&asked.amount) else {
        return Some(invalid("amount", "validation.numeric"));
    };
    let service = SERVICES.iter().find(|(currency, network, ..)| {
        *currency == asked.currency && asked.network.eq_ignore_ascii_case(network)
    });
    let Some((currency, _, least, most)) = service else {
        return Some(refused(StatusCode::BAD_REQUEST, "The service was not found"));
    };
    let bound = |text: &str| parse_plain_decimal(text).unwrap_or_default();
    if amount < bound(least) {
        return Some(refused(StatusCode::BAD_REQUEST, &format!("Minimum amount {least} {currency}")));
    }
    if amount > bound(most) {
        return Some(refused(StatusCode::BAD_REQUEST, &format!("Maximum amount {most} {currency}")));
    }
    None
}

fn services() -> Response {
    let services: Vec<Value> = SERVICES
        .iter()
        .map(|(currency, network, least, most)| {
            json!({
                "network": network,
                "currency": currency,
                "is_available": true,
                "limit": { "min_amount": least, "max_amount": most },
                "commission": { "fee_amount": book::COMMISSION, "percent": "0.00" },
            })
        })
        .collect();
    found(&Value::Array(services))
}

impl Actor for Heleket {
    fn routes(self: Arc<Self>) -> Router {
        type Me = State<Arc<Heleket>>;
        type Played = Extension<Option<Fault>>;
        let create = async |State(me): Me, Extension(fault): Played, headers: HeaderMap, body: Bytes| {
            me.signed(Key::Payout, &headers, &body, |asked| me.create(asked, fault.as_ref()))
        };
        let info = async |State(me): Me, headers: HeaderMap, body: Bytes| {
            me.signed(Key::Payout, &headers, &body, |by: ByName| me.info(&by))
        };
        let list = async |State(me): Me, Query(at): Query<Cursor>, headers: HeaderMap, body: Bytes| {
            me.signed(Key::Payout, &headers, &body, |window: Window| me.list(&window, at.cursor.as_deref()))
        };
        let available = async |State(me): Me, headers: HeaderMap, body: Bytes| {
            me.signed(Key::Payout, &headers, &body, |_: Value| services())
        };
        Router::new()
            .route("/v1/payout", post(create))
            .route("/v1/payout/info", post(info))
            .route("/v1/payout/list", post(list))
            .route("/v1/payout/services", post(available))
            .merge(account::routes())
            .layer(from_fn_with_state(limits::Limit::of(&self.options), limits::admit))
            .with_state(self)
    }

    fn now(&self) -> Timestamp {
        self.options.now()
    }

    fn effects(&self) -> Vec<Happened> {
        locked(&self.book).effects(self.options.now())
    }

    /// As PHP writes JSON: slashes escaped, other text as it is; the signature is the last member.
    fn sign(&self, payload: String) -> Signed {
        let unsigned = payload.replace("\\/", "/").replace('/', "\\/");
        let about = serde_json::from_str::<Value>(&unsigned).unwrap_or_default();
        let is_payment = matches!(about.get("type").and_then(Value::as_str), Some("payment" | "wallet"));
        let key = if is_payment { Key::Payment } else { Key::Payout };
        let signature = sign(unsigned.as_bytes(), self.key(key));
        let open = unsigned.strip_suffix('}').unwrap_or(&unsigned);
        let comma = if open == "{" { "" } else { "," };
        Signed { header: None, body: format!("{open}{comma}\"sign\":\"{signature}\"}}") }
    }

    fn forget(&self, id: &str) -> bool {
        locked(&self.book).forget(id)
    }

    fn fill(&self, filling: &Filling) -> bool {
        locked(&self.book).fill(filling);
        true
    }

    fn due(&self) -> Vec<Notice> {
        let mut notices = locked(&self.book).due(self.options.now());
        notices.append(&mut locked(&self.asked_for));
        notices
    }

    fn delivered(&self, notice: &str) {
        // A record that cannot be written shows at the next call; at worst this one is told twice.
        let _ = locked(&self.book).delivered(notice);
    }
}
