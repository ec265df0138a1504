//! `GET /v1/reconciliations`: runs that compared a provider's record with ours; each with a report,
//! and what it found as CSV.
//!
//! A run is about an account of the deployment, not about one tenant's operations: it is shown to the
//! deployment's own tenant, `default`, and to nobody else.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use payfleet_core::kinds::reconcile;
use payfleet_core::provider::Provider;
use payfleet_core::{JobId, Timestamp};
use payfleet_store::{DifferenceSum, Discrepancy, Run, RunTotal};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::export::{self, Cell, Lines, Read};
use crate::operations::listed;
use crate::parameters::Parameters;
use crate::problem::{Kind, Problem};
use crate::schemas;
use crate::state::AppState;
use crate::view::rfc3339;

const PAGE: u16 = 50;
const LARGEST_PAGE: u16 = 200;
/// How many differences a report lists; the CSV has them all.
const REPORTED: i64 = 100;
const EXPORTED_AT_ONCE: i64 = 500;
const COLUMNS: [&str; 14] = [
    "run_id",
    "discrepancy_id",
    "difference",
    "remedy",
    "operation_id",
    "provider_ref",
    "their_state",
    "their_amount",
    "their_asset",
    "our_state",
    "our_amount",
    "our_asset",
    "detail",
    "resolved_at",
];

/// Which runs.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Selection {
    /// Only of this provider.
    #[param(schema_with = schemas::provider, required = false)]
    provider: Option<Provider>,
    /// Only the run of this job.
    #[param(schema_with = schemas::id, required = false)]
    job_id: Option<JobId>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u16,
    /// The `next_cursor` of the page before.
    #[param(minimum = 1)]
    cursor: Option<i64>,
}

/// A run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reconciliation {
    /// Its number.
    id: i64,
    /// The job that carries it out.
    #[schema(schema_with = schemas::id)]
    job_id: JobId,
    /// `running`, `finished`, or `failed`: it could not be carried out, and says why.
    state: &'static str,
    #[schema(schema_with = schemas::provider)]
    provider: String,
    /// Our account at the provider.
    account: String,
    #[schema(schema_with = schemas::moment)]
    window_start: String,
    /// Not part of the window itself.
    #[schema(schema_with = schemas::moment)]
    window_end: String,
    #[schema(schema_with = schemas::moment)]
    started_at: String,
    /// Null while it runs.
    finished_at: Option<String>,
    /// Why it could not be carried out; null where it could.
    failure: Option<String>,
    /// Entries in the provider's record, as far as it has been read.
    listed: Option<i32>,
    /// Operations of ours in the window, likewise; at Tatum deposits.
    held: Option<i32>,
    /// How many differences; 0 says that it found nothing.
    differences: Option<i32>,
}

/// Runs, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReconciliationPage {
    reconciliations: Vec<Reconciliation>,
    /// Names the next page, as `cursor`; null on the last one.
    next_cursor: Option<i64>,
}

/// A run and what it found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Report {
    #[serde(flatten)]
    run: Reconciliation,
    /// What each record of the window comes to, by asset.
    totals: Vec<Total>,
    /// Counts, and sums of our operations, by difference and asset.
    sums: Vec<Sum>,
    /// The first 100 differences; the CSV has them all.
    discrepancies: Vec<Found>,
}

/// What one of the two records comes to in one asset.
#[derive(Serialize, ToSchema)]
pub(crate) struct Total {
    /// `theirs` or `ours`.
    side: String,
    #[schema(schema_with = schemas::asset)]
    asset: String,
    /// Entries with an amount in it.
    count: i64,
    amount: String,
}

/// Differences of one kind among operations of one asset.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sum {
    /// `missing_here`, `missing_there`, `amount`, `status`, `duplicate_there` or `stuck`.
    difference: String,
    /// Null where we have no such operation.
    #[schema(schema_with = schemas::asset_or_null)]
    asset: Option<String>,
    count: i64,
    /// What our operations sum to.
    amount: Option<String>,
}

/// One difference.
#[derive(Serialize, ToSchema)]
pub(crate) struct Found {
    id: i64,
    /// As in `sums`.
    difference: String,
    /// Our operation, if we have one.
    operation_id: Option<String>,
    /// The provider's id, if it has one.
    provider_ref: Option<String>,
    /// Both records in words.
    detail: String,
    /// What the run did about it: `applied`, `asked`, `adopted` or `woken`; null: it is for a person.
    remedy: Option<String>,
    /// The provider's record; null where it has none.
    theirs: Option<Side>,
    /// Ours; null where we have none.
    ours: Option<Side>,
    /// When the run remedied it, or a person resolved it.
    resolved_at: Option<String>,
}

/// What one of the two records says.
#[derive(Serialize, ToSchema)]
pub(crate) struct Side {
    /// The provider's id there, our reference here.
    reference: String,
    /// In the words of whose record it is.
    state: String,
    /// A decimal string.
    amount: Option<String>,
    #[schema(schema_with = schemas::asset_or_null)]
    asset: Option<String>,
    /// What else there is to say.
    note: Option<String>,
}

/// Lists reconciliation runs, newest first
#[utoipa::path(get, path = "/v1/reconciliations", operation_id = "list_reconciliations", tag = "operations",
    params(Selection), responses((status = 200, body = ReconciliationPage)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let provider = parameters.parsed("provider");
    let job_id = parameters.parsed("job_id");
    let limit = parameters.whole("limit", LARGEST_PAGE).unwrap_or(PAGE);
    let cursor = parameters.number_of_a_page("cursor");
    parameters.finish()?;
    let asked = Selection { provider, job_id, limit, cursor };
    let mut runs = Vec::new();
    if caller.runs_the_deployment() {
        let most = i64::from(asked.limit).saturating_add(1);
        runs = listed(state.store().runs_before(asked.provider, asked.job_id, asked.cursor, most)).await?;
    }
    let more = runs.len() > usize::from(asked.limit);
    runs.truncate(asked.limit.into());
    let next_cursor = runs.last().filter(|_| more).map(|run| run.id);
    let reconciliations = runs.into_iter().map(Reconciliation::from).collect();
    Ok(Json(ReconciliationPage { reconciliations, next_cursor }).into_response())
}

/// Shows a run and what it found
///
/// With `Accept: text/csv`, or `.csv` after the number, every difference as CSV.
#[utoipa::path(get, path = "/v1/reconciliations/{number}", operation_id = "show_reconciliation", tag = "operations",
    params(("number" = i64, Path, description = "Its number.", minimum = 1)),
    responses((status = 200, content((Report = "application/json"), (String = "text/csv")))))]
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    number: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(text) = number.map_err(|_| no_such())?;
    let (number, is_csv) = match text.strip_suffix(".csv") {
        Some(number) => (number, true),
        None => (text.as_str(), export::wanted(&headers)),
    };
    let id = number.parse::<i64>().ok().filter(|_| caller.runs_the_deployment()).ok_or_else(no_such)?;
    let run = listed(state.store().run(id)).await?.ok_or_else(no_such)?;
    if is_csv {
        let first = lines(&state, id, 0, Lines::with_header(&COLUMNS)?).await?;
        let name = format!("reconciliation-{id}");
        return Ok(export::file(&name, first, move |after| following(state.clone(), id, after)));
    }
    let totals = listed(state.store().run_totals(id)).await?;
    let sums = listed(state.store().run_sums(id)).await?;
    let found = listed(state.store().run_differences(id, 0, REPORTED)).await?;
    let report = Report {
        run: run.into(),
        totals: totals.into_iter().map(Total::from).collect(),
        sums: sums.into_iter().map(Sum::from).collect(),
        discrepancies: found.into_iter().map(Found::from).collect(),
    };
    Ok(Json(report).into_response())
}

fn no_such() -> Problem {
    Problem::new(Kind::NotFound, "No run has this number. GET /v1/reconciliations lists those there are.")
}

async fn following(state: AppState, run: i64, after: i64) -> Result<Read<i64>, Problem> {
    lines(&state, run, after, Lines::new()).await
}

async fn lines(state: &AppState, run: i64, after: i64, mut lines: Lines) -> Result<Read<i64>, Problem> {
    let rows = listed(state.store().run_differences(run, after, EXPORTED_AT_ONCE)).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == EXPORTED_AT_ONCE);
    let next = rows.last().filter(|_| is_full).map(|row| row.id);
    for found in rows.into_iter().map(Found::from) {
        let (theirs, ours) = (found.theirs.as_ref(), found.ours.as_ref());
        lines.line(&[
            Cell::Ours(run.to_string()),
            Cell::Ours(found.id.to_string()),
            Cell::Ours(found.difference),
            Cell::Ours(found.remedy.unwrap_or_default()),
            Cell::Ours(found.operation_id.unwrap_or_default()),
            Cell::Text(found.provider_ref.as_deref()),
            Cell::Text(theirs.map(|side| side.state.as_str())),
            Cell::Ours(theirs.and_then(|side| side.amount.clone()).unwrap_or_default()),
            Cell::Ours(theirs.and_then(|side| side.asset.clone()).unwrap_or_default()),
            Cell::Text(ours.map(|side| side.state.as_str())),
            Cell::Ours(ours.and_then(|side| side.amount.clone()).unwrap_or_default()),
            Cell::Ours(ours.and_then(|side| side.asset.clone()).unwrap_or_default()),
            Cell::Text(Some(&found.detail)),
            Cell::Ours(found.resolved_at.unwrap_or_default()),
        ])?;
    }
    Ok((lines, next))
}

impl From<Run> for Reconciliation {
    fn from(run: Run) -> Self {
        let state = match (run.finished_at, &run.failure) {
            (None, _) => "running",
            (Some(_), Some(_)) => "failed",
            (Some(_), None) => "finished",
        };
        Self {
            id: run.id,
            job_id: run.job,
            state,
            provider: run.provider,
            account: run.account,
            window_start: rfc3339(run.window_start),
            window_end: rfc3339(run.window_end),
            started_at: rfc3339(run.started_at),
            finished_at: run.finished_at.map(rfc3339),
            failure: run.failure,
            listed: run.listed,
            held: run.held,
            differences: run.differences,
        }
    }
}

impl From<RunTotal> for Total {
    fn from(total: RunTotal) -> Self {
        let RunTotal { side, asset, count, amount } = total;
        Self { side, asset, count, amount }
    }
}

impl From<DifferenceSum> for Sum {
    fn from(sum: DifferenceSum) -> Self {
        let DifferenceSum { difference, asset, count, amount } = sum;
        Self { difference, asset, count, amount }
    }
}

impl From<Discrepancy> for Found {
    fn from(found: Discrepancy) -> Self {
        Self {
            id: found.id,
            difference: found.difference,
            operation_id: found.operation_id.map(|id| id.to_string()),
            provider_ref: found.provider_ref,
            detail: found.detail,
            remedy: found.remedy,
            theirs: side(found.theirs),
            ours: side(found.ours),
            resolved_at: found.resolved_at.map(|at| rfc3339(Timestamp::from(at))),
        }
    }
}

fn side(kept: Option<Value>) -> Option<Side> {
    let reconcile::Side { reference, state, money, note } = serde_json::from_value(kept?).ok()?;
    let amount = money.map(|money| money.amount().to_string());
    let asset = money.map(|money| money.asset().code().to_owned());
    Some(Side { reference, state, amount, asset, note })
}
