//! The ledger's own service, as Horizon answers: a transaction by its hash, an account's transactions,
//! handing one in, and which network this is.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::TrovoTech;
use super::ledger::PageOf;
use crate::sandbox::locked;

/// What the ledger calls itself.
const PASSPHRASE: &str = "Bantu Testnet ; January 2022";

pub(super) fn routes() -> Router<Arc<TrovoTech>> {
    type Me = State<Arc<TrovoTech>>;
    let transaction = async |State(me): Me, Path(hash): Path<String>| me.transaction(&hash);
    let submit = async |State(me): Me, body: Bytes| me.submit(&body);
    let of_account =
        async |State(me): Me, Path(account): Path<String>, Query(page): Query<PageOf>| match locked(&me.book)
            .ledger
            .page(&account, &page)
        {
            Some(page) => Json(page).into_response(),
            None => problem(StatusCode::BAD_REQUEST, "Bad Request", &json!({})),
        };
    let root = async || Json(json!({ "network_passphrase": PASSPHRASE, "core_version": "sandbox" }));
    Router::new()
        .route("/transactions", post(submit))
        .route("/transactions/{hash}", get(transaction))
        .route("/accounts/{account}/transactions", get(of_account))
        .route("/", get(root))
}

impl TrovoTech {
    /// A transaction that is not in the ledger yet is as unknown as any other.
    fn transaction(&self, hash: &str) -> Response {
        match locked(&self.book).transaction(hash, self.options.now()) {
            Some(transaction) => Json(transaction).into_response(),
            None => problem(StatusCode::NOT_FOUND, "Resource Missing", &json!({})),
        }
    }

    /// The same envelope again is answered as the first time.
    fn submit(&self, body: &[u8]) -> Response {
        let envelope = form_urlencoded::parse(body).find(|(name, _)| name == "tx").map(|(_, value)| value);
        let Some(envelope) = envelope else {
            return problem(StatusCode::BAD_REQUEST, "Bad Request", &json!({}));
        };
        let mut book = locked(&self.book);
        let failed = |code: &str| {
            let extras = json!({ "result_codes": { "transaction": code } });
            problem(StatusCode::BAD_REQUEST, "Transaction Failed", &extras)
        };
        let (hash, entry) = match book.ledger.read(&envelope, PASSPHRASE, self.options.now()) {
            Ok(read) => read,
            Err(code) => return failed(code),
        };
        if let Some(known) = book.ledger.show(&hash) {
            return Json(known).into_response();
        }
        match entry.map(|entry| book.enter(entry)) {
            Ok(Ok(())) => Json(book.ledger.show(&hash)).into_response(),
            Ok(Err(_)) => (StatusCode::INTERNAL_SERVER_ERROR, "no record").into_response(),
            Err(code) => failed(code),
        }
    }
}

fn problem(status: StatusCode, title: &str, extras: &Value) -> Response {
    let body = json!({ "title": title, "status": status.as_u16(), "extras": extras });
    (status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
