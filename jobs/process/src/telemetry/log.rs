//! Log lines: their format, the thread that writes them, and panics as log lines.

use std::fmt;
use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{self as lines, FmtContext};
use tracing_subscriber::registry::LookupSpan;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// For people at a terminal.
    Pretty,
}

/// No log format has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be json or pretty")]
pub struct UnknownLogFormat;

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(name: &str) -> Result<Self, UnknownLogFormat> {
        match name {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err(UnknownLogFormat),
        }
    }
}

/// How many lines may wait for stderr before further ones are dropped.
const BUFFERED_LINES: usize = 16_384;

/// A writer that never blocks its caller, and the guard that flushes it.
pub(super) fn stderr_writer() -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(BUFFERED_LINES)
        .thread_name("log-writer")
        .finish(std::io::stderr())
}

/// The layer that turns events into lines.
pub(super) fn layer<S>(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = lines::layer().with_writer(writer);
    match format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .map_event_format(|inner| WithTraceId { inner })
            .boxed(),
        LogFormat::Pretty => layer.compact().boxed(),
    }
}

/// Puts the trace id first in a JSON line.
struct WithTraceId<F> {
    inner: F,
}

impl<S, N, F> FormatEvent<S, N> for WithTraceId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let trace = Context::current().span().span_context().clone();
        if !trace.is_valid() {
            return self.inner.format_event(ctx, writer, event);
        }
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(writer, r#"{{"trace_id":"{}",{rest}"#, trace.trace_id()),
            None => writer.write_str(&line),
        }
    }
}

/// Panics become log lines like any other, instead of text that a log collector cannot read.
pub(super) fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(panic.message = message, panic.location = location, "A thread panicked.");
    }));
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::trace;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_json_line_of_a_span_carries_the_trace_id_that_travels_with_a_job() {
        let provider = trace::provider("test", None).unwrap();
        let output = Captured::default();
        let (writer, guard) = NonBlockingBuilder::default().finish(output.clone());
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
            .with(layer(LogFormat::Json, writer));
        let sent = tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", job.id = "j1").entered();
            tracing::info!(attempt.number = 2, "Said inside.");
            trace::current_trace().traceparent.unwrap()
        });
        drop(guard);
        let line = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let trace_id = sent.split('-').nth(1).unwrap();
        assert!(line.starts_with(&format!(r#"{{"trace_id":"{trace_id}","#)), "{line}");
        for part in [r#""message":"Said inside.""#, r#""attempt.number":2"#, r#""job.id":"j1""#] {
            assert!(line.contains(part), "{line}");
        }
    }
}
