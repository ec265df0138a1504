//! The producer's process: settings, logs, signals, and the socket.
//!
//! Exit code 0 after a requested stop, 2 where the settings cannot be used, 1 for anything else. On
//! stdout it prints one line, `listening on http://ADDRESS`, once it does.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use payfleet_process::{Settings, TelemetrySettings, shutdown_signal, telemetry};
use payfleet_producer::{AppState, Config};
use tokio::net::TcpListener;

const SETTINGS: &str = "\
Settings are environment variables. Every mistake in them is reported at once, with exit code 2.

Required:
  REDIS_URL      where jobs go: redis://127.0.0.1:6379, rediss://user:password@host:6380/0
  DATABASE_URL   where operations are read from: postgres://payfleet@127.0.0.1:5432/payfleet
  API_TOKENS     who may call: name:tenant:sha256hex, comma-separated; `payfleet hash-token` makes
                 one, sha256hex is the SHA-256 of the token. Example: shop:default:9f86d0...0f00a08

Webhook secrets; without one, the provider's webhooks are answered 503. Each may have a second one
under the same name with _OLD, accepted beside it while it is being replaced:
  STRIPE_WEBHOOK_SECRET, STRIPE_CONNECT_WEBHOOK_SECRET   whsec_... of the two endpoints
  TATUM_WEBHOOK_SECRET                                   the HMAC secret set at Tatum
  HELEKET_API_KEY, HELEKET_PAYMENT_KEY                   the payout and the payment key
  TROVOTECH_WEBHOOK_SECRET                               the HMAC secret agreed with TrovoTech

Optional:
  LISTEN              address and port [127.0.0.1:8080]; port 0 takes a free one
  REDIS_REPLICAS      how many replicas must have a job before it counts as accepted [0]
  REDIS_REPLICAS_MS   how long to wait for them [500]; then the answer is 503
  QUEUE_PREFIX        what the queue's keys start with [payfleet]; the same for all of a fleet
  REQUEST_TIMEOUT_MS  for a body to arrive, and again for the work on it [10000]
  LOG                 what to log, such as info,payfleet_queue=debug [info]
  LOG_FORMAT          json or pretty [json]
  OTEL_EXPORTER_OTLP_ENDPOINT   where spans go, such as http://127.0.0.1:4318 [nowhere]

POST webhooks to /webhooks/stripe, /webhooks/tatum, /webhooks/heleket, /webhooks/trovotech;
requests to /v1/payouts and /v1/mints: GET /openapi.json has them all. GET /healthz: the process
is up; GET /readyz: Redis answers.";

/// Takes webhooks and API requests over HTTP and enqueues them to Redis.
#[derive(Parser)]
#[command(name = "payfleet-producer", version, after_help = SETTINGS)]
struct Arguments {}

/// What `main` starts with.
struct Setup {
    listen: SocketAddr,
    telemetry: TelemetrySettings,
    config: Config,
}

#[tokio::main]
async fn main() -> ExitCode {
    Arguments::parse();
    let setup = match read_setup(Settings::from_env()) {
        Ok(setup) => setup,
        Err(mistakes) => {
            eprintln!("payfleet-producer: {mistakes}");
            return ExitCode::from(2);
        }
    };
    match run(setup).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payfleet-producer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read_setup(mut settings: Settings) -> Result<Setup, String> {
    let telemetry = TelemetrySettings::read(&mut settings);
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let listen = settings.or("LISTEN", default);
    let config = Config::read(&mut settings);
    settings.finish().map_err(|mistakes| mistakes.to_string())?;
    let config = config.ok_or("a required setting is missing")?;
    Ok(Setup { listen, telemetry, config })
}

async fn run(Setup { listen, telemetry: settings, config }: Setup) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("payfleet-producer", &settings)?;
    let state = AppState::open(config).await?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().context("the socket has no address")?;
    // Before anybody is told that we listen, a signal must end us in an orderly way.
    let stop = shutdown_signal();
    tracing::info!(address = %address, "Listening.");
    println!("listening on http://{address}");
    state.serve(listener, stop).await;
    tracing::info!("Stopped.");
    Ok(())
}
