//! Operations as the API shows them. Amounts are decimal strings, times RFC 3339 in UTC.

use std::collections::BTreeMap;

use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::{JobId, OperationId, Timestamp};
use payfleet_queue::{JobView, Place};
use payfleet_store::{DeadLetter, OperationView};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::schemas;

/// An operation as a `GET` answers it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OperationOrQueued)]
pub(crate) enum Answer<'a> {
    /// A worker has touched it.
    Shown(Shown<'a>),
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
    kind: OperationKind,
    #[schema(schema_with = schemas::state)]
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::amount)]
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::asset)]
    asset: Option<&'static str>,
    /// What was asked, beside amount and asset.
    #[serde(flatten)]
    #[schema(ignore)]
    asked: BTreeMap<&'static str, Value>,
    /// The provider's id of it, once the provider has answered.
    provider_ref: Option<&'a str>,
    /// The transaction on the chain, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_hash: Option<&'a str>,
    /// What the client needs to go on: a wallet's address, a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a BTreeMap<String, String>>,
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
        kind: row.kind,
        state: row.state.name(),
        amount: money.map(|money| money.amount().to_string()),
        asset: money.map(|money| money.asset().code()),
        asked: row.request.shown(),
        provider_ref: row.state.provider_ref().or(row.provider_ref.as_deref()),
        tx_hash: row.state.tx_hash(),
        result: row.state.facts().filter(|facts| !facts.is_empty()),
        reason: reason(&row.state),
        parked: row.parked.as_deref().map(|reason| Parked { reason, detail: row.parked_reason.as_deref() }),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
    }
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

fn rfc3339(at: Timestamp) -> String {
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}
