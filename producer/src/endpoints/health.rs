//! `GET /healthz`: the process is up. `GET /readyz`: it can take work, which needs Redis and nothing
//! else; Postgres is only read for `GET`s, so its absence takes no producer out of rotation.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::state::AppState;
use crate::unavailable::queue_problem;

/// Answers as long as the process runs.
pub(crate) async fn alive() -> Json<Value> {
    Json(json!({"status": "up"}))
}

/// Answers 200 while Redis does.
pub(crate) async fn ready(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    state.queue().ping().await.map_err(|error| queue_problem(&error))?;
    Ok(Json(json!({"status": "ready"})))
}
