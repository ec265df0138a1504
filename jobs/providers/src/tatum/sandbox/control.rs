//! The paths that move the chains (ethereum, bitcoin, polygon, tron), and the credits.
//!
//! | path | what it does |
//! |---|---|
//! | `GET /_chain/{chain}` | `{"height":1000,"finalised":1000,"mempool":[]}` |
//! | `POST /_chain/{chain}/pay` | `{"to":..,"amount":"0.05","from"?,"contract"?}` puts a payment into the pool: `{"txId":..}` |
//! | `POST /_chain/{chain}/mine` | `{"blocks":1}`: the first takes in the pool |
//! | `POST /_chain/{chain}/reorganise` | `{"depth":2,"vanish":false}`: 409 where that is finalised |
//! | `POST /_chain/{chain}/finalise` | nothing up to the present height can be undone |
//! | `POST /_credits` | `{"left":10}`: after that many calls every one is answered 403 |

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use payfleet_core::money::parse_plain_decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Tatum;
use super::book::by_path;
use super::chains::{Change, Payment};
use crate::sandbox::locked;
use crate::tatum::chain::Chain;

/// `POST /_chain/{chain}/pay`.
#[derive(Deserialize)]
struct Pay {
    to: String,
    amount: String,
    from: Option<String>,
    contract: Option<String>,
}

#[derive(Deserialize)]
struct Mine {
    blocks: u16,
}

#[derive(Deserialize)]
struct Reorganise {
    depth: u64,
    #[serde(default)]
    vanish: bool,
}

#[derive(Deserialize)]
struct Credits {
    left: Option<u64>,
}

pub(super) fn routes() -> Router<Arc<Tatum>> {
    type Me = State<Arc<Tatum>>;
    type Of = Path<String>;
    let show = async |State(me): Me, Path(chain): Of| on(&chain, |chain| me.show(chain));
    let pay =
        async |State(me): Me, Path(chain): Of, Json(pay): Json<Pay>| on(&chain, |chain| me.pay(chain, pay));
    let mine = async |State(me): Me, Path(chain): Of, Json(mine): Json<Mine>| {
        on(&chain, |chain| me.change(chain, (0..mine.blocks).map(|_| Change::Block)))
    };
    let reorganise = async |State(me): Me, Path(chain): Of, Json(asked): Json<Reorganise>| {
        on(&chain, |chain| me.reorganise(chain, &asked))
    };
    let finalise =
        async |State(me): Me, Path(chain): Of| on(&chain, |chain| me.change(chain, [Change::Finalise]));
    let credits = async |State(me): Me, Json(credits): Json<Credits>| {
        *locked(&me.credits) = credits.left;
        StatusCode::NO_CONTENT
    };
    Router::new()
        .route("/_chain/{chain}", get(show))
        .route("/_chain/{chain}/pay", post(pay))
        .route("/_chain/{chain}/mine", post(mine))
        .route("/_chain/{chain}/reorganise", post(reorganise))
        .route("/_chain/{chain}/finalise", post(finalise))
        .route("/_credits", post(credits))
}

fn on(name: &str, answer: impl FnOnce(Chain) -> Response) -> Response {
    match by_path(name) {
        Some((chain, _)) => answer(chain),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Tatum {
    fn show(&self, chain: Chain) -> Response {
        Json(locked(&self.book).ledger(chain).map_or(Value::Null, super::chains::Ledger::show))
            .into_response()
    }

    fn change(&self, chain: Chain, changes: impl IntoIterator<Item = Change>) -> Response {
        let mut book = locked(&self.book);
        for change in changes {
            if book.change(chain, change, self.options.now()).is_err() {
                return (StatusCode::INTERNAL_SERVER_ERROR, "no record").into_response();
            }
        }
        drop(book);
        self.show(chain)
    }

    fn pay(&self, chain: Chain, pay: Pay) -> Response {
        let Ok(amount) = parse_plain_decimal(&pay.amount) else {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        };
        let count = locked(&self.book).effects().len();
        let named = format!("{} {} {} {count}", chain.path(), pay.to, pay.amount);
        let digest = hex::encode(Sha256::digest(format!("{named} {}", self.options.now().unix_ms())));
        let hash = match chain {
            Chain::Ethereum | Chain::Polygon => format!("0x{digest}"),
            Chain::Bitcoin | Chain::Tron => digest,
        };
        let (from, to, contract) = (pay.from, pay.to, pay.contract);
        let at_ms = self.options.now().unix_ms();
        let payment = Payment { hash: hash.clone(), from, to, amount, contract, at_ms, broadcast: false };
        let changed = self.change(chain, [Change::Enter(payment)]);
        if changed.status().is_success() { Json(json!({ "txId": hash })).into_response() } else { changed }
    }

    fn reorganise(&self, chain: Chain, asked: &Reorganise) -> Response {
        let possible =
            locked(&self.book).ledger(chain).is_some_and(|ledger| ledger.can_reorganise(asked.depth));
        if !possible {
            return StatusCode::CONFLICT.into_response();
        }
        self.change(chain, [Change::Reorganise { depth: asked.depth, vanish: asked.vanish }])
    }
}
