//! `payfleet sandbox`: the four providers alone, for whoever writes an application against them. Their
//! credentials are the same every time, and known to everybody: they listen on this machine only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use payfleet_core::provider::Provider;
use payfleet_process::{SystemClock, shutdown_signal};
use payfleet_providers::sandbox::{self, Options as Settings, Sandbox};

/// Options of `payfleet sandbox`.
#[derive(clap::Args)]
#[command(after_help = "\
What each of them did, and how to make it fail, is under paths that begin with _: GET /_effects,
POST /_faults, POST /_webhooks, and POST /_chain/ethereum/mine at Tatum's.

Examples:
  payfleet sandbox
  payfleet sandbox --listen-base 9100 --webhook-url http://127.0.0.1:8080/webhooks")]
pub(crate) struct Options {
    /// Where what happened is kept, for the next run
    #[arg(long, default_value = ".payfleet/sandbox")]
    dir: PathBuf,
    /// The port of the first; the others take the next three [default: any that are free]
    #[arg(long)]
    listen_base: Option<u16>,
    /// Webhooks go to this URL with /stripe, /tatum, /heleket or /trovotech behind it
    #[arg(long)]
    webhook_url: Option<String>,
    /// How long a payout is in process, and a chain needs for a block, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    settle_ms: u64,
    /// Send webhooks again on the provider's own schedule, a second of which takes so many
    /// milliseconds [default: again soon, and for ever]
    #[arg(long)]
    schedule_second_ms: Option<u64>,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let stop = shutdown_signal();
    let mut running = Vec::new();
    for (number, provider) in (0..).zip(Provider::ALL) {
        let settings = settings(&options, provider, number)?;
        let sandbox = start(provider, settings).await;
        let sandbox = sandbox.with_context(|| format!("the sandbox of {provider} cannot be started"))?;
        println!("{}", described(provider, &sandbox.url()));
        running.push(sandbox);
    }
    println!("\nCtrl-C stops them; what happened is kept in {}.", options.dir.display());
    stop.cancelled().await;
    for sandbox in running {
        sandbox.stop().await;
    }
    Ok(())
}

fn settings(options: &Options, provider: Provider, number: u16) -> anyhow::Result<Settings> {
    let mut settings = Settings::new(options.dir.join(provider.as_str()), Arc::new(SystemClock));
    if let Some(base) = options.listen_base {
        let port = base.checked_add(number).context("--listen-base leaves no room for four ports")?;
        settings.listen = SocketAddr::from(([127, 0, 0, 1], port));
    }
    let webhook_url = options.webhook_url.as_deref().map(|url| url.trim_end_matches('/'));
    settings.webhook_url = webhook_url.map(|url| format!("{url}/{provider}"));
    settings.settle_after = Duration::from_millis(options.settle_ms);
    settings.schedule_second = options.schedule_second_ms.map(Duration::from_millis);
    Ok(settings)
}

async fn start(provider: Provider, settings: Settings) -> anyhow::Result<Sandbox> {
    match provider {
        Provider::Stripe => sandbox::start_stripe(settings).await,
        Provider::Tatum => sandbox::start_tatum(settings).await,
        Provider::Heleket => sandbox::start_heleket(settings).await,
        Provider::TrovoTech => sandbox::start_trovotech(settings).await,
    }
}

/// The settings that lead a program to the sandbox, as environment variables.
fn described(provider: Provider, url: &str) -> String {
    let variables: &[(&str, &str)] = match provider {
        Provider::Stripe => &[
            ("STRIPE_BASE_URL", url),
            ("STRIPE_SECRET_KEY", "sandbox-api-key"),
            ("STRIPE_WEBHOOK_SECRET", "sandbox-secret"),
            ("STRIPE_CONNECT_WEBHOOK_SECRET", "sandbox-secret"),
        ],
        Provider::Tatum => &[
            ("TATUM_BASE_URL", url),
            ("TATUM_API_KEY", "sandbox-api-key"),
            ("TATUM_WEBHOOK_SECRET", "sandbox-secret"),
        ],
        Provider::Heleket => &[
            ("HELEKET_PROJECT_URL", url),
            ("HELEKET_MERCHANT_ID", "sandbox-merchant"),
            ("HELEKET_API_KEY", "sandbox-secret"),
            ("HELEKET_PAYMENT_KEY", "sandbox-payment-key"),
        ],
        Provider::TrovoTech => &[
            ("TROVOTECH_BASE_URL", url),
            ("TROVOTECH_API_KEY", "sandbox-api-key"),
            ("TROVOTECH_ISSUER_ID", "sandbox-issuer"),
            ("TROVOTECH_WEBHOOK_SECRET", "sandbox-secret"),
            ("BANTU_EXPANSION_URL", url),
        ],
    };
    let lines: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_ports_are_taken_in_a_row_or_none() {
        let options = |listen_base| Options {
            dir: PathBuf::from("d"),
            listen_base,
            webhook_url: Some("http://127.0.0.1:8080/webhooks/".to_owned()),
            settle_ms: 0,
            schedule_second_ms: None,
        };
        let last = settings(&options(Some(9_100)), Provider::TrovoTech, 3).unwrap();
        assert_eq!(last.listen.port(), 9_103);
        assert_eq!(last.webhook_url.as_deref(), Some("http://127.0.0.1:8080/webhooks/trovotech"));
        assert!(settings(&options(Some(u16::MAX)), Provider::Tatum, 1).is_err());
    }
}
