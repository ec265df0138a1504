//! Faults that were planned for calls, and the middleware that plays them.
//!
//! A planned fault fires on the next call of its path, in the order they were planned, `times` times;
//! how often each fired is counted, because a run whose fault never fired has shown nothing. The call
//! itself runs in a task of its own: a caller that hangs up or dies changes nothing about what happens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::line::Line;
use super::{locked, task};

/// Bytes of an answer that is too large.
const HUGE: usize = 8 * 1024 * 1024;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// It takes this much longer, then goes well.
    LatencyMs(u64),
    /// It is answered with this status, and nothing happens.
    Status(u16),
    /// It is answered with this, and nothing happens.
    Answer(Canned),
    /// It is answered with 200 and this JSON, and nothing happens.
    Body(serde_json::Value),
    /// The connection is reset, and nothing happens.
    ResetBefore,
    /// It happens, then the connection is reset without an answer.
    ResetAfterEffect,
    /// It happens, and the connection is reset in the middle of the answer's body.
    ResetDuringBody,
    /// It happens and is answered whole, then the connection is reset.
    ResetAfterBody,
    /// It happens, and is never answered.
    EffectThenTimeout,
    /// It happens, and is answered with a 500.
    #[serde(rename = "effect_then_500")]
    EffectThen500,
    /// It happens, and is answered with this status.
    EffectThenStatus(u16),
    /// It happens, and is answered with this.
    EffectThenAnswer(Canned),
    /// It happens, and is answered with 200 and JSON that is larger than anybody should read.
    HugeBody,
    /// It happens, and the key it was called under is forgotten: for providers with keys.
    ForgetKey,
    /// It waits for `POST /_release`, then happens.
    Hold,
    /// It happens, then waits for `POST /_release` to be answered.
    HoldAfterEffect,
    /// It waits for `POST /_release`, is answered with this, and nothing happens.
    HoldThenAnswer(Canned),
    /// It is held while it is being executed, its key in use: for providers with keys.
    HoldInside,
    /// It happens with another amount than was asked for.
    WrongAmount,
    /// It happens and is answered with a status word nobody knows.
    UnknownStatus,
    /// It happens, and later ends with this status word instead of well.
    Ends(String),
}

/// An answer made up by a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Canned {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

/// A fault for calls to come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The path of the calls; with a final `*`, how it begins; with a `?`, their query too.
    path: String,
    /// For how many calls.
    #[serde(default = "once")]
    times: u32,
    fault: Fault,
    /// For how many so far.
    #[serde(default)]
    fired: u32,
}

fn once() -> u32 {
    1
}

impl Plan {
    fn is_for(&self, called: &Uri) -> bool {
        let whole = self.path.contains('?').then(|| called.path_and_query()).flatten();
        let path = whole.map_or(called.path(), PathAndQuery::as_str);
        let named = match self.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == self.path,
        };
        named && self.fired < self.times
    }
}

/// Everything planned, and the calls that are held.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plans: Mutex<Vec<Plan>>,
    calls: Mutex<BTreeMap<String, u64>>,
    held: watch::Sender<Vec<String>>,
    releases: watch::Sender<u64>,
}

impl Faults {
    pub(crate) fn plan(&self, plans: Vec<Plan>) {
        locked(&self.plans).extend(plans.into_iter().map(|plan| Plan { fired: 0, ..plan }));
    }

    /// What has not fired yet does not fire any more.
    pub(crate) fn mend(&self) {
        for plan in locked(&self.plans).iter_mut() {
            plan.times = plan.fired;
        }
    }

    pub(crate) fn plans(&self) -> Vec<Plan> {
        locked(&self.plans).clone()
    }

    /// How often each path was called.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        locked(&self.calls).clone()
    }

    /// The paths of the calls that are held, once there are at least that many.
    pub(crate) async fn held(&self, at_least: usize) -> Vec<String> {
        let mut held = self.held.subscribe();
        // The sender is ours, so waiting cannot fail.
        held.wait_for(|paths| paths.len() >= at_least).await.map(|paths| paths.clone()).unwrap_or_default()
    }

    /// Lets every call go that is held now.
    pub(crate) fn release(&self) {
        self.releases.send_modify(|releases| *releases = releases.wrapping_add(1));
    }

    fn take(&self, called: &Uri) -> Option<Fault> {
        let mut calls = locked(&self.calls);
        let count = calls.entry(called.path().to_owned()).or_default();
        *count = count.saturating_add(1);
        let mut plans = locked(&self.plans);
        let plan = plans.iter_mut().find(|plan| plan.is_for(called))?;
        plan.fired = plan.fired.saturating_add(1);
        Some(plan.fault.clone())
    }

    /// Waits, as a call that is held, until the next release.
    pub(crate) async fn hold(&self, path: &str) {
        let mut releases = self.releases.subscribe();
        let now = *releases.borrow_and_update();
        self.held.send_modify(|held| held.push(path.to_owned()));
        let _ = releases.wait_for(|releases| *releases != now).await;
        self.held.send_modify(|held| {
            let place = held.iter().position(|held| held == path);
            if let Some(place) = place {
                held.remove(place);
            }
        });
    }
}

/// Runs a call with the fault that is planned for it.
pub(super) async fn play(
    State(faults): State<Arc<Faults>>,
    ConnectInfo(line): ConnectInfo<Line>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let fault = faults.take(request.uri());
    request.extensions_mut().insert(fault.clone());
    request.extensions_mut().insert(Arc::clone(&faults));
    let (answer, answered) = oneshot::channel();
    task(async move {
        let response = with_fault(fault, &faults, &path, &line, request, next).await;
        // The caller may have gone.
        let _ = answer.send(response);
    });
    answered.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn with_fault(
    fault: Option<Fault>,
    faults: &Faults,
    path: &str,
    line: &Line,
    request: Request,
    next: Next,
) -> Response {
    let Some(fault) = fault else { return next.run(request).await };
    match fault {
        Fault::LatencyMs(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Fault::Status(status) => return refusal(status),
        Fault::Answer(canned) => return canned.into_response(),
        Fault::Body(body) => return axum::Json(body).into_response(),
        Fault::ResetBefore => {
            line.cut();
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Fault::Hold => faults.hold(path).await,
        Fault::ResetAfterEffect => {
            next.run(request).await;
            line.cut();
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Fault::EffectThenTimeout => {
            next.run(request).await;
            return std::future::pending().await;
        }
        Fault::EffectThen500 => {
            next.run(request).await;
            return refusal(500);
        }
        Fault::EffectThenStatus(status) => {
            next.run(request).await;
            return refusal(status);
        }
        Fault::EffectThenAnswer(canned) => {
            next.run(request).await;
            return canned.into_response();
        }
        Fault::HoldAfterEffect => {
            let response = next.run(request).await;
            faults.hold(path).await;
            return response;
        }
        Fault::HoldThenAnswer(canned) => {
            faults.hold(path).await;
            return canned.into_response();
        }
        Fault::ResetDuringBody => {
            let (response, length) = whole(next.run(request).await).await;
            line.cut_in_body(length / 2);
            return response;
        }
        Fault::ResetAfterBody => {
            let (response, length) = whole(next.run(request).await).await;
            line.cut_in_body(length);
            return response;
        }
        Fault::HugeBody => {
            next.run(request).await;
            return axum::Json(serde_json::json!({ "padding": "x".repeat(HUGE) })).into_response();
        }
        // The handler's own part.
        Fault::HoldInside | Fault::WrongAmount | Fault::UnknownStatus | Fault::ForgetKey | Fault::Ends(_) => {
        }
    }
    next.run(request).await
}

/// An answer whose length is known, and that length.
async fn whole(response: Response) -> (Response, usize) {
    let (head, body) = response.into_parts();
    // Bodies made here are in memory: reading them cannot fail.
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let length = body.len();
    (Response::from_parts(head, body.into()), length)
}

fn refusal(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = format!("Server error, #{}", status.as_u16());
    (status, axum::Json(serde_json::json!({ "message": message, "code": status.as_u16(), "error": null })))
        .into_response()
}

impl IntoResponse for Canned {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.body).into_response();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
