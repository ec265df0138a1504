//! `POST /v1/reconciliations` asks for a run that compares a provider's record of a window with ours.
//!
//! As runs themselves, it is for the deployment's own tenant. Whether the provider still has the window
//! is for the worker to find out: the run says so.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use payfleet_core::ids::RequestHash;
use payfleet_core::job::{Dedupe, NewJob, Origin};
use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, JobId, TenantId, Timestamp};
use payfleet_process::current_trace;
use payfleet_queue::Enqueued;
use serde::Serialize;
use serde_json::value::to_raw_value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::json::JsonBody;
use crate::operations::PAYLOAD_VERSION;
use crate::problem::{Decision, Kind, Problem};
use crate::schemas;
use crate::state::AppState;
use crate::unavailable::queue_problem;

/// The longest window.
const LONGEST_MS: i64 = 31 * 24 * 3_600_000;

/// Which record of which window to compare.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "provider": "heleket", "from": "2025-01-30T00:00:00Z", "to": "2025-01-31T00:00:00Z",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct ReconciliationRequest {
    #[schema(schema_with = schemas::provider)]
    provider: String,
    /// From this second.
    #[schema(schema_with = schemas::moment)]
    from: String,
    /// To this second, which is not part of it: at most 31 days later, and not in the future.
    #[schema(schema_with = schemas::moment)]
    to: String,
}

/// A run that will be carried out.
#[derive(Serialize, ToSchema)]
pub(crate) struct Asked {
    #[schema(schema_with = schemas::id)]
    job_id: JobId,
    /// Where the run is listed once a worker has begun it.
    status_url: String,
}

/// Asks for a reconciliation run
#[utoipa::path(post, path = "/v1/reconciliations", operation_id = "create_reconciliation", tag = "operations",
    params(IdempotencyKey), request_body = ReconciliationRequest, responses((status = 202, body = Asked)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    key: IdempotencyKey,
    body: JsonBody,
) -> Result<Response, Problem> {
    if !caller.runs_the_deployment() {
        let detail = "Runs are about the deployment's own accounts; its own tenant asks for them.";
        return Err(Problem::new(Kind::NotFound, detail));
    }
    let mut fields = body.fields()?;
    let asked = read(&mut fields, state.clock().now());
    let asked = fields.finish(asked)?;
    let job = job(&asked, &caller.tenant, &key.0)?;
    let enqueued = state.queue().enqueue(&[job]).await.map_err(|error| queue_problem(&error))?;
    match enqueued.first() {
        Some(Enqueued::Created(job)) => Ok(accepted(*job, "reconciliation enqueued")),
        Some(Enqueued::Existing(job)) => Ok(accepted(*job, "reconciliation repeated")),
        Some(Enqueued::Conflict(_)) => {
            let detail = "Nothing was changed. Send the request as it was first, or use a new key.";
            Err(Problem::new(Kind::IdempotencyConflict, detail))
        }
        None => Err(internal().because("the queue answered nothing for the job")),
    }
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields, now: Timestamp) -> Option<Reconcile> {
    let provider = fields.parsed::<Provider>("provider");
    let (from, to) = (moment(fields, "from"), moment(fields, "to"));
    if to.is_some_and(|to| to > now) {
        fields.refuse("to", "lies in the future: ask for a window that is over");
        return None;
    }
    let (from, to) = (from?, to?);
    let length_ms = to.unix_ms().saturating_sub(from.unix_ms());
    if length_ms <= 0 {
        fields.refuse("to", "must be at least a second after from");
        return None;
    }
    if length_ms > LONGEST_MS {
        fields.refuse("from", "is more than 31 days before to: ask for several windows");
        return None;
    }
    Some(Reconcile { provider: provider?, account: AccountId::default(), from, to })
}

/// Whole seconds: providers know no more.
fn moment(fields: &mut Fields, name: &str) -> Option<Timestamp> {
    let text = fields.moment(name)?;
    let moment = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
    Some(Timestamp::from(moment).whole_second())
}

fn job(asked: &Reconcile, tenant: &TenantId, key: &str) -> Result<NewJob, Problem> {
    let kind = JobKind::Reconcile;
    let payload = to_raw_value(asked).map_err(|error| internal().because(error))?;
    let body_hash = RequestHash::of(payload.get().as_bytes());
    Ok(NewJob {
        id: JobId::named("reconcile asked", &[tenant.as_str().as_bytes(), key.as_bytes()]),
        kind: kind.as_str().to_owned(),
        queue: kind.queue().map_err(|error| internal().because(error))?,
        tenant: tenant.clone(),
        payload,
        payload_version: PAYLOAD_VERSION,
        facts: BTreeMap::from([("provider".to_owned(), asked.provider.to_string())]),
        dedupe: Some(Dedupe { key: format!("reconcile asked:{tenant}:{key}"), body_hash }),
        lane: None,
        priority: kind.policy().priority,
        delay_ms: 0,
        max_attempts: kind.policy().max_attempts,
        deadline: None,
        trace: current_trace(),
        origin: Origin::Api,
        parent: None,
    })
}

fn accepted(job_id: JobId, decision: &'static str) -> Response {
    let status_url = format!("/v1/reconciliations?job_id={job_id}");
    let body = Json(Asked { job_id, status_url });
    (StatusCode::ACCEPTED, Extension(Decision::new(decision)), body).into_response()
}

fn internal() -> Problem {
    Problem::new(Kind::Internal, "Nothing was accepted. Repeat the request with the same key.")
}
