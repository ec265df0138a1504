//! Spans: the provider that gives them W3C ids and exports them, and the context that travels with
//! a job from the process that enqueues it to the one that runs it.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use payfleet_core::job::TraceContext;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TelemetryError;

/// A provider of spans for `service`, exporting to the collector at `endpoint` if there is one.
pub(super) fn provider(
    service: &'static str,
    endpoint: Option<&str>,
) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder().with_service_name(service).build();
    let provider = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = endpoint else { return Ok(provider.build()) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .map_err(TelemetryError::Exporter)?;
    Ok(provider.with_batch_exporter(exporter).build())
}

/// The W3C context of the current span, to be put into a job; empty outside of any span.
#[must_use]
pub fn current_trace() -> TraceContext {
    let mut headers = HashMap::new();
    let context = tracing::Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut headers);
    let mut take = |name| headers.remove(name).filter(|value| !value.is_empty());
    TraceContext { traceparent: take("traceparent"), tracestate: take("tracestate") }
}

/// Makes `span` a child of the span that `trace` was taken from. Call it before `span` is entered;
/// a context that is absent or malformed leaves the span the root of a trace of its own.
pub fn continue_trace(span: &tracing::Span, trace: &TraceContext) {
    let headers: HashMap<String, String> =
        [("traceparent", &trace.traceparent), ("tracestate", &trace.tracestate)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
            .collect();
    if headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&headers);
        // Fails where no telemetry is set up (unit tests): there is no trace to continue then.
        let _ = span.set_parent(parent);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn trace_id(context: &TraceContext) -> &str {
        context.traceparent.as_deref().unwrap().split('-').nth(1).unwrap()
    }

    #[test]
    fn one_trace_id_runs_from_the_sender_to_the_receiver_without_a_collector() {
        let provider = provider("test", None).unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")));
        tracing::subscriber::with_default(subscriber, || {
            let sent = tracing::info_span!("request").in_scope(current_trace);
            let received = tracing::info_span!("job");
            continue_trace(&received, &sent);
            let seen = received.in_scope(current_trace);
            assert_eq!(trace_id(&seen), trace_id(&sent));
            assert_ne!(seen, sent, "the receiver has a span of its own");

            let own = tracing::info_span!("job");
            continue_trace(&own, &TraceContext { traceparent: Some("garbage".to_owned()), tracestate: None });
            assert_ne!(trace_id(&own.in_scope(current_trace)), trace_id(&sent));
        });
        assert_eq!(current_trace(), TraceContext::default(), "outside of any span there is no trace");
    }
}
