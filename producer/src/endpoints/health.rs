//! `GET /healthz`: the process is up. `GET /readyz`: it can take work, which needs a Redis that is
//! fit to keep it and nothing else; Postgres is only read for `GET`s, so its absence takes no
//! producer out of rotation.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Kind, Problem, Wire};
use crate::redis_check::check;
use crate::state::AppState;

/// That the process runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// `up`.
    status: &'static str,
}

/// That Redis can be given work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `ready`.
    status: &'static str,
    /// What is risky about this Redis.
    warnings: Vec<String>,
}

/// Answers as long as the process runs
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "service",
    responses((status = 200, body = Alive)))]
pub(crate) async fn alive() -> Json<Alive> {
    Json(Alive { status: "up" })
}

/// Answers 200 while Redis can be given work, else 503 with the reason
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "service",
    responses((status = 200, body = Ready), (status = 503, description = "Redis is away or unfit.",
        content_type = "application/problem+json", body = Wire<'static>)))]
pub(crate) async fn ready(State(state): State<AppState>) -> Result<Json<Ready>, Problem> {
    match check(state.queue()).await {
        Ok(warnings) => Ok(Json(Ready { status: "ready", warnings })),
        // Who asks for readiness runs the fleet: this reason is for them.
        Err(error) => Err(Problem::new(Kind::Unavailable, error.to_string()).because(error)),
    }
}
