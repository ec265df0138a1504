//! `payfleet webhook`: is this delivery the provider's, and one that is. For whoever connects a
//! provider, and needs to see why a signature is refused before money depends on it.

use std::io::{Read as _, Write as _};

use payfleet_core::provider::Provider;
use payfleet_core::{Clock as _, Timestamp};
use payfleet_process::SystemClock;
use payfleet_providers::webhook::{Delivery, Secrets, sign, verify};
use serde::Serialize;

use super::show;

/// No provider sends more.
const LARGEST_BODY: u64 = 1024 * 1024;

/// `payfleet webhook ...`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Verifies the delivery on stdin; prints its event key, or why it is refused
    Verify(Verify),
    /// Signs the body on stdin as the provider would; prints the header, an empty line and the body
    Sign(Sign),
}

/// Options of `payfleet webhook verify`.
#[derive(clap::Args)]
#[command(after_help = "\
The body must be the raw bytes as they came. A secret is seen by whoever may list this machine's
processes: use one of a test account, or a machine of your own.

Examples:
  payfleet webhook verify --provider heleket --secret KEY < body.json
  payfleet webhook verify --provider stripe --secret NEW --secret OLD \\
      --header 'Stripe-Signature: t=1760000000,v1=...' --now 1760000010 < body.json")]
pub(crate) struct Verify {
    /// stripe, tatum, heleket or trovotech
    #[arg(long)]
    provider: Provider,
    /// A secret that is live; repeat it while one replaces another
    #[arg(long, required = true)]
    secret: Vec<String>,
    /// A header of the delivery, as 'Name: value'; repeat it for each
    #[arg(long, value_parser = header)]
    header: Vec<Header>,
    /// The time to verify at, in seconds since 1970 [default: now]
    #[arg(long)]
    now: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of `payfleet webhook sign`.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  payfleet webhook sign --provider tatum --secret KEY < body.json")]
pub(crate) struct Sign {
    /// stripe, tatum, heleket or trovotech
    #[arg(long)]
    provider: Provider,
    /// The shared secret
    #[arg(long)]
    secret: String,
    /// The time to sign at, in seconds since 1970 [default: now]
    #[arg(long)]
    now: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One header, its name in lower case.
#[derive(Clone)]
struct Header {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Accepted {
    event_key: String,
    event_type: String,
}

#[derive(Serialize)]
struct Signed<'a> {
    header: Option<String>,
    body: &'a str,
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Verify(options) => run_verify(options),
        Command::Sign(options) => run_sign(&options),
    }
}

fn run_verify(options: Verify) -> anyhow::Result<()> {
    let Verify { provider, secret, header: headers, now, json } = options;
    let body = stdin()?;
    let header =
        |name: &str| headers.iter().find(|header| header.name == name).map(|header| header.value.as_bytes());
    let secrets = Secrets::new(secret.into_iter().map(Into::into).collect());
    let verified = verify(Delivery { provider, header: &header, body: &body, now: at(now) }, &secrets)?;
    if json {
        let (event_key, event_type) = (verified.event_key, verified.event_type);
        return show::json(&Accepted { event_key, event_type });
    }
    println!("{}", verified.event_key);
    Ok(())
}

fn run_sign(options: &Sign) -> anyhow::Result<()> {
    let body = stdin()?;
    let secret = options.secret.as_str().into();
    let signed = sign(options.provider, &body, &secret, at(options.now))?;
    let header = signed.header.map(|(name, value)| format!("{name}: {value}"));
    if options.json {
        let body = std::str::from_utf8(&signed.body)?;
        return show::json(&Signed { header, body });
    }
    let mut out = std::io::stdout().lock();
    if let Some(header) = header {
        writeln!(out, "{header}")?;
    }
    writeln!(out)?;
    out.write_all(&signed.body)?;
    Ok(out.flush()?)
}

fn at(unix_s: Option<i64>) -> Timestamp {
    unix_s.map_or_else(|| SystemClock.now(), |s| Timestamp::from_unix_ms(s.saturating_mul(1000)))
}

fn stdin() -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    std::io::stdin().lock().take(LARGEST_BODY.saturating_add(1)).read_to_end(&mut body)?;
    let size = u64::try_from(body.len())?;
    anyhow::ensure!(size <= LARGEST_BODY, "the body on stdin is larger than 1 MiB");
    Ok(body)
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or("must be 'Name: value'")?;
    Ok(Header { name: name.trim().to_ascii_lowercase(), value: value.trim().to_owned() })
}
