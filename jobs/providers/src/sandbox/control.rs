//! The paths by which a test steers a sandbox. All begin with `_`, no provider's does.
//!
//! | path | what it does |
//! |---|---|
//! | `GET /_effects?at_least=N` | what really happened, once there are N: `{"effects":[{reference, kind, amount, asset, destination, at, id, status}]}` |
//! | `POST /_faults`, `GET /_faults`, `DELETE /_faults` | plans faults: `[{"path":"/v1/payout","times":1,"fault":"reset_before"}]`; the plans, each with how often it `fired`; no more of them fires |
//! | `GET /_held?at_least=N`, `POST /_release` | the paths of the calls that are held, once there are N; lets them go |
//! | `GET /_calls`, `GET /_pace` | how often each path was called; the most calls in any one second: `{"most_in_a_second":{"all":9,"POST /v1/payout":4}}` |
//! | `POST /_emit` | sends a webhook of this provider with the given payload, rightly signed |
//! | `GET /_deliveries` | `{"pending":0,"delivered":3,"given_up":0}` |
//! | `POST /_forget`, `POST /_fill` | `{"id":".."}` is not listed or found any more; `{"count":100000,"from_ms":..,"to_ms":..,"about":".."}` makes as many records up, which nobody is told of |
//! | `POST /_webhooks` | `{"copies":2,"hold":true}` sends each twice and keeps them all back; `{"hold":false,"reversed":true}` lets them go, the last first |

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{Faults, Plan};
use super::outbox::{Manner, Notice, Outbox};
use super::pace::Pace;
use super::{Actor, Filling, TICK};

#[derive(Clone)]
struct Control {
    actor: Arc<dyn Actor>,
    outbox: Arc<Outbox>,
    faults: Arc<Faults>,
    pace: Arc<Pace>,
}

pub(super) fn routes(
    actor: Arc<dyn Actor>,
    outbox: Arc<Outbox>,
    faults: Arc<Faults>,
    pace: Arc<Pace>,
) -> Router {
    Router::new()
        .route("/_effects", get(effects))
        .route("/_faults", get(planned).post(plan).delete(mend))
        .route("/_held", get(held))
        .route("/_release", post(release))
        .route("/_calls", get(calls))
        .route("/_pace", get(pace_so_far))
        .route("/_emit", post(emit))
        .route("/_deliveries", get(deliveries))
        .route("/_webhooks", post(webhooks))
        .route("/_forget", post(forget))
        .route("/_fill", post(fill))
        .with_state(Control { actor, outbox, faults, pace })
}

/// How many of something a caller waits for.
#[derive(Deserialize)]
struct AtLeast {
    #[serde(default)]
    at_least: usize,
}

async fn effects(State(control): State<Control>, Query(AtLeast { at_least }): Query<AtLeast>) -> Json<Value> {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        let effects = control.actor.effects();
        if effects.len() >= at_least {
            return Json(json!({ "effects": effects }));
        }
        ticks.tick().await;
    }
}

async fn plan(State(control): State<Control>, Json(plans): Json<Vec<Plan>>) -> StatusCode {
    control.faults.plan(plans);
    StatusCode::NO_CONTENT
}

async fn mend(State(control): State<Control>) -> StatusCode {
    control.faults.mend();
    StatusCode::NO_CONTENT
}

async fn planned(State(control): State<Control>) -> Json<Value> {
    Json(json!({ "faults": control.faults.plans() }))
}

async fn held(State(control): State<Control>, Query(AtLeast { at_least }): Query<AtLeast>) -> Json<Value> {
    Json(json!({ "held": control.faults.held(at_least).await }))
}

async fn release(State(control): State<Control>) -> StatusCode {
    control.faults.release();
    StatusCode::NO_CONTENT
}

async fn calls(State(control): State<Control>) -> Json<Value> {
    Json(json!({ "calls": control.faults.calls() }))
}

async fn pace_so_far(State(control): State<Control>) -> Json<Value> {
    Json(json!({ "most_in_a_second": control.pace.most_in_a_second() }))
}

/// The payload is taken as it is written, so that a test can send any bytes.
async fn emit(State(control): State<Control>, asked: String) -> StatusCode {
    let payload = control.actor.payload(asked);
    control.outbox.take(&control.actor, &Notice { id: String::new(), url: None, payload });
    StatusCode::ACCEPTED
}

#[derive(Deserialize)]
struct Forgotten {
    id: String,
}

async fn forget(State(control): State<Control>, Json(Forgotten { id }): Json<Forgotten>) -> StatusCode {
    if control.actor.forget(&id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn fill(State(control): State<Control>, Json(filling): Json<Filling>) -> StatusCode {
    if control.actor.fill(&filling) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn deliveries(State(control): State<Control>) -> Json<Value> {
    // What happened since the last tick is pending too.
    control.outbox.take_due(&control.actor);
    let (pending, delivered, given_up) = control.outbox.counts();
    Json(json!({ "pending": pending, "delivered": delivered, "given_up": given_up }))
}

async fn webhooks(State(control): State<Control>, Json(manner): Json<Manner>) -> StatusCode {
    control.outbox.deliver_so(&control.actor, manner);
    StatusCode::NO_CONTENT
}
