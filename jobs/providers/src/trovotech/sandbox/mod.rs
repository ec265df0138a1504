//! TrovoTech as a server, with the Bantu ledger behind it: wallets, mints, the token list,
//! distributions, telemetry, and transactions that enter the ledger after a while.
//!
//! As with the real one nothing makes a mint idempotent: the same request twice is two tokens.

mod book;
mod distributions;
mod horizon;
mod ledger;
mod tokens;
mod wallets;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use book::{Book, Refusal};
use distributions::{Distribute, Telemetry};
use payfleet_core::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokens::Mint;
use wallets::Investor;

use crate::sandbox::{Actor, Fault, Filling, Happened, Notice, Options, Signed, limits, locked};
use crate::signature::hmac_sha256_hex;

/// A sandbox of TrovoTech.
pub(crate) struct TrovoTech {
    options: Options,
    book: Mutex<Book>,
}

impl TrovoTech {
    pub(crate) fn open(options: Options) -> anyhow::Result<Self> {
        let book = Book::open(&options.dir, options.settle_after_ms())?;
        Ok(Self { options, book: Mutex::new(book) })
    }

    /// Runs `answer` with the body of a request that carries the right bearer.
    fn authorized<T: for<'b> Deserialize<'b>>(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        answer: impl FnOnce(T) -> Response,
    ) -> Response {
        let given = headers.get(AUTHORIZATION).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
        let bearer = format!("Bearer {}", self.options.api_key.expose_secret());
        if !bool::from(bearer.as_bytes().ct_eq(given)) {
            return refused(StatusCode::UNAUTHORIZED, "unauthorized");
        }
        match serde_json::from_slice(if body.is_empty() { b"null" } else { body }) {
            Ok(asked) => answer(asked),
            Err(_) => refused(StatusCode::BAD_REQUEST, "the body cannot be read"),
        }
    }

    fn mint(&self, mint: Mint, reference: &str, fault: Option<&Fault>) -> Response {
        answered(locked(&self.book).mint(mint, reference, fault, self.options.now()))
    }

    /// A second wallet of one investor is the first one, with 200 instead of 201.
    fn create_wallet(&self, investor: Investor) -> Response {
        match locked(&self.book).create_wallet(investor) {
            Ok((wallet, true)) => (StatusCode::CREATED, Json(wallet)).into_response(),
            Ok((wallet, false)) => Json(wallet).into_response(),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "no record").into_response(),
        }
    }

    fn wallet(&self, address: &str) -> Response {
        match locked(&self.book).wallet(address) {
            Some(wallet) => Json(wallet).into_response(),
            None => refused(StatusCode::NOT_FOUND, "no such wallet"),
        }
    }

    fn distribute(&self, asked: Distribute, reference: &str, fault: Option<&Fault>) -> Response {
        answered(locked(&self.book).distribute(asked, reference, fault, self.options.now()))
    }

    fn sync(&self, telemetry: Telemetry) -> Response {
        if telemetry.asset_id.is_empty() {
            return refused(StatusCode::UNPROCESSABLE_ENTITY, "asset_id is required");
        }
        answered(locked(&self.book).read(telemetry).map_err(|_| Refusal::NoRecord))
    }
}

fn answered(result: Result<Value, Refusal>) -> Response {
    match result {
        Ok(answer) => Json(answer).into_response(),
        Err(Refusal::Invalid(what)) => refused(StatusCode::UNPROCESSABLE_ENTITY, what),
        Err(Refusal::NoRecord) => (StatusCode::INTERNAL_SERVER_ERROR, "no record").into_response(),
    }
}

fn reference(headers: &HeaderMap) -> &str {
    headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default()
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

impl Actor for TrovoTech {
    fn routes(self: Arc<Self>) -> Router {
        type Me = State<Arc<TrovoTech>>;
        type Played = Extension<Option<Fault>>;
        let mint = async |State(me): Me, Extension(fault): Played, headers: HeaderMap, body: Bytes| {
            me.authorized(&headers, &body, |mint| me.mint(mint, reference(&headers), fault.as_ref()))
        };
        let distribute = async |State(me): Me, Extension(fault): Played, headers: HeaderMap, body: Bytes| {
            me.authorized(&headers, &body, |asked| me.distribute(asked, reference(&headers), fault.as_ref()))
        };
        let sync = async |State(me): Me, headers: HeaderMap, body: Bytes| {
            me.authorized(&headers, &body, |telemetry| me.sync(telemetry))
        };
        let create_wallet = async |State(me): Me, headers: HeaderMap, body: Bytes| {
            me.authorized(&headers, &body, |investor| me.create_wallet(investor))
        };
        let wallet = async |State(me): Me, Path(address): Path<String>, headers: HeaderMap| {
            me.authorized(&headers, b"", |_: Value| me.wallet(&address))
        };
        let tokens = async |State(me): Me, headers: HeaderMap| {
            me.authorized(&headers, b"", |_: Value| Json(locked(&me.book).tokens()).into_response())
        };
        Router::new()
            .route("/token/mint", post(mint))
            .route("/wallet/create", post(create_wallet))
            .route("/wallet/{address}", get(wallet))
            .route("/tokens/my", get(tokens))
            .route("/payout/distribute", post(distribute))
            .route("/telemetry/sync", post(sync))
            .merge(horizon::routes())
            .layer(from_fn_with_state(limits::Limit::of(&self.options), limits::admit))
            .with_state(self)
    }

    fn now(&self) -> Timestamp {
        self.options.now()
    }

    fn effects(&self) -> Vec<Happened> {
        locked(&self.book).effects(self.options.now())
    }

    fn sign(&self, payload: String) -> Signed {
        let secret = self.options.secret.expose_secret().as_bytes();
        let signature = hmac_sha256_hex(secret, &[payload.as_bytes()]).unwrap_or_default();
        Signed { header: Some(("x-trovotech-signature", signature)), body: payload }
    }

    fn forget(&self, id: &str) -> bool {
        locked(&self.book).forget(id)
    }

    fn fill(&self, filling: &Filling) -> bool {
        locked(&self.book).fill(filling);
        true
    }

    fn due(&self) -> Vec<Notice> {
        locked(&self.book).due(self.options.now())
    }

    /// Three tries, as its documents suggest.
    fn retry_after(&self, failures: u32) -> Option<Duration> {
        (failures < 3).then(|| Duration::from_secs(1 << failures))
    }

    fn delivered(&self, notice: &str) {
        // A record that cannot be written shows at the next call; at worst this one is told twice.
        let _ = locked(&self.book).delivered(notice);
    }
}
