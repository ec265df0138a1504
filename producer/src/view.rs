//! Operations as the API shows them. Amounts are decimal strings, times RFC 3339 in UTC.

use std::collections::BTreeMap;

use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::provider::Facts;
use payfleet_core::{JobId, OperationId, Timestamp};
use payfleet_queue::{JobView, Place};
use payfleet_store::{DeadLetter, ListedOperation, OperationPage, OperationView};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::export::Cell;
use crate::qr::PayBy;
use crate::schemas;
use crate::selection::cursor;

/// An operation as a `GET` answers it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OperationOrQueued)]
pub(crate) enum Answer<'a> {
    /// A worker has touched it.
    Shown(Box<Shown<'a>>),
    /// None has yet.
    Queued(Queued),
}

/// An operation, with the members of its request beside those listed here.
#[derive(Serialize, ToSchema)]
#[schema(as = Operation)]
pub(crate) struct Shown<'a> {
    #[schema(schema_with = schemas::id)]
    operation_id: OperationId,
    #[schema(schema_with = schemas::kind)]
    kind: &'a str,
    /// Your own name for the request.
    idempotency_key: &'a str,
    #[schema(schema_with = schemas::state)]
    state: &'a str,
    #[schema(schema_with = schemas::provider)]
    provider: &'a str,
    /// Our account at the provider.
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::amount, required = false)]
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::asset, required = false)]
    asset: Option<&'a str>,
    /// What was asked, beside amount and asset.
    #[serde(flatten)]
    #[schema(ignore)]
    asked: BTreeMap<&'static str, Value>,
    /// The provider's id of it, once the provider has answered.
    provider_ref: Option<&'a str>,
    /// The transaction on the chain, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::result, required = false)]
    result: Option<&'a Facts>,
    /// How its payer is told where to pay: of an order that waits for money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_by: Option<PayBy>,
    /// Why it failed, or how the provider's record differs from what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Why it stands still until a person acts, if it does.
    parked: Option<Parked<'a>>,
    #[schema(schema_with = schemas::moment)]
    created_at: String,
    #[schema(schema_with = schemas::moment)]
    updated_at: String,
}

/// Operations, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationPage)]
pub(crate) struct ShownPage<'a> {
    operations: Vec<Shown<'a>>,
    /// Names the next page, as `cursor`; null on the last one.
    next_cursor: Option<String>,
}

/// Why an operation stands still.
#[derive(Serialize, ToSchema)]
pub(crate) struct Parked<'a> {
    /// In one word.
    reason: &'a str,
    /// In a sentence.
    detail: Option<&'a str>,
}

/// Shows a row.
pub(crate) fn operation(row: &OperationView) -> Shown<'_> {
    let money = row.request.money();
    Shown {
        operation_id: row.id,
        kind: row.kind.as_str(),
        idempotency_key: &row.idempotency_key,
        state: row.state.name(),
        provider: row.request.provider().as_str(),
        account: row.account.as_str(),
        amount: money.map(|money| money.amount().to_string()),
        asset: money.map(|money| money.asset().code()),
        asked: row.request.shown(),
        provider_ref: row.state.provider_ref().or(row.provider_ref.as_deref()),
        tx_hash: row.state.tx_hash(),
        result: row.state.facts().filter(|facts| !facts.is_empty()),
        pay_by: pay_by(row),
        reason: reason(&row.state),
        parked: parked(row.parked.as_deref(), row.parked_reason.as_deref()),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
    }
}

/// Shows a page of rows.
pub(crate) fn page(page: &OperationPage) -> ShownPage<'_> {
    ShownPage { operations: page.operations.iter().map(listed).collect(), next_cursor: page.next.map(cursor) }
}

fn listed(row: &ListedOperation) -> Shown<'_> {
    let progress = row.progress.as_ref();
    Shown {
        operation_id: row.id,
        kind: &row.kind,
        idempotency_key: &row.idempotency_key,
        state: &row.state,
        provider: &row.provider,
        account: &row.account,
        amount: row.amount.map(|amount| amount.normalize().to_string()),
        asset: row.asset.as_deref(),
        asked: row.request.as_ref().map(|request| request.shown()).unwrap_or_default(),
        provider_ref: row.provider_ref.as_deref(),
        tx_hash: progress.and_then(State::tx_hash),
        result: progress.and_then(State::facts).filter(|facts| !facts.is_empty()),
        // A page of codes would be a page of pictures.
        pay_by: None,
        reason: progress.and_then(reason),
        parked: parked(row.parked.as_deref(), row.parked_reason.as_deref()),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
    }
}

fn parked<'a>(reason: Option<&'a str>, detail: Option<&'a str>) -> Option<Parked<'a>> {
    reason.map(|reason| Parked { reason, detail })
}

/// The columns of an export of operations, whatever their kind.
pub(crate) const COLUMNS: [&str; 15] = [
    "operation_id",
    "kind",
    "idempotency_key",
    "state",
    "provider",
    "account",
    "amount",
    "asset",
    "provider_ref",
    "tx_hash",
    "reason",
    "parked",
    "parked_detail",
    "created_at",
    "updated_at",
];

/// A row as a line of an export, in the order of [`COLUMNS`].
pub(crate) fn line(row: &ListedOperation) -> [Cell<'_>; COLUMNS.len()] {
    let ours = |text: &str| Cell::Ours(text.to_owned());
    let progress = row.progress.as_ref();
    [
        Cell::Ours(row.id.to_string()),
        ours(&row.kind),
        Cell::Text(Some(&row.idempotency_key)),
        ours(&row.state),
        ours(&row.provider),
        Cell::Text(Some(&row.account)),
        Cell::Ours(row.amount.map(|amount| amount.normalize().to_string()).unwrap_or_default()),
        ours(row.asset.as_deref().unwrap_or_default()),
        Cell::Text(row.provider_ref.as_deref()),
        Cell::Text(progress.and_then(State::tx_hash)),
        Cell::Text(progress.and_then(reason)),
        ours(row.parked.as_deref().unwrap_or_default()),
        Cell::Text(row.parked_reason.as_deref()),
        Cell::Ours(rfc3339(row.created_at)),
        Cell::Ours(rfc3339(row.updated_at)),
    ]
}

/// The address of an order that waits for money, to be scanned.
fn pay_by(row: &OperationView) -> Option<PayBy> {
    let waits = row.kind == OperationKind::Order && matches!(row.state, State::Accepted { .. });
    let address = row.state.facts()?.get("address").filter(|_| waits)?.as_str()?;
    PayBy::of(row.request.network()?, address, row.request.money()?)
}

/// The reason that goes with the state.
fn reason(state: &State) -> Option<&str> {
    match state {
        State::Quarantined { difference, .. } => Some(difference),
        State::Failed { reason } | State::Returned { reason, .. } => Some(reason),
        State::Requested
        | State::Submitting { .. }
        | State::Retrying { .. }
        | State::InDoubt { .. }
        | State::Accepted { .. }
        | State::Settled { .. } => None,
    }
}

/// An operation as the queue knows it.
#[derive(Serialize, ToSchema)]
#[schema(as = QueuedOperation)]
pub(crate) struct Queued {
    #[schema(schema_with = schemas::id)]
    operation_id: OperationId,
    #[schema(schema_with = schemas::kind)]
    kind: OperationKind,
    /// `queued`, or `unknown` while Postgres cannot be asked and a worker may have acted.
    state: &'static str,
    job: QueuedJob,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// The job that brings an operation to a worker.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueuedJob {
    #[schema(schema_with = schemas::id)]
    id: JobId,
    /// `ready`, `delayed`, `leased` or `dead`.
    place: &'static str,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::moment, required = false)]
    enqueued_at: Option<String>,
}

/// Shows an operation by its first job, where Postgres has no row of it or (not `asked_postgres`)
/// could not be asked. Then a job that was ever at a worker says nothing about the operation.
pub(crate) fn queued(id: OperationId, kind: OperationKind, view: &JobView, asked_postgres: bool) -> Queued {
    let job = &view.job;
    Queued {
        operation_id: id,
        kind,
        state: if asked_postgres || job.deliveries == 0 { "queued" } else { "unknown" },
        job: QueuedJob {
            id: job.envelope.id,
            place: place(&view.place),
            attempt: job.attempt,
            enqueued_at: Some(rfc3339(job.enqueued_at)),
        },
        detail: (!asked_postgres).then_some("Postgres does not answer; this is what the queue knows."),
    }
}

/// Shows an operation whose first job died before a worker could make its row.
pub(crate) fn dead(id: OperationId, kind: OperationKind, letter: &DeadLetter) -> Queued {
    Queued {
        operation_id: id,
        kind,
        state: "queued",
        job: QueuedJob {
            id: letter.job_id,
            place: "dead",
            attempt: u32::try_from(letter.attempts).unwrap_or(0),
            enqueued_at: None,
        },
        detail: Some(
            "Nothing was sent to the provider. An operator must release it; do not ask for it anew.",
        ),
    }
}

/// Where a job is, in one word. Which worker has it is none of the caller's business.
const fn place(place: &Place) -> &'static str {
    match place {
        Place::Ready => "ready",
        Place::Delayed { .. } => "delayed",
        Place::Leased { .. } => "leased",
        Place::Dead { .. } => "dead",
    }
}

pub(crate) fn rfc3339(at: Timestamp) -> String {
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}
