//! What every operation kind has without a word of its own: `GET {endpoint}`, the same as CSV, and
//! `GET {endpoint}/{id}`; and all three over all kinds under `/v1/operations`; and `POST
//! {endpoint}/{id}/cancel`. A kind is here by its entry in [`OperationKind`].

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_store::{Filter, OperationPage, Position};
use utoipa::openapi::path::{Operation, Parameter, Paths};
use utoipa::openapi::{HttpMethod, RefOr};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::auth::Caller;
use crate::export::{self, Lines};
use crate::operations::{self, Accepted, listed};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::selection::{PageOf, Selection};
use crate::state::AppState;
use crate::view::{self, Answer, ShownPage};

/// How many operations an export reads at once.
const EXPORTED_AT_ONCE: u16 = 500;

/// Lists operations, newest first
///
/// Those that a worker has touched; what still waits in the queue is shown by its own id only. A page
/// goes on where the last one ended, so operations made meanwhile neither repeat nor hide one. With
/// `Accept: text/csv`, the whole selection as CSV.
#[utoipa::path(get, path = "/v1/operations", operation_id = "list_operations", tag = "operations",
    params(Selection, PageOf),
    responses((status = 200, content((ShownPage<'static> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    list_either(state, caller, None, &headers, parameters).await
}

/// Exports operations, newest first
///
/// The whole selection as CSV. Cells that a spreadsheet would take for a formula begin with an
/// apostrophe. An export that ends early ends with a broken connection.
#[utoipa::path(get, path = "/v1/operations.csv", operation_id = "export_operations", tag = "operations",
    params(Selection), responses((status = 200, body = String, content_type = "text/csv")))]
pub(crate) async fn export(
    State(state): State<AppState>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Problem> {
    export_all(state, caller, None, parameters).await
}

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

/// Cancels an operation
///
/// It ends what is still ours: what nothing was sent for yet, or what is tried again because nothing has come of
/// it so far. What may have happened at its provider goes on, and the wish changes nothing; so do payouts that
/// were made of it. What was paid at an address by then is shown to a person.
#[utoipa::path(post, path = "/v1/operations/{id}/cancel", operation_id = "cancel_operation", tag = "operations",
    params(("id" = String, Path, format = "uuid", description = "The operation_id of the answer to your request.")),
    responses((status = 202, body = Accepted)))]
async fn cancel(
    state: AppState,
    caller: Caller,
    kind: OperationKind,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let event = Event::Cancelled { by: "client".to_owned() };
    operations::wish(&state, caller, kind, id, event).await
}

/// `GET {endpoint}` of one kind.
pub(crate) fn list_of(kind: OperationKind) -> UtoipaMethodRouter<AppState> {
    let handler = move |State(state): State<AppState>,
                        caller: Caller,
                        headers: HeaderMap,
                        parameters: Parameters| async move {
        list_either(state, caller, Some(kind), &headers, parameters).await
    };
    documented(kind.endpoint(), of_kind(<__path_list as utoipa::Path>::operation(), kind), get(handler))
}

/// `GET {endpoint}.csv` of one kind.
pub(crate) fn export_of(kind: OperationKind) -> UtoipaMethodRouter<AppState> {
    let path = format!("{}.csv", kind.endpoint());
    let handler = move |State(state): State<AppState>, caller: Caller, parameters: Parameters| async move {
        export_all(state, caller, Some(kind), parameters).await
    };
    documented(&path, of_kind(<__path_export as utoipa::Path>::operation(), kind), get(handler))
}

/// `GET {endpoint}/{id}` of one kind.
pub(crate) fn show_of(kind: OperationKind) -> UtoipaMethodRouter<AppState> {
    let path = format!("{}/{{id}}", kind.endpoint());
    let handler = move |State(state): State<AppState>,
                        caller: Caller,
                        id: Result<Path<String>, PathRejection>| async move {
        operations::show(&state, &caller, &[kind], id).await
    };
    documented(&path, of_kind(<__path_show as utoipa::Path>::operation(), kind), get(handler))
}

/// `POST {endpoint}/{id}/cancel` of one kind.
pub(crate) fn cancel_of(kind: OperationKind) -> UtoipaMethodRouter<AppState> {
    let path = format!("{}/{{id}}/cancel", kind.endpoint());
    let handler =
        move |State(state): State<AppState>, caller: Caller, id: Result<Path<String>, PathRejection>| {
            cancel(state, caller, kind, id)
        };
    let contract = of_kind(<__path_cancel as utoipa::Path>::operation(), kind);
    documented_as(HttpMethod::Post, &path, contract, post(handler))
}

async fn list_either(
    state: AppState,
    caller: Caller,
    kind: Option<OperationKind>,
    headers: &HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    if export::wanted(headers) {
        return export_all(state, caller, kind, parameters).await;
    }
    let filter = Selection::read(&mut parameters, kind).of(caller.tenant);
    let PageOf { limit, cursor } = PageOf::read(&mut parameters);
    parameters.finish()?;
    let page = listed(state.store().operations(&filter, cursor, limit)).await?;
    Ok(Json(view::page(&page)).into_response())
}

async fn export_all(
    state: AppState,
    caller: Caller,
    kind: Option<OperationKind>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let filter = Selection::read(&mut parameters, kind).of(caller.tenant);
    parameters.finish()?;
    let first = listed(state.store().operations(&filter, None, EXPORTED_AT_ONCE)).await?;
    let first = written(Lines::with_header(&view::COLUMNS)?, &first)?;
    let name = kind.map_or("operations", |kind| kind.endpoint().trim_start_matches("/v1/"));
    Ok(export::file(name, first, move |after| following(state.clone(), filter.clone(), after)))
}

async fn following(
    state: AppState,
    filter: Filter,
    after: Position,
) -> Result<export::Read<Position>, Problem> {
    let page = listed(state.store().operations(&filter, Some(after), EXPORTED_AT_ONCE)).await?;
    written(Lines::new(), &page)
}

fn written(mut lines: Lines, page: &OperationPage) -> Result<export::Read<Position>, Problem> {
    page.operations.iter().try_for_each(|row| lines.line(&view::line(row)))?;
    Ok((lines, page.next))
}

/// A route and its part of the contract; what it refers to is there already.
fn documented(
    path: &str,
    contract: Operation,
    route: MethodRouter<AppState>,
) -> UtoipaMethodRouter<AppState> {
    documented_as(HttpMethod::Get, path, contract, route)
}

fn documented_as(
    method: HttpMethod,
    path: &str,
    contract: Operation,
    route: MethodRouter<AppState>,
) -> UtoipaMethodRouter<AppState> {
    let mut paths = Paths::new();
    paths.add_path_operation(path, vec![method], contract);
    (Vec::new(), paths, route)
}

/// What is said of all operations, said of one kind.
fn of_kind(mut contract: Operation, kind: OperationKind) -> Operation {
    let name = kind.as_str();
    let plural = kind.endpoint().trim_start_matches("/v1/");
    let id = |id: String| id.replace("operations", plural).replace("operation", name);
    contract.operation_id = contract.operation_id.map(id);
    let words = plural.replace('_', " ");
    let summary = |summary: String| {
        summary.replace("an operation", &format!("one of the {words}")).replace("operations", &words)
    };
    contract.summary = contract.summary.map(summary);
    let has_origins = matches!(kind, OperationKind::Payout | OperationKind::Transfer);
    let is_taken = |name: &str| name != "kind" && (name != "origin" || has_origins);
    let is_taken = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(Parameter { name, .. }) => is_taken(name),
        RefOr::Ref(_) => true,
    };
    contract.parameters =
        contract.parameters.map(|parameters| parameters.into_iter().filter(is_taken).collect());
    contract
}
