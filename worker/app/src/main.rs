//! `payfleet-worker`: leases jobs from Redis and carries them out.

use std::process::ExitCode;

use clap::Parser;
use payfleet_process::{Settings, TelemetrySettings, shutdown_signal, telemetry};
use payfleet_worker::{Config, config, run};

/// Leases jobs from Redis and carries them out. Any number of workers may run; they share the work.
#[derive(Parser)]
#[command(name = "payfleet-worker", version, after_help = config::VARIABLES)]
struct Arguments {}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    let mut settings = Settings::from_env();
    let telemetry = TelemetrySettings::read(&mut settings);
    let config = Config::read(&mut settings);
    let config = match (settings.finish(), config) {
        (Ok(()), Some(config)) => config,
        (Err(mistakes), _) => {
            eprintln!("payfleet-worker cannot start:\n{mistakes}");
            return ExitCode::from(2);
        }
        (Ok(()), None) => return ExitCode::from(2),
    };
    let _telemetry = match telemetry::init("payfleet-worker", &telemetry) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("payfleet-worker cannot start: {error}");
            return ExitCode::from(2);
        }
    };
    match run(config, shutdown_signal()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("Stopped: {error}");
            ExitCode::FAILURE
        }
    }
}
