//! `payfleet dev`: a whole fleet on one machine. Redis, Postgres, producer and workers are real
//! processes; only the providers are sandboxes. Nothing of it outlives the command.

mod board;
mod demo;
mod fleet;
mod once;
mod programs;
mod report;
mod sandboxes;
mod stores;

use std::path::PathBuf;
use std::time::Duration;

use payfleet_process::{Settings, Telemetry, TelemetrySettings, shutdown_signal, telemetry};

use fleet::{Fleet, Plan};

const NOTES: &str = "\
Data is kept in .payfleet (--dir says where else): the next run goes on with it. Where REDIS_URL or
DATABASE_URL is set, that server is used instead of a private one, under keys that start with
payfleet-dev and in a database named payfleet_dev: never what is there already.

Programs that are needed: redis-server, postgres (deploy/install.sh installs them), and
payfleet-producer and payfleet-worker beside this one (cargo build -p payfleet-producer -p payfleet-worker).

Examples:
  payfleet dev                     until Ctrl-C, with a trickle of demo traffic
  payfleet dev --no-demo           without it
  payfleet dev --once              a finite demo; exits non-zero unless all of it settles and balances
  payfleet dev --once --json       the same, for programs";

/// Options of `payfleet dev`.
#[derive(clap::Args)]
#[command(after_help = NOTES)]
pub(crate) struct Options {
    /// Run a finite demo to its end, print a summary, and fail unless everything settled
    #[arg(long)]
    once: bool,
    /// Print the summary as JSON
    #[arg(long, requires = "once")]
    json: bool,
    /// Where data, logs and pid files go [default: .payfleet; with --once a temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The producer's port, 0 for any that is free [default: 8080 if it is free, else any; with --once any]
    #[arg(long)]
    port: Option<u16>,
    /// How many workers to run
    #[arg(long, default_value_t = 2)]
    workers: u16,
    /// No demo traffic
    #[arg(long, conflicts_with = "once")]
    no_demo: bool,
    /// How long the demo of --once may take, in seconds
    #[arg(long, default_value_t = 120)]
    timeout_s: u64,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let _telemetry = say_warnings()?;
    let stop = shutdown_signal();
    let temporary = match (&options.dir, options.once) {
        (None, true) => Some(tempfile::Builder::new().prefix("payfleet-").tempdir()?),
        _ => None,
    };
    let dir = match (&options.dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => PathBuf::from(".payfleet"),
    };
    let plan = Plan { dir, port: options.port, workers: options.workers, is_throwaway: options.once };
    // Whatever is running when the signal comes is dropped, and what is dropped is stopped.
    let fleet = tokio::select! {
        fleet = Fleet::start(plan) => fleet?,
        () = stop.cancelled() => return Ok(()),
    };
    let result = tokio::select! {
        result = serve(&fleet, &options) => result,
        () = stop.cancelled() => interrupted(&options),
    };
    fleet.stop().await;
    if result.is_err()
        && let Some(temporary) = temporary
    {
        eprintln!("Its logs are in {}.", temporary.keep().display());
    }
    result
}

async fn serve(fleet: &Fleet, options: &Options) -> anyhow::Result<()> {
    if options.once {
        return once::run(fleet, Duration::from_secs(options.timeout_s), options.json).await;
    }
    println!("{}", fleet.addresses());
    let traffic =
        async { if options.no_demo { std::future::pending().await } else { demo::trickle(fleet).await } };
    tokio::select! {
        result = board::show(fleet) => result,
        result = traffic => result,
        error = fleet.until_something_ends() => Err(error),
    }
}

fn interrupted(options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(!options.once, "interrupted before the demo was over");
    eprintln!("\nStopping; data stays for the next run.");
    Ok(())
}

/// Our own log: warnings, for people, unless LOG and `LOG_FORMAT` say otherwise.
fn say_warnings() -> anyhow::Result<Telemetry> {
    let mut variables = programs::inherited();
    variables.entry("LOG".to_owned()).or_insert_with(|| "warn".to_owned());
    variables.entry("LOG_FORMAT".to_owned()).or_insert_with(|| "pretty".to_owned());
    let mut settings = Settings::from_map(variables);
    let telemetry = TelemetrySettings::read(&mut settings);
    settings.finish()?;
    Ok(telemetry::init("payfleet", &telemetry)?)
}
