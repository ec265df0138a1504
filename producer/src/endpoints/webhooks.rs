//! `POST /webhooks/{provider}`: verifies an event over its raw bytes and puts it into the queue, without
//! what would let its bearer act. The worker reads it; here nothing of it is parsed further than its
//! name, and nothing of it is logged.
//!
//! Any failure to enqueue is answered with an error, so that the provider sends it again.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use payfleet_core::TenantId;
use payfleet_core::job::{NewJob, Origin};
use payfleet_core::kinds::JobKind;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::provider::Provider;
use payfleet_process::current_trace;
use payfleet_providers::webhook::{Delivery, Rejected, Verified, verify, without_secrets};
use serde::Serialize;
use serde_json::value::to_raw_value;
use tracing::Span;
use utoipa::ToSchema;

use crate::operations::PAYLOAD_VERSION;
use crate::problem::{Decision, Kind, Problem, Wire};
use crate::schemas;
use crate::state::AppState;
use crate::unavailable::queue_problem;

/// Whose event it is.
#[derive(utoipa::IntoParams)]
#[into_params(names("provider"), parameter_in = Path)]
#[expect(dead_code, reason = "the contract's words for what the path names")]
struct Sender(#[param(schema_with = schemas::provider)] String);

/// That an event is in the queue.
#[derive(Serialize, ToSchema)]
pub(crate) struct Received {
    /// `true`.
    received: bool,
}

/// Takes a provider's event
///
/// The body is what the provider signed, byte for byte. A repetition is answered like the first delivery: the sender need not know.
#[utoipa::path(post, path = "/webhooks/{provider}", operation_id = "receive_webhook", tag = "webhooks",
    params(Sender),
    request_body(content = Vec<u8>, content_type = "application/json"),
    responses(
        (status = 200, body = Received),
        (status = 400, description = "Not what its provider sends.", content_type = "application/problem+json", body = Wire<'static>),
        (status = 401, description = "No live secret made its signature.", content_type = "application/problem+json", body = Wire<'static>),
        (status = 503, description = "Nothing was taken: send it again.", content_type = "application/problem+json", body = Wire<'static>),
    ))]
pub(crate) async fn receive(
    State(state): State<AppState>,
    provider: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let provider = provider
        .ok()
        .and_then(|Path(name)| name.parse::<Provider>().ok())
        .ok_or_else(|| Problem::new(Kind::NotFound, "Providers are stripe, tatum, heleket and trovotech."))?;
    Span::current().record("provider.name", provider.as_str());
    let verified = check(&state, provider, &headers, &body).map_err(rejected)?;
    let body = without_secrets(provider, &body);
    let event = WebhookEvent {
        provider,
        event_key: verified.event_key.clone(),
        body_base64: STANDARD.encode(&body),
        received_at: state.clock().now(),
        secret: Some(verified.secret.clone()),
    };
    let job = job(&event, &verified, &body)?;
    Span::current().record("job.id", job.id.to_string());
    let enqueued = state.queue().enqueue(&[job]).await.map_err(|error| queue_problem(&error))?;
    let decision = match enqueued.first() {
        Some(payfleet_queue::Enqueued::Created(_)) => "webhook enqueued",
        _ => "webhook repeated",
    };
    Ok((Extension(Decision::new(decision)), Json(Received { received: true })).into_response())
}

fn check(
    state: &AppState,
    provider: Provider,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Verified, Rejected> {
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let delivery = Delivery { provider, header: &header, body, now: state.clock().now() };
    verify(delivery, state.webhook_secrets().of(provider))
}

fn rejected(rejected: Rejected) -> Problem {
    let (kind, detail) = match rejected {
        Rejected::NotConfigured => {
            (Kind::WebhookNotConfigured, "Set this provider's webhook secret at the producer.")
        }
        Rejected::MissingSignature | Rejected::BadSignature | Rejected::Stale => {
            (Kind::BadSignature, "Sign the raw body with the current secret, and send it without delay.")
        }
        Rejected::Malformed(_) => (Kind::MalformedWebhook, "Send the event as the provider documents it."),
    };
    Problem::new(kind, detail).because(rejected)
}

/// The job of one event. Another body under the same event key is a job of its own: the worker
/// stores it as a variant and looks it up.
fn job(event: &WebhookEvent, verified: &Verified, body: &[u8]) -> Result<NewJob, Problem> {
    let kind = JobKind::Webhook;
    let provider = event.provider.as_str();
    let internal = || Problem::new(Kind::Internal, "Send the event again.");
    Ok(NewJob {
        id: event.job_id(body),
        kind: kind.as_str().to_owned(),
        queue: kind.queue().map_err(|error| internal().because(error))?,
        tenant: TenantId::default(),
        payload: to_raw_value(event).map_err(|error| internal().because(error))?,
        payload_version: PAYLOAD_VERSION,
        facts: BTreeMap::from([
            ("provider".to_owned(), provider.to_owned()),
            ("event_type".to_owned(), verified.event_type.clone()),
        ]),
        dedupe: Some(event.dedupe(body)),
        lane: None,
        priority: kind.policy().priority,
        delay_ms: 0,
        max_attempts: kind.policy().max_attempts,
        deadline: None,
        trace: current_trace(),
        origin: Origin::Webhook,
        parent: None,
    })
}
