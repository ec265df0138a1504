//! What happens to every call before it is about anything: who calls, how fast, on whose account, and
//! whether its key has been answered before.
//!
//! As Stripe does it: 401 and 429 come before keys are looked at; a key is global to its account and kept
//! for 24 hours; what is stored is the first answer once execution had begun, a 500 too; other parameters
//! are a 400; a key whose first request is still running is a 409.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::book::{Answered, Book, Changes, insert, member};
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{Stripe, lists, progress, routes};
use crate::sandbox::{Fault, Faults, locked};

/// For how long a key is remembered.
const KEY_LIFE_MS: i64 = 24 * 3_600_000;

/// One call as it came.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) fault: Option<Fault>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn account(&self) -> Option<&str> {
        self.header("stripe-account")
    }

    fn key(&self) -> Option<&str> {
        self.header("idempotency-key").filter(|_| self.method == Method::POST)
    }

    fn params(&self) -> Result<Params, Refused> {
        let query = self.uri.query().unwrap_or_default();
        let body = std::str::from_utf8(&self.body).ok();
        let text = if self.method == Method::POST { body } else { Some(query) };
        let invalid = || Refused::invalid("parameter_invalid", "The parameters cannot be read.");
        text.and_then(Params::parse).ok_or_else(invalid)
    }

    /// What makes another request of the same key another request.
    fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for part in [self.method.as_str().as_bytes(), self.uri.path().as_bytes(), &self.body] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        hex::encode(digest.finalize())
    }
}

/// An answer before it is sent.
struct Answer {
    status: StatusCode,
    body: Value,
    request_id: String,
    /// The request whose stored answer this is.
    replay_of: Option<String>,
    reason: Option<&'static str>,
}

impl Answer {
    fn refused(refused: &Refused, request_id: String) -> Self {
        Self { status: refused.status, body: refused.body(), request_id, replay_of: None, reason: None }
    }

    fn into_response(self, key: Option<&str>) -> Response {
        let mut response = (self.status, axum::Json(self.body)).into_response();
        let headers = response.headers_mut();
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("request-id", &self.request_id);
        set("stripe-version", crate::stripe::API_VERSION);
        if let Some(key) = key {
            set("idempotency-key", key);
        }
        if let Some(original) = &self.replay_of {
            set("idempotent-replayed", "true");
            set("original-request", original);
        }
        if let Some(reason) = self.reason {
            set("stripe-rate-limited-reason", reason);
        }
        response
    }
}

impl Stripe {
    /// Answers one call of the API.
    pub(super) async fn call(&self, asked: &Asked, faults: &Faults) -> Response {
        let request_id =
            format!("req_{}_{}", self.options.now().unix_ms(), locked(&self.book).next_request());
        if !self.is_authentic(asked) {
            return Answer::refused(&Refused::bad_key(), request_id).into_response(None);
        }
        if !self.keeps_pace() {
            let mut answer = Answer::refused(&Refused::too_fast(), request_id);
            answer.reason = Some("global-rate");
            return answer.into_response(None);
        }
        let Some(key) = asked.key() else {
            return self.execute(asked, request_id, None).into_response(None);
        };
        let scoped = format!("{} {key}", asked.account().unwrap_or_default());
        if let Some(answer) = self.answered_before(asked, &scoped, &request_id) {
            return answer.into_response(Some(key));
        }
        if !locked(&self.running).insert(scoped.clone()) {
            return Answer::refused(&Refused::key_in_use(), request_id).into_response(Some(key));
        }
        if asked.fault == Some(Fault::HoldInside) {
            faults.hold(asked.uri.path()).await;
        }
        let answer = self.execute(asked, request_id, Some(&scoped));
        locked(&self.running).remove(&scoped);
        answer.into_response(Some(key))
    }

    fn is_authentic(&self, asked: &Asked) -> bool {
        let Some(authorization) = asked.header("authorization") else { return false };
        let given = match authorization.split_once(' ') {
            Some(("Bearer", key)) => key.to_owned(),
            Some(("Basic", basic)) => {
                let decoded = STANDARD.decode(basic).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                decoded.unwrap_or_default().split(':').next().unwrap_or_default().to_owned()
            }
            _ => return false,
        };
        given.as_bytes().ct_eq(self.options.api_key.expose_secret().as_bytes()).into()
    }

    fn keeps_pace(&self) -> bool {
        let Some(most) = self.options.per_second else { return true };
        let second = self.options.now().unix_s();
        let mut pace = locked(&self.pace);
        let count = if pace.0 == second { pace.1.saturating_add(1) } else { 1 };
        *pace = (second, count);
        count <= most.get()
    }

    fn answered_before(&self, asked: &Asked, key: &str, request_id: &str) -> Option<Answer> {
        let book = locked(&self.book);
        let answered = book.answered(key)?;
        if self.options.now().unix_ms().saturating_sub(answered.at_ms) >= KEY_LIFE_MS {
            return None;
        }
        if answered.fingerprint != asked.fingerprint() {
            return Some(Answer::refused(&Refused::other_parameters(), request_id.to_owned()));
        }
        Some(Answer {
            status: StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body: answered.body.clone(),
            request_id: request_id.to_owned(),
            replay_of: Some(answered.request_id.clone()),
            reason: None,
        })
    }

    fn execute(&self, asked: &Asked, request_id: String, key: Option<&str>) -> Answer {
        let now = self.options.now();
        let mut book = locked(&self.book);
        progress::advance(&mut book, now);
        let (ended, mut changes) = run(&book, asked, now.unix_ms(), &request_id);
        let stores = key.filter(|_| asked.fault != Some(Fault::ForgetKey));
        let begun = match &ended {
            Ok(_) => true,
            Err(refused) => refused.had_begun,
        };
        let (status, body) = match &ended {
            Ok(body) => (StatusCode::OK, body.clone()),
            Err(refused) => (refused.status, refused.body()),
        };
        if let Some(key) = stores.filter(|_| begun) {
            changes.answered = Some(Answered {
                key: key.to_owned(),
                fingerprint: asked.fingerprint(),
                at_ms: now.unix_ms(),
                request_id: request_id.clone(),
                status: status.as_u16(),
                body: body.clone(),
            });
        }
        if asked.method != Method::GET && begun && book.commit(changes).is_err() {
            return Answer::refused(&Refused::broken(), request_id);
        }
        Answer { status, body, request_id, replay_of: None, reason: None }
    }

    /// A page of the sandbox that a person visits: changes the book, then leads elsewhere.
    pub(super) fn visit(&self, change: impl FnOnce(&mut Tx<'_>) -> Result<String, Refused>) -> Response {
        let now = self.options.now();
        let mut book = locked(&self.book);
        progress::advance(&mut book, now);
        let mut tx = Tx::new(&book, now.unix_ms());
        let (ended, changes) = (change(&mut tx), tx.changes);
        if book.commit(changes).is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        match ended {
            Ok(url) if url.is_empty() => StatusCode::NO_CONTENT.into_response(),
            Ok(url) => axum::response::Redirect::to(&url).into_response(),
            Err(refused) => (refused.status, axum::Json(refused.body())).into_response(),
        }
    }
}

/// Runs a call against the book, and tells what it would change.
fn run(book: &Book, asked: &Asked, now_ms: i64, request_id: &str) -> (Result<Value, Refused>, Changes) {
    let mut tx = Tx::new(book, now_ms);
    tx.account = asked.account().map(str::to_owned);
    tx.request_id = Some(request_id.to_owned());
    tx.key = asked.key().map(str::to_owned);
    tx.base_url = format!("http://{}", asked.header("host").unwrap_or_default());
    tx.fault.clone_from(&asked.fault);
    let ended = dispatch(&mut tx, asked);
    match ended {
        // Without its effect: whatever it would have changed is left.
        _ if tx.ends() == "stored_500" => (Err(Refused::broken()), Changes::default()),
        Ok(_) if tx.ends() == "stored_500_after_effect" => (Err(Refused::broken()), tx.changes),
        Ok(mut body) => {
            if tx.fault == Some(Fault::UnknownStatus) && member(&body, "status").is_string() {
                insert(&mut body, "status", "held_by_the_moon");
            }
            (Ok(body), tx.changes)
        }
        Err(refused) => {
            let changes = if refused.had_begun { tx.changes } else { Changes::default() };
            (Err(refused), changes)
        }
    }
}

fn dispatch(tx: &mut Tx<'_>, asked: &Asked) -> Result<Value, Refused> {
    if let Some(account) = asked.account() {
        let exists = tx.get(account).is_some_and(|stored| stored.kind() == "account");
        if !exists {
            return Err(Refused::bad_account(account));
        }
    }
    let params = asked.params()?;
    let path = asked.uri.path();
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    let mut body = routes::route(tx, &asked.method, &parts, &params)
        .unwrap_or_else(|| Err(Refused::no_such_url(asked.method.as_str(), path)))?;
    lists::expand(tx, &mut body, &params.list("expand"));
    Ok(body)
}
