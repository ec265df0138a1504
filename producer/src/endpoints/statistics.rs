//! `GET /v1/operations/statistics`: how many operations and how much of what, by provider, asset,
//! state, kind and day.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use payfleet_core::Timestamp;
use payfleet_store::{Filter, GroupBy, Statistic};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::export::{self, Cell, Lines};
use crate::operations::listed;
use crate::parameters::Parameters;
use crate::problem::{FieldError, Problem};
use crate::schemas;
use crate::selection::Selection;
use crate::state::AppState;
use crate::view::rfc3339;

const DAY_MS: i64 = 86_400_000;
/// How far back it looks where nothing else is said, and how much it looks at at most.
const DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;
/// What fits an answer.
const MOST_GROUPS: u16 = 10_000;

const DISTINCTIONS: [&str; 4] = ["kind", "provider", "state", "day"];
const COLUMNS: [&str; 7] = ["day", "kind", "provider", "asset", "state", "count", "amount"];

/// What tells groups apart.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the contract's words for what `read_by` reads")]
struct By {
    /// What tells groups apart, with commas between: kind, provider, state, day. The asset always does:
    /// amounts of two assets have no sum.
    #[param(schema_with = by, required = false)]
    by: Option<String>,
}

fn by() -> utoipa::openapi::Object {
    schemas::list_of(&DISTINCTIONS, "provider,state,day")
}

/// Counts and sums of the operations made in a span of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Statistics {
    /// The beginning of the span.
    #[schema(schema_with = schemas::moment)]
    created_from: String,
    /// Its end, which it does not contain.
    #[schema(schema_with = schemas::moment)]
    created_to: String,
    groups: Vec<Group>,
}

/// One group. It has the members that groups are told apart by.
#[derive(Serialize, ToSchema)]
pub(crate) struct Group {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::day, required = false)]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::kind, required = false)]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::provider, required = false)]
    provider: Option<String>,
    #[schema(schema_with = schemas::asset_or_null)]
    asset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::state, required = false)]
    state: Option<String>,
    /// How many operations.
    count: i64,
    /// The sum of their amounts; null where they have none.
    amount: Option<String>,
}

/// Counts operations and sums their amounts
///
/// Of the last 30 days where nothing else is said, of at most 366. With `Accept: text/csv`, as CSV.
#[utoipa::path(get, path = "/v1/operations/statistics", operation_id = "operation_statistics", tag = "operations",
    params(Selection, By),
    responses((status = 200, content((Statistics = "application/json"), (String = "text/csv")))))]
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let filter = Selection::read(&mut parameters, None).of(caller.tenant);
    let by = read_by(&mut parameters);
    let (from, to) = span(&mut parameters, &filter, state.clock().now());
    parameters.finish()?;
    let filter = Filter { from: Some(from), to: Some(to), ..filter };
    let most = i64::from(MOST_GROUPS);
    let statistics = listed(state.store().operation_statistics(&filter, by, most.saturating_add(1))).await?;
    if statistics.len() > usize::from(MOST_GROUPS) {
        let message = format!("makes more than {most} groups; leave one out, or select less");
        return Err(Problem::fields(vec![FieldError { field: "by".to_owned(), message }]));
    }
    let groups: Vec<Group> = statistics.into_iter().map(Group::from).collect();
    if export::wanted(&headers) {
        return Ok(export::file("statistics", (lines(&groups)?, None::<()>), |()| async {
            Ok((Lines::new(), None))
        }));
    }
    Ok(Json(Statistics { created_from: rfc3339(from), created_to: rfc3339(to), groups }).into_response())
}

fn read_by(parameters: &mut Parameters) -> GroupBy {
    match parameters.some_of("by", &DISTINCTIONS) {
        Some(words) => GroupBy {
            kind: words.contains(&"kind"),
            provider: words.contains(&"provider"),
            state: words.contains(&"state"),
            day: words.contains(&"day"),
        },
        None => GroupBy { kind: false, provider: true, state: true, day: true },
    }
}

/// From when to when.
fn span(parameters: &mut Parameters, filter: &Filter, now: Timestamp) -> (Timestamp, Timestamp) {
    let days = |days: i64| days.saturating_mul(DAY_MS);
    let to = filter.to.unwrap_or(now);
    let from =
        filter.from.unwrap_or_else(|| Timestamp::from_unix_ms(to.unix_ms().saturating_sub(days(DAYS))));
    let length = to.unix_ms().saturating_sub(from.unix_ms());
    if filter.to.is_none() && length <= 0 {
        parameters.refuse("created_from", "lies ahead: give created_to, too");
    }
    if length > days(MOST_DAYS) {
        let message = format!("lies more than {MOST_DAYS} days before created_to; ask for less at once");
        parameters.refuse("created_from", message);
    }
    (from, to)
}

impl From<Statistic> for Group {
    fn from(statistic: Statistic) -> Self {
        let Statistic { kind, provider, asset, state, day, count, amount } = statistic;
        Self { day: day.map(|day| day.to_string()), kind, provider, asset, state, count, amount }
    }
}

fn lines(groups: &[Group]) -> Result<Lines, Problem> {
    let mut lines = Lines::with_header(&COLUMNS)?;
    for group in groups {
        let texts = [&group.day, &group.kind, &group.provider, &group.asset, &group.state];
        let mut cells: Vec<Cell<'_>> =
            texts.map(|text| Cell::Ours(text.clone().unwrap_or_default())).into_iter().collect();
        cells.push(Cell::Ours(group.count.to_string()));
        cells.push(Cell::Ours(group.amount.clone().unwrap_or_default()));
        lines.line(&cells)?;
    }
    Ok(lines)
}
