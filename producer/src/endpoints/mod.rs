//! The endpoints. Each is one file, and one line in [`router`].

mod health;
mod mints;
mod payouts;
mod webhooks;

use std::any::Any;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::bounds::bounded;
use crate::observe::observed;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// Every route, behind the limits, the panic guard and the request's span.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/v1/payouts", post(payouts::create))
        .route("/v1/payouts/{id}", get(payouts::show))
        .route("/v1/mints", post(mints::create))
        .route("/v1/mints/{id}", get(mints::show))
        .route("/webhooks/{provider}", post(webhooks::receive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(state.clone(), bounded))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(observed))
        .with_state(state)
}

async fn no_such_route() -> Problem {
    Problem::new(Kind::NotFound, "No endpoint has this path. Paths start with /v1/ or /webhooks/.")
}

async fn no_such_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "Use one of the methods listed in the Allow header.")
}

/// The panic itself, with its message and place, is logged by the process's panic hook.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    let detail = "Repeat the request with the same Idempotency-Key; tell us if it happens again.";
    Problem::new(Kind::Internal, detail).because("a handler panicked").into_response()
}
