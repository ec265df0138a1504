//! What every operation kind has without a word of its own: `GET {endpoint}/{id}`, and the same over
//! all kinds under `/v1/operations`. A kind is here by its entry in [`OperationKind`].

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use payfleet_core::kinds::OperationKind;
use utoipa::openapi::HttpMethod;
use utoipa::openapi::path::{Operation, Paths};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::auth::Caller;
use crate::operations;
use crate::problem::Problem;
use crate::state::AppState;
use crate::view::Answer;

/// Tells what became of an operation
///
/// From Postgres, or from the queue while no worker has touched it.
#[utoipa::path(get, path = "/v1/operations/{id}", operation_id = "show_operation", tag = "operations",
    params(("id" = String, Path, format = "uuid", description = "The operation_id of the answer to your request.")),
    responses((status = 200, body = Answer<'static>)))]
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    operations::show(&state, &caller, &OperationKind::ALL, id).await
}

/// `GET {endpoint}/{id}` of one kind.
pub(crate) fn show_of(kind: OperationKind) -> UtoipaMethodRouter<AppState> {
    let path = format!("{}/{{id}}", kind.endpoint());
    let contract = of_kind(<__path_show as utoipa::Path>::operation(), kind);
    let handler = move |State(state): State<AppState>,
                        caller: Caller,
                        id: Result<Path<String>, PathRejection>| async move {
        operations::show(&state, &caller, &[kind], id).await
    };
    documented(&path, contract, get(handler))
}

/// A route and its part of the contract; what it refers to is there already.
fn documented(
    path: &str,
    contract: Operation,
    route: axum::routing::MethodRouter<AppState>,
) -> UtoipaMethodRouter<AppState> {
    let mut paths = Paths::new();
    paths.add_path_operation(path, vec![HttpMethod::Get], contract);
    (Vec::new(), paths, route)
}

/// What is said of all operations, said of one kind.
fn of_kind(mut contract: Operation, kind: OperationKind) -> Operation {
    let id = contract.operation_id.unwrap_or_default();
    contract.operation_id = Some(id.replace("operation", kind.as_str()));
    contract.summary =
        contract.summary.map(|summary| summary.replace("an operation", &format!("a {}", kind.as_str())));
    contract
}
