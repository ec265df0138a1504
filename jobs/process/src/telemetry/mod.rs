//! Logs and traces. Logs are one JSON object per line on stderr, each with the W3C trace id of its
//! span; spans go to an OpenTelemetry collector where one is configured.
//!
//! Telemetry never holds up a payment: both writers are threads behind bounded queues, which drop
//! what a blocked sink does not take. A trace id exists with or without a collector, so that one id
//! runs from the HTTP request through Redis to the worker's last log line.

mod log;
mod trace;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::Settings;
pub use log::LogFormat;
pub use trace::{continue_trace, current_trace};

/// How long a stopping process waits for the collector to take the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// What to log, how, and where spans go.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    format: LogFormat,
    filter: String,
    endpoint: Option<String>,
}

impl TelemetrySettings {
    /// Reads `LOG_FORMAT` (`json` or `pretty`; default `json`), `LOG` (a filter such as
    /// `info,payfleet_queue=debug`; default `info`) and `OTEL_EXPORTER_OTLP_ENDPOINT` (the
    /// collector's base URL; without it nothing is exported).
    pub fn read(settings: &mut Settings) -> Self {
        let format = settings.or("LOG_FORMAT", LogFormat::Json);
        let filter = settings.or("LOG", "info".to_owned());
        if let Err(error) = filter.parse::<EnvFilter>() {
            settings.mistake("LOG", format!("is no filter such as info,payfleet_queue=debug ({error})"));
        }
        let endpoint: Option<String> = settings.optional("OTEL_EXPORTER_OTLP_ENDPOINT");
        if endpoint.as_deref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
        {
            settings.mistake(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "must be an http:// or https:// URL such as http://localhost:4318 (OTLP over HTTP)",
            );
        }
        Self { format, filter, endpoint }
    }
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG` is no filter.
    #[error("LOG is no filter such as info,payfleet_queue=debug")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The exporter refused its settings.
    #[error("spans cannot be exported to OTEL_EXPORTER_OTLP_ENDPOINT")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// `init` ran twice in this process.
    #[error("telemetry is set up already")]
    AlreadySet(#[source] tracing_subscriber::util::TryInitError),
}

/// Keeps logs and traces flowing; dropping it flushes both.
pub struct Telemetry {
    provider: SdkTracerProvider,
    dropped_lines: ErrorCounter,
    /// Dropped last: what the flush itself has to say is still written.
    _log_writer: WorkerGuard,
}

impl Telemetry {
    /// How many log lines a blocked stderr has cost so far.
    #[must_use]
    pub fn dropped_log_lines(&self) -> usize {
        self.dropped_lines.dropped_lines()
    }

    /// Writes what is still buffered. Waits a few seconds at most.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let dropped = self.dropped_log_lines();
        if dropped > 0 {
            tracing::warn!(log.dropped_lines = dropped, "Log lines were dropped: stderr was not read.");
        }
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "The last spans were not exported.");
        }
    }
}

/// Sets up logs, traces and the panic hook for this process. Call it once, in `main`.
///
/// # Errors
/// [`TelemetryError`]; a collector that cannot be reached is none: its spans are dropped.
pub fn init(service: &'static str, settings: &TelemetrySettings) -> Result<Telemetry, TelemetryError> {
    let filter: EnvFilter = settings.filter.parse().map_err(TelemetryError::Filter)?;
    let provider = trace::provider(service, settings.endpoint.as_deref())?;
    let (writer, log_writer) = log::stderr_writer();
    let dropped_lines = writer.error_counter();
    // Trace ids must exist whatever LOG hides, and the exporter's own HTTP client must not be traced.
    let scope = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(["hyper", "hyper_util", "h2", "reqwest"].map(|name| (name, LevelFilter::OFF)));
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer(service)).with_filter(scope);
    tracing_subscriber::registry()
        .with(traces)
        .with(log::layer(settings.format, writer).with_filter(filter))
        .try_init()
        .map_err(TelemetryError::AlreadySet)?;
    log::panics();
    Ok(Telemetry { provider, dropped_lines, _log_writer: log_writer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_mistakes_that_name_the_variable() {
        let wrong = [
            ("LOG", "payfleet=loudly"),
            ("LOG_FORMAT", "xml"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ];
        let map = wrong.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut settings = Settings::from_map(map);
        TelemetrySettings::read(&mut settings);
        let mistakes = settings.finish().unwrap_err();
        for (name, _) in wrong {
            assert!(mistakes.lines().iter().any(|line| line.starts_with(name)), "{name}: {mistakes}");
        }
    }
}
