//! What one request may cost: bytes and time. Every body is read here, whole, before anything else
//! looks at the request; so memory stays flat whatever is sent, and a caller that is refused has
//! been read to the end and sees the answer instead of a reset connection.

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::time::timeout;

use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// The longest body in bytes. In base64 it still fits a job's 256 KiB together with its envelope.
pub(crate) const LONGEST_BODY: usize = 192_000;
/// How much of a body that is too long is read and thrown away before we hang up.
const LONGEST_DRAINED: usize = 1_048_576;

/// Reads the body within the limits and lets the rest of the request take no longer than it may.
pub(crate) async fn bounded(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let allowed = state.request_timeout();
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = match timeout(allowed, read(body, announced)).await {
        Ok(Ok(body)) => body,
        Ok(Err(problem)) => return problem.into_response(),
        Err(_) => return slow().into_response(),
    };
    let request = Request::from_parts(parts, Body::from(body));
    timeout(allowed, next.run(request)).await.unwrap_or_else(|_| out_of_time().into_response())
}

async fn read(body: Body, announced: Option<usize>) -> Result<Bytes, Problem> {
    if announced.is_some_and(|length| length > LONGEST_DRAINED) {
        return Err(too_large());
    }
    let mut chunks = body.into_data_stream();
    let mut held = Vec::with_capacity(announced.unwrap_or(0).min(LONGEST_BODY));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| broken_off(&error))?;
        if held.len().saturating_add(chunk.len()) > LONGEST_BODY {
            drop(held);
            drain(chunks).await;
            return Err(too_large());
        }
        held.extend_from_slice(&chunk);
    }
    Ok(held.into())
}

async fn drain(mut chunks: BodyDataStream) {
    let mut drained = 0_usize;
    while let Some(Ok(chunk)) = chunks.next().await {
        drained = drained.saturating_add(chunk.len());
        if drained > LONGEST_DRAINED {
            return;
        }
    }
}

fn out_of_time() -> Problem {
    let detail = "This took too long. Repeat the request with the same Idempotency-Key.";
    Problem::new(Kind::Unavailable, detail).because("the request timed out")
}

fn too_large() -> Problem {
    Problem::new(Kind::BodyTooLarge, format!("Send a body of at most {LONGEST_BODY} bytes."))
}

fn slow() -> Problem {
    Problem::new(Kind::SlowBody, "Send the whole body at once, then repeat the request.")
}

fn broken_off(error: &axum::Error) -> Problem {
    Problem::new(Kind::BrokenJson, "The body broke off.").because(error)
}
