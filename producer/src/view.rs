//! Operations as the API shows them. Amounts are decimal strings, times RFC 3339 in UTC.

use payfleet_core::address::Network;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::kinds::mint::{AssetMetadata, AssetType, Percent, Share};
use payfleet_core::kinds::payout::Payout;
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_core::{JobId, OperationId, Timestamp};
use payfleet_queue::{JobView, Place};
use payfleet_store::{DeadLetter, OperationView};
use serde::Serialize;
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
    #[schema(schema_with = schemas::amount)]
    amount: String,
    #[schema(schema_with = schemas::asset)]
    asset: &'static str,
    #[serde(flatten)]
    #[schema(ignore)]
    asked: Asked<'a>,
    /// The provider's id of it, once the provider has answered.
    provider_ref: Option<&'a str>,
    /// The transaction on the chain, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_hash: Option<&'a str>,
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

/// What was asked, beside amount and asset.
#[derive(Serialize)]
#[serde(untagged)]
enum Asked<'a> {
    Payout {
        network: Network,
        address: &'a str,
        reference: Option<&'a str>,
    },
    Mint {
        network: Network,
        asset_id: &'a str,
        asset_type: AssetType,
        asset_metadata: &'a AssetMetadata,
        investor_wallet: &'a str,
        fraction_owned: Percent,
    },
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
    let (tx_hash, reason) = details(&row.state);
    Shown {
        operation_id: row.id,
        kind: row.kind,
        state: row.state.name(),
        amount: money.amount().to_string(),
        asset: money.asset().code(),
        asked: asked(&row.request),
        provider_ref: row.state.provider_ref().or(row.provider_ref.as_deref()),
        tx_hash,
        reason,
        parked: row.parked.as_deref().map(|reason| Parked { reason, detail: row.parked_reason.as_deref() }),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
    }
}

fn asked(request: &Request) -> Asked<'_> {
    match request {
        Request::Payout(Payout { network, address, reference, .. }) => {
            Asked::Payout { network: *network, address, reference: reference.as_deref() }
        }
        Request::Mint(Share { asset_id, asset_type, metadata, wallet, percent, .. }) => Asked::Mint {
            network: request.network(),
            asset_id,
            asset_type: *asset_type,
            asset_metadata: metadata,
            investor_wallet: wallet,
            fraction_owned: *percent,
        },
    }
}

/// The transaction's hash, and the reason that goes with the state.
fn details(state: &State) -> (Option<&str>, Option<&str>) {
    match state {
        State::Accepted { tx_hash, .. } => (tx_hash.as_deref(), None),
        State::Quarantined { difference, .. } => (None, Some(difference)),
        State::Failed { reason } => (None, Some(reason)),
        State::Requested
        | State::Submitting { .. }
        | State::Retrying { .. }
        | State::InDoubt { .. }
        | State::Settled { .. } => (None, None),
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
