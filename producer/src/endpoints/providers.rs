//! `GET /v1/providers`: how it stands with each provider; `POST /v1/providers/{name}/test` has a worker
//! find out whether it lets us in.
//!
//! Providers are the deployment's, not one tenant's: they are shown to its own tenant, `default`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use payfleet_core::JobId;
use payfleet_core::job::Origin;
use payfleet_core::kinds::control::Control;
use payfleet_core::provider::Provider;
use payfleet_process::current_trace;
use payfleet_store::{ConnectionTest, ProviderHealth, SecretUse};
use serde::Serialize;
use tracing::Span;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::operations::listed;
use crate::parameters::Parameters;
use crate::problem::{Decision, Kind, Problem};
use crate::schemas;
use crate::state::AppState;
use crate::unavailable::queue_problem;
use crate::view::rfc3339;

/// How it stands with a provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(schema_with = schemas::provider)]
    provider: &'static str,
    webhooks: WebhookHealth,
    /// The last test of the connection; null where none was made.
    last_test: Option<LastTest>,
}

/// How it stands with a provider's webhooks.
#[derive(Serialize, ToSchema)]
struct WebhookHealth {
    /// Whether this producer has a secret for them; without one it takes none.
    is_configured: bool,
    /// The secrets that this producer takes.
    secrets: Vec<Secret>,
    /// When the last one reached us.
    last_event_at: Option<String>,
    /// How many of the last day could not be read, or need a person.
    failed_last_day: i64,
}

/// A secret that webhooks are verified with.
#[derive(Serialize, ToSchema)]
struct Secret {
    /// Tells it from the others, and nothing else.
    fingerprint: String,
    /// When the first event that was signed with it reached us; null where none has.
    first_used_at: Option<String>,
    /// When a late one did: the last one came within the hour after.
    last_used_at: Option<String>,
}

/// What a test of a connection found.
#[derive(Serialize, ToSchema)]
struct LastTest {
    /// The job that made it.
    #[schema(schema_with = schemas::id)]
    job_id: JobId,
    #[schema(schema_with = schemas::moment)]
    tested_at: String,
    /// The worker that made it.
    worker: String,
    /// Whether the provider let us in.
    works: bool,
    /// How it failed, in short.
    code: Option<String>,
    /// The same in words.
    detail: Option<String>,
    /// The status of its answer; null where there was none.
    http_status: Option<u16>,
    /// How long it took in milliseconds, with the wait at our own limits.
    duration_ms: u64,
}

/// Every provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct Providers {
    providers: Vec<Health>,
}

/// That a test is in the queue.
#[derive(Serialize, ToSchema)]
pub(crate) struct Testing {
    /// The job; `last_test` names it once it is done.
    #[schema(schema_with = schemas::id)]
    job_id: JobId,
    /// Where to ask what it found.
    status_url: String,
}

/// Whose.
#[derive(utoipa::IntoParams)]
#[into_params(names("provider"), parameter_in = Path)]
#[expect(dead_code, reason = "the contract's words for what the path names")]
struct Name(#[param(schema_with = schemas::provider)] String);

/// Tells how it stands with each provider
#[utoipa::path(get, path = "/v1/providers", operation_id = "list_providers", tag = "operations",
    responses((status = 200, body = Providers)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let mut providers = Vec::new();
    if caller.runs_the_deployment() {
        for provider in Provider::ALL {
            providers.push(health(&state, provider).await?);
        }
    }
    Ok(Json(Providers { providers }).into_response())
}

/// Tells how it stands with a provider
#[utoipa::path(get, path = "/v1/providers/{provider}", operation_id = "show_provider", tag = "operations",
    params(Name), responses((status = 200, body = Health)))]
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Caller,
    provider: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let provider = named(&caller, provider)?;
    Ok(Json(health(&state, provider).await?).into_response())
}

/// Tests the connection to a provider
///
/// A worker makes one call that changes nothing there, within the fleet's limits like any other. What it
/// found is the provider's `last_test`, under the job's id.
#[utoipa::path(post, path = "/v1/providers/{provider}/test", operation_id = "test_provider", tag = "operations",
    params(Name), responses((status = 202, body = Testing)))]
pub(crate) async fn test(
    State(state): State<AppState>,
    caller: Caller,
    provider: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let provider = named(&caller, provider)?;
    let job = Control::TestConnection { provider }.job(state.clock().now(), Origin::Admin, current_trace());
    let job = job.map_err(|error| Problem::new(Kind::Internal, "Nothing was tested.").because(error))?;
    let job_id = job.id;
    Span::current().record("job.id", job_id.to_string());
    state.queue().enqueue(&[job]).await.map_err(|error| queue_problem(&error))?;
    let body = Testing { job_id, status_url: format!("/v1/providers/{provider}") };
    Ok((StatusCode::ACCEPTED, Extension(Decision::new("test enqueued")), Json(body)).into_response())
}

fn named(caller: &Caller, name: Result<Path<String>, PathRejection>) -> Result<Provider, Problem> {
    let provider = name.ok().and_then(|Path(name)| name.parse().ok());
    let no_such = || Problem::new(Kind::NotFound, "Providers are stripe, tatum, heleket and trovotech.");
    let provider: Provider = provider.filter(|_| caller.runs_the_deployment()).ok_or_else(no_such)?;
    Span::current().record("provider.name", provider.as_str());
    Ok(provider)
}

async fn health(state: &AppState, provider: Provider) -> Result<Health, Problem> {
    let ProviderHealth { last_event_at, failed_last_day, secrets, last_test } =
        listed(state.store().provider_health(provider)).await?;
    let ours = state.webhook_secrets().of(provider);
    let webhooks = WebhookHealth {
        is_configured: ours.is_configured(),
        secrets: ours.fingerprints().map(|fingerprint| secret(fingerprint, &secrets)).collect(),
        last_event_at: last_event_at.map(rfc3339),
        failed_last_day,
    };
    Ok(Health { provider: provider.as_str(), webhooks, last_test: last_test.map(LastTest::from) })
}

fn secret(fingerprint: &str, known: &[SecretUse]) -> Secret {
    let used = known.iter().find(|one| one.fingerprint == fingerprint);
    Secret {
        fingerprint: fingerprint.to_owned(),
        first_used_at: used.map(|one| rfc3339(one.first_used_at)),
        last_used_at: used.map(|one| rfc3339(one.last_used_at)),
    }
}

impl From<ConnectionTest> for LastTest {
    fn from(test: ConnectionTest) -> Self {
        let (code, detail) = test.result.failure.unzip();
        Self {
            job_id: test.job,
            tested_at: rfc3339(test.tested_at),
            worker: test.worker,
            works: code.is_none(),
            code,
            detail,
            http_status: test.result.http_status,
            duration_ms: test.result.duration_ms,
        }
    }
}
