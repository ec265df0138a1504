//! One span and one log line for each request. The span continues the caller's W3C trace, and the
//! trace goes on in the job; the line says what was decided and, where something failed, why.

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use payfleet_core::job::TraceContext;
use payfleet_process::continue_trace;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::problem::Decision;

/// W3C asks for at least this much of a `tracestate` to be passed on; more is dropped.
const LONGEST_TRACESTATE: usize = 512;

/// Runs the request inside its span, then logs what came of it.
pub(crate) async fn observed(request: Request, next: Next) -> Response {
    let span = span_of(&request);
    continue_trace(&span, &incoming_trace(request.headers()));
    let answer = async move {
        let response = next.run(request).await;
        log(&response);
        response
    };
    answer.instrument(span).await
}

fn span_of(request: &Request) -> Span {
    // The route, not the path: paths hold ids and whatever else a stranger puts there.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let method = request.method().as_str();
    tracing::info_span!(
        "http request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        tenant = Empty,
        caller = Empty,
        provider.name = Empty,
        operation.id = Empty,
        job.id = Empty,
    )
}

fn incoming_trace(headers: &HeaderMap) -> TraceContext {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    TraceContext {
        traceparent: header("traceparent"),
        tracestate: header("tracestate").filter(|state| state.len() <= LONGEST_TRACESTATE),
    }
}

fn log(response: &Response) {
    let status = response.status().as_u16();
    Span::current().record("http.response.status_code", status);
    let decided = response.extensions().get::<Decision>();
    let decision = decided.map_or("answered", |decision| decision.name);
    let cause = decided.and_then(|decision| decision.cause.as_deref());
    match status {
        500 => tracing::error!(status, decision, cause, "A request failed."),
        501.. => tracing::warn!(status, decision, cause, "A request could not be taken."),
        400.. => tracing::info!(status, decision, cause, "A request was refused."),
        _ if decision == "answered" => tracing::debug!(status, decision, "A request was answered."),
        _ => tracing::info!(status, decision, "A request was taken."),
    }
}
