//! `GET /healthz`: the process is up. `GET /readyz`: it can take work, which needs a Redis that is
//! fit to keep it and nothing else; Postgres is only read for `GET`s, so its absence takes no
//! producer out of rotation.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::problem::{Kind, Problem};
use crate::redis_check::check;
use crate::state::AppState;

/// Answers as long as the process runs.
pub(crate) async fn alive() -> Json<Value> {
    Json(json!({"status": "up"}))
}

/// Answers 200 while Redis can be given work, else 503 with the reason.
pub(crate) async fn ready(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    match check(state.queue()).await {
        Ok(warnings) => Ok(Json(json!({"status": "ready", "warnings": warnings}))),
        // Who asks for readiness runs the fleet: this reason is for them.
        Err(error) => Err(Problem::new(Kind::Unavailable, error.to_string()).because(error)),
    }
}
