//! What every operation kind's endpoints do: hand a request over as the first job of its operation,
//! and tell what became of it.
//!
//! Ids are derived from tenant, endpoint and `Idempotency-Key`, so a repetition is answered alike
//! whatever Redis remembers. Postgres is never written, and never needed for a 2xx to a `POST`.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request as HttpRequest};
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use payfleet_core::ids::RequestHash;
use payfleet_core::job::{Dedupe, NewJob, Origin};
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::{Advance, NewOperation, OperationKind, Request};
use payfleet_core::{AccountId, JobId, OperationId};
use payfleet_process::current_trace;
use payfleet_queue::{Enqueued, JobView};
use payfleet_store::{OperationView, StoreError};
use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::time::timeout;
use tracing::Span;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::json::JsonBody;
use crate::problem::{Decision, Kind, Problem};
use crate::schemas;
use crate::state::AppState;
use crate::unavailable::{queue_problem, store_problem};
use crate::view;

/// The version of the payloads written here. A worker that does not know it leaves the job alone.
pub(crate) const PAYLOAD_VERSION: u16 = 1;

/// How long Postgres may take before the queue is asked instead.
const STORE_WITHIN: Duration = Duration::from_secs(2);
/// How long it may take over a list, which only it has: less than a request may.
const LISTED_WITHIN: Duration = Duration::from_secs(8);

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A request for an operation, with all that each of them needs.
pub(crate) struct Post {
    state: AppState,
    caller: Caller,
    key: IdempotencyKey,
    body: JsonBody,
}

impl FromRequest<AppState> for Post {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, state: &AppState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let key = IdempotencyKey::from_request_parts(&mut parts, state).await?;
        let body = JsonBody::from_request(HttpRequest::from_parts(parts, body), state).await?;
        Ok(Self { state: state.clone(), caller, key, body })
    }
}

impl Post {
    /// Accepts what `read` makes of the body. It reads every field before it gives up, so that all
    /// mistakes are reported together.
    pub(crate) async fn accept(
        self,
        read: impl FnOnce(&mut Fields) -> Option<Request> + Send,
    ) -> Result<Response, Problem> {
        let mut fields = self.body.fields()?;
        let request = read(&mut fields);
        let request = fields.finish(request)?;
        accept(&self.state, self.caller, self.key, request).await
    }

    /// Hands over what `read` makes of the body, about an operation that exists: once under its key.
    pub(crate) async fn wish(
        self,
        kind: OperationKind,
        id: Result<Path<String>, PathRejection>,
        read: impl FnOnce(&mut Fields) -> Option<Event> + Send,
    ) -> Result<Response, Problem> {
        let mut fields = self.body.fields()?;
        let event = read(&mut fields);
        let event = fields.finish(event)?;
        hand_over(&self.state, self.caller, kind, id, event, Some(self.key)).await
    }
}

/// Enqueues the first job of what was asked: one round trip to Redis, then 202.
async fn accept(
    state: &AppState,
    caller: Caller,
    key: IdempotencyKey,
    request: Request,
) -> Result<Response, Problem> {
    let new = NewOperation {
        tenant: caller.tenant,
        idempotency_key: key.0,
        account: AccountId::default(),
        request,
    };
    let operation = new.id();
    let endpoint = new.request.kind().endpoint();
    Span::current().record("operation.id", operation.to_string());
    let job = first_job(new)?;
    Span::current().record("job.id", job.id.to_string());
    let enqueued = state.queue().enqueue(&[job]).await.map_err(|error| queue_problem(&error))?;
    match enqueued.first() {
        Some(Enqueued::Created(job)) => Ok(accepted(endpoint, operation, *job, false)),
        Some(Enqueued::Existing(job)) => Ok(accepted(endpoint, operation, *job, true)),
        Some(Enqueued::Conflict(_)) => Err(conflict()),
        None => {
            let detail = "Nothing was confirmed. Repeat the request with the same key.";
            Err(Problem::new(Kind::Internal, detail).because("the queue answered nothing for the job"))
        }
    }
}

/// Makes a wish of what `read` makes of the body, and hands it over.
pub(crate) async fn wish_of(
    state: &AppState,
    caller: Caller,
    kind: OperationKind,
    id: Result<Path<String>, PathRejection>,
    body: &JsonBody,
    read: impl FnOnce(&mut Fields) -> Option<Event> + Send,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let event = read(&mut fields);
    let event = fields.finish(event)?;
    wish(state, caller, kind, id, event).await
}

fn conflict() -> Problem {
    let detail = "Nothing was changed. Send the request as it was first, or use a new key.";
    Problem::new(Kind::IdempotencyConflict, detail)
}

/// Hands a client's wish about an operation over to whoever advances it. Whether it comes in time is
/// for the worker to find out: 202 says that it was heard.
pub(crate) async fn wish(
    state: &AppState,
    caller: Caller,
    kind: OperationKind,
    id: Result<Path<String>, PathRejection>,
    event: Event,
) -> Result<Response, Problem> {
    hand_over(state, caller, kind, id, event, None).await
}

/// Without a key, an event of one name is one event.
async fn hand_over(
    state: &AppState,
    caller: Caller,
    kind: OperationKind,
    id: Result<Path<String>, PathRejection>,
    event: Event,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse::<OperationId>().ok()).ok_or_else(no_such)?;
    // What is not the caller's, or is of another kind, does not exist.
    show(state, &caller, &[kind], Ok(Path(id.to_string()))).await?;
    let internal = || Problem::new(Kind::Internal, "Nothing was accepted. Tell us about it.");
    let job_kind = kind.job_kind();
    let name = event.name();
    let said = serde_json::to_vec(&event).map_err(|error| internal().because(error))?;
    let advance = Advance { operation_id: id, request: None, event: Some(event) };
    let (is_keyed, told_apart_by) = key.map_or((false, said.clone()), |key| (true, key.0.into_bytes()));
    // Without a key, the same wish, sent again, is the same job.
    let job_id = JobId::named(name, &[id.as_uuid().as_bytes(), &told_apart_by]);
    let dedupe = Dedupe { key: job_id.to_string(), body_hash: RequestHash::of(&said) };
    let job = NewJob {
        id: job_id,
        kind: job_kind.as_str().to_owned(),
        queue: job_kind.queue().map_err(|error| internal().because(error))?,
        tenant: caller.tenant,
        payload: to_raw_value(&advance).map_err(|error| internal().because(error))?,
        payload_version: PAYLOAD_VERSION,
        facts: BTreeMap::from([("operation_id".to_owned(), id.to_string())]),
        dedupe: is_keyed.then_some(dedupe),
        lane: None,
        priority: 0,
        delay_ms: 0,
        deadline: None,
        max_attempts: job_kind.policy().max_attempts,
        trace: current_trace(),
        origin: Origin::Api,
        parent: None,
    };
    let enqueued = state.queue().enqueue(&[job]).await.map_err(|error| queue_problem(&error))?;
    match enqueued.first() {
        Some(Enqueued::Conflict(_)) if is_keyed => Err(conflict()),
        Some(Enqueued::Existing(job)) if is_keyed => Ok(accepted(kind.endpoint(), id, *job, true)),
        Some(Enqueued::Created(job) | Enqueued::Existing(job) | Enqueued::Conflict(job)) => {
            Ok(accepted(kind.endpoint(), id, *job, false))
        }
        None => Err(internal().because("the queue answered nothing for the job")),
    }
}

/// The job that brings a new operation to a worker.
fn first_job(new: NewOperation) -> Result<NewJob, Problem> {
    let internal = || Problem::new(Kind::Internal, "Nothing was accepted. Tell us about it.");
    let operation = new.id();
    let kind = new.request.kind().job_kind();
    let money = new.request.money();
    let facts = [
        Some(("operation_id", operation.to_string())),
        Some(("provider", new.request.provider().to_string())),
        money.map(|money| ("amount", money.amount().to_string())),
        money.map(|money| ("asset", money.asset().to_string())),
    ];
    let dedupe = Dedupe { key: operation.to_string(), body_hash: new.request.hash() };
    let tenant = new.tenant.clone();
    let advance = Advance { operation_id: operation, request: Some(new), event: None };
    Ok(NewJob {
        id: JobId::first_of(operation),
        kind: kind.as_str().to_owned(),
        queue: kind.queue().map_err(|error| internal().because(error))?,
        tenant,
        payload: to_raw_value(&advance).map_err(|error| internal().because(error))?,
        payload_version: PAYLOAD_VERSION,
        facts: facts.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect(),
        dedupe: Some(dedupe),
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

/// A request that is in the queue, as durably as the deployment asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    #[schema(schema_with = schemas::id)]
    job_id: JobId,
    #[schema(schema_with = schemas::id)]
    operation_id: OperationId,
    /// Where to ask what became of it.
    status_url: String,
}

fn accepted(endpoint: &str, operation: OperationId, job: JobId, replayed: bool) -> Response {
    let status_url = format!("{endpoint}/{operation}");
    let decision = if replayed { "operation repeated" } else { "operation enqueued" };
    let location = HeaderValue::from_str(&status_url);
    let body = Accepted { job_id: job, operation_id: operation, status_url };
    let answer = (StatusCode::ACCEPTED, Extension(Decision::new(decision)), Json(body));
    let mut response = answer.into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Tells what became of an operation of one of `kinds`: from Postgres, or from the queue while no
/// worker has touched it. What belongs to another tenant, or is of another kind, does not exist.
pub(crate) async fn show(
    state: &AppState,
    caller: &Caller,
    kinds: &[OperationKind],
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse::<OperationId>().ok()).ok_or_else(no_such)?;
    Span::current().record("operation.id", id.to_string());
    let row = read_row(state, caller, kinds, id).await;
    if let Ok(Some(row)) = &row {
        return Ok(shown(row));
    }
    let job = find_job(state, kinds, id).await;
    match (row, job) {
        (_, Ok(Some((_, job)))) if job.job.envelope.tenant != caller.tenant => Err(no_such()),
        (row, Ok(Some((kind, job)))) => {
            let queued = view::queued(id, kind, &job, row.is_ok());
            Ok(Json(view::Answer::Queued(queued)).into_response())
        }
        // A worker may have taken the job between the two looks.
        (Ok(_), Ok(None)) => match read_row(state, caller, kinds, id).await? {
            Some(row) => Ok(shown(&row)),
            None => show_dead(state, caller, kinds, id).await,
        },
        (Err(problem), _) | (Ok(_), Err(problem)) => Err(problem),
    }
}

fn shown(row: &OperationView) -> Response {
    Json(view::Answer::Shown(Box::new(view::operation(row)))).into_response()
}

/// The first job of an operation, in the queue of the one kind it can be of.
async fn find_job(
    state: &AppState,
    kinds: &[OperationKind],
    id: OperationId,
) -> Result<Option<(OperationKind, JobView)>, Problem> {
    for kind in kinds {
        let queue = kind.job_kind().queue();
        let queue = queue.map_err(|error| Problem::new(Kind::Internal, "").because(error))?;
        let job = state.queue().find(&queue, JobId::first_of(id)).await;
        if let Some(job) = job.map_err(|error| queue_problem(&error))? {
            return Ok(Some((*kind, job)));
        }
    }
    Ok(None)
}

/// Its first job died before a worker could make its row: it was accepted, and nobody has acted on
/// it. To say that there is no such operation would invite a second payment under a new key.
async fn show_dead(
    state: &AppState,
    caller: &Caller,
    kinds: &[OperationKind],
    id: OperationId,
) -> Result<Response, Problem> {
    let letter = asked(state.store().dead_letter(JobId::first_of(id))).await?;
    let letter = letter.filter(|letter| letter.tenant == caller.tenant.as_str()).ok_or_else(no_such)?;
    let kind = kinds.iter().find(|kind| kind.job_kind().as_str() == letter.kind).ok_or_else(no_such)?;
    Ok(Json(view::Answer::Queued(view::dead(id, *kind, &letter))).into_response())
}

/// What Postgres answers about one operation, if it does in time.
async fn asked<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    within(STORE_WITHIN, answer).await
}

/// What Postgres answers about many, if it does in time.
pub(crate) async fn listed<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    within(LISTED_WITHIN, answer).await
}

async fn within<T>(
    longest: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Problem> {
    let answer = timeout(longest, answer).await;
    let answer = answer.map_err(|_| store_problem("Postgres did not answer in time"))?;
    answer.map_err(|error| store_problem(&error))
}

async fn read_row(
    state: &AppState,
    caller: &Caller,
    kinds: &[OperationKind],
    id: OperationId,
) -> Result<Option<OperationView>, Problem> {
    match asked(state.store().operation(id)).await? {
        Some(row) if row.tenant != caller.tenant || !kinds.contains(&row.kind) => Err(no_such()),
        row => Ok(row),
    }
}

fn no_such() -> Problem {
    let detail = "Nothing here has this id. Use the status_url of the answer to your request.";
    Problem::new(Kind::NotFound, detail)
}
