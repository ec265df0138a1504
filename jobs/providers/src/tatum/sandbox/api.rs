//! Tatum's own paths, behind its key, its rate limit and its credits.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::Tatum;
use super::book::{Hmac, Subscription, by_path};
use super::chains::{Change, Payment, show};
use crate::sandbox::locked;
use crate::tatum::chain::Chain;
use crate::tatum::signed::SignedTransaction;

/// What each coin is worth here, in dollars.
const RATES: &[(&str, &str)] = &[
    ("ETH", "3150.25"),
    ("BTC", "65000.5"),
    ("MATIC", "0.52"),
    ("TRON", "0.1325"),
    ("USDT", "1"),
    ("USDC", "1"),
];

/// Where a page begins and how long it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageOf {
    page_size: Option<usize>,
    #[serde(default)]
    offset: usize,
    address: Option<String>,
    direction: Option<String>,
    failed: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    #[serde(rename = "type")]
    kind: String,
    attr: Attributes,
    template_id: Option<String>,
    #[serde(default)]
    mempool: bool,
}

#[derive(Deserialize)]
struct Attributes {
    chain: String,
    address: String,
    url: String,
}

/// `PUT /v4/subscription/{id}`: of all that can be changed, what we change.
#[derive(Deserialize)]
struct Update {
    paused: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetHmac {
    hmac_secret: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Broadcast {
    tx_data: String,
}

#[derive(Deserialize)]
struct OfChain {
    chain: String,
    hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pair {
    symbol: String,
    base_pair: String,
}

pub(super) fn routes(me: &Arc<Tatum>) -> Router<Arc<Tatum>> {
    type Me = State<Arc<Tatum>>;
    type Of = Path<String>;
    let create = async |State(me): Me, body: Bytes| read(&body, |asked| me.create(asked));
    let list = async |State(me): Me, Query(page): Query<PageOf>| me.list(&page);
    let executed = async |State(me): Me, Query(page): Query<PageOf>| me.executed(&page);
    let update =
        async |State(me): Me, Path(id): Of, body: Bytes| read(&body, |asked: Update| me.update(&id, &asked));
    let delete = async |State(me): Me, Path(id): Of| me.delete(&id);
    let hmac_on = async |State(me): Me, body: Bytes| read(&body, |asked: SetHmac| me.hmac(Some(asked)));
    let hmac_off = async |State(me): Me| me.hmac(None);
    let transaction = async |State(me): Me, Query(of): Query<OfChain>| me.transaction(&of);
    let height = async |State(me): Me, Query(of): Query<OfChain>| me.height(&of);
    let broadcast = async |State(me): Me, Path(chain): Of, body: Bytes| {
        read(&body, |asked: Broadcast| me.broadcast(&chain, &asked))
    };
    let rate = async |State(me): Me, Query(pair): Query<Pair>| me.rate(&pair);
    Router::new()
        .route("/v4/subscription", get(list).post(create).put(hmac_on).delete(hmac_off))
        .route("/v4/subscription/webhook", get(executed))
        .route("/v4/subscription/{id}", put(update).delete(delete))
        .route("/v4/data/blockchains/transaction", get(transaction))
        .route("/v4/data/blockchains/block/current", get(height))
        .route("/v4/data/rate/symbol", get(rate))
        .route("/v3/{chain}/broadcast", post(broadcast))
        .layer(from_fn_with_state(Arc::clone(me), admit))
}

/// Lets a call in that has the key, while there are credits.
async fn admit(State(me): State<Arc<Tatum>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let given = headers.get("x-api-key").map(HeaderValue::as_bytes).unwrap_or_default();
    if !bool::from(me.options.api_key.expose_secret().as_bytes().ct_eq(given)) {
        let body = json!({ "statusCode": 401, "message": "Unauthorized" });
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let spent = locked(&me.credits).as_mut().is_some_and(|left| {
        let spent = *left == 0;
        *left = left.saturating_sub(1);
        spent
    });
    if spent {
        return refused(403, "credits.exhausted", "You have used all credits of your plan");
    }
    next.run(request).await
}

fn refused(status: u16, code: &str, message: &str) -> Response {
    let body = json!({ "statusCode": status, "errorCode": code, "message": message, "data": [] });
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), Json(body)).into_response()
}

fn invalid(message: &str) -> Response {
    refused(400, "validation.failed", message)
}

fn no_record() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "no record").into_response()
}

/// Runs `answer` with what the body asks for.
fn read<T: for<'b> Deserialize<'b>>(body: &[u8], answer: impl FnOnce(T) -> Response) -> Response {
    serde_json::from_slice(body).map_or_else(|_| invalid("the body cannot be read"), answer)
}

impl Tatum {
    fn create(&self, asked: Create) -> Response {
        let Create { kind, attr: Attributes { chain, address, url }, template_id, mempool } = asked;
        if Chain::from_name(&chain).is_none() {
            return refused(403, "subscription.attr.currency.invalid", "Unsupported chain");
        }
        if kind != "ADDRESS_EVENT" {
            return refused(403, "subscription.type.invalid", "Unsupported type");
        }
        if !(13..=128).contains(&address.len()) || url.len() > 500 {
            return invalid("attr");
        }
        let template = template_id.unwrap_or_else(|| "enriched".to_owned());
        let id = String::new();
        let asked = Subscription { id, kind, chain, address, url, template, mempool, paused: false };
        match locked(&self.book).subscribe(asked) {
            Ok(Some(id)) => Json(json!({ "id": id })).into_response(),
            Ok(None) => {
                refused(403, "subscription.exists.on.address-and-currency", "Subscription already exists")
            }
            Err(_) => no_record(),
        }
    }

    fn list(&self, page: &PageOf) -> Response {
        let Some(size) = page.page_size.filter(|size| (1..=50).contains(size)) else {
            return invalid("pageSize must be 1 to 50");
        };
        let book = locked(&self.book);
        Json(book.subscriptions(page.address.as_deref(), page.offset, size)).into_response()
    }

    fn executed(&self, page: &PageOf) -> Response {
        let Some(size) = page.page_size.filter(|size| (1..=50).contains(size)) else {
            return invalid("pageSize must be 1 to 50");
        };
        let newest_first = page.direction.as_deref() != Some("asc");
        Json(locked(&self.book).webhooks(newest_first, page.failed, page.offset, size)).into_response()
    }

    fn update(&self, id: &str, asked: &Update) -> Response {
        match locked(&self.book).pause(id, asked.paused.unwrap_or_default()) {
            Ok(true) => StatusCode::NO_CONTENT.into_response(),
            Ok(false) => refused(403, "subscription.not.exists", "No such subscription"),
            Err(_) => no_record(),
        }
    }

    fn delete(&self, id: &str) -> Response {
        match locked(&self.book).delete(id) {
            Ok(true) => StatusCode::NO_CONTENT.into_response(),
            Ok(false) => refused(403, "subscription.not.exists", "No such subscription"),
            Err(_) => no_record(),
        }
    }

    fn hmac(&self, asked: Option<SetHmac>) -> Response {
        let hmac = match asked {
            Some(SetHmac { hmac_secret }) if hmac_secret.is_empty() || hmac_secret.len() > 100 => {
                return invalid("hmacSecret");
            }
            Some(SetHmac { hmac_secret }) => Hmac::Set(hmac_secret),
            None => Hmac::Off,
        };
        match locked(&self.book).set_hmac(hmac) {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(_) => no_record(),
        }
    }

    fn transaction(&self, of: &OfChain) -> Response {
        let Some((chain, _)) = Chain::from_name(&of.chain) else { return invalid("chain") };
        let book = locked(&self.book);
        let hash = of.hash.as_deref().unwrap_or_default();
        match book.ledger(chain).and_then(|ledger| ledger.find(hash)) {
            Some((payment, block)) => Json(show(chain, payment, block)).into_response(),
            None => refused(404, "tx.not.found", "Transaction not found"),
        }
    }

    fn height(&self, of: &OfChain) -> Response {
        let Some((chain, _)) = Chain::from_name(&of.chain) else { return invalid("chain") };
        let height = locked(&self.book).ledger(chain).map(super::chains::Ledger::height);
        Json(json!({ "blockNumber": height })).into_response()
    }

    /// A node takes a transaction once; the same bytes again are "already known".
    fn broadcast(&self, chain: &str, asked: &Broadcast) -> Response {
        let Some((chain, _)) = by_path(chain) else { return StatusCode::NOT_FOUND.into_response() };
        let Ok(signed) = SignedTransaction::new(chain, &asked.tx_data) else {
            return refused(403, "tx.broadcast.failed", "cannot be decoded");
        };
        let hash = signed.hash().to_owned();
        let mut book = locked(&self.book);
        if book.ledger(chain).is_some_and(|ledger| ledger.find(&hash).is_some()) {
            return refused(403, "tx.broadcast.failed", "already known");
        }
        let payment = Payment {
            hash: hash.clone(),
            from: None,
            // Who is paid is in the bytes, which only a node understands.
            to: String::new(),
            amount: Decimal::ZERO,
            contract: None,
            at_ms: self.options.now().unix_ms(),
            broadcast: true,
        };
        match book.change(chain, Change::Enter(payment), self.options.now()) {
            Ok(()) => Json(json!({ "txId": hash })).into_response(),
            Err(_) => no_record(),
        }
    }

    fn rate(&self, pair: &Pair) -> Response {
        let Some((_, value)) = RATES.iter().find(|(symbol, _)| *symbol == pair.symbol) else {
            return refused(403, "rate.not.found", "No such rate");
        };
        let body = json!({
            "id": pair.symbol,
            "value": value,
            "basePair": pair.base_pair,
            "timestamp": self.options.now().unix_ms(),
            "source": "sandbox",
        });
        Json::<Value>(body).into_response()
    }
}
