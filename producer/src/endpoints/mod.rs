//! The endpoints. Each is one file, and one line in [`router`].

mod account_links;
mod accounts;
mod customers;
mod distributions;
mod events;
mod health;
mod mints;
mod operations;
mod orders;
mod payment_changes;
mod payment_methods;
mod payments;
mod payout_schedules;
mod payouts;
mod providers;
mod reconcile;
mod reconciliations;
mod refunds;
mod statistics;
mod telemetry;
mod transfers;
mod wallets;
mod webhook_log;
mod webhooks;

use std::any::Any;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use payfleet_core::kinds::OperationKind;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::bounds::bounded;
use crate::observe::observed;
use crate::openapi;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// Every endpoint, with its part of the contract.
fn routes() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::with_openapi(openapi::without_paths())
        .routes(routes!(payouts::create))
        .routes(routes!(transfers::create))
        .routes(routes!(accounts::create))
        .routes(routes!(account_links::create))
        .routes(routes!(customers::create))
        .routes(routes!(payment_methods::create))
        .routes(routes!(payments::create))
        .routes(routes!(payment_changes::create))
        .routes(routes!(refunds::create))
        .routes(routes!(mints::create))
        .routes(routes!(wallets::create))
        .routes(routes!(distributions::create))
        .routes(routes!(distributions::add_holders))
        .routes(routes!(orders::create))
        .routes(routes!(payout_schedules::create))
        .routes(routes!(payout_schedules::owe))
        .routes(routes!(telemetry::create))
        .routes(routes!(operations::list))
        .routes(routes!(operations::export))
        .routes(routes!(operations::show))
        .routes(routes!(statistics::show))
        .routes(routes!(reconcile::create))
        .routes(routes!(reconciliations::list))
        .routes(routes!(reconciliations::show))
        .routes(routes!(events::list))
        .routes(routes!(providers::list))
        .routes(routes!(providers::show))
        .routes(routes!(providers::test))
        .routes(routes!(webhook_log::list))
        .routes(routes!(webhook_log::show))
        .routes(routes!(webhooks::receive))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready));
    // What every operation kind has, by its entry in `OperationKind`.
    OperationKind::ALL.into_iter().fold(routes, |routes, kind| {
        routes
            .routes(operations::list_of(kind))
            .routes(operations::export_of(kind))
            .routes(operations::show_of(kind))
            .routes(operations::cancel_of(kind))
    })
}

/// The contract, whole: see [`openapi`].
pub(crate) fn document() -> OpenApi {
    let mut document = routes().into_openapi();
    openapi::complete(&mut document);
    document
}

/// Every route, behind the limits, the panic guard and the request's span.
pub fn router(state: AppState) -> Router {
    let contract = Bytes::from(openapi::contract());
    Router::from(routes())
        .route("/openapi.json", get(([(CONTENT_TYPE, "application/json")], contract)))
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
