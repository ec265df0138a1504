//! `payfleet providers`: how it stands with each provider, and whether it lets us in.

use std::time::{Duration, Instant};

use anyhow::bail;
use payfleet_core::job::{Origin, TraceContext};
use payfleet_core::kinds::control::Control;
use payfleet_core::provider::Provider;
use payfleet_core::{Clock, JobId};
use payfleet_process::SystemClock;
use payfleet_store::{ConnectionTest, ProviderHealth, SecretUse, Store};
use serde_json::{Value, json};

use super::show;
use super::stores::{Database, Redis};

/// How often it is looked whether a test has ended.
const EVERY: Duration = Duration::from_millis(100);

/// Subcommands of `payfleet providers`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists providers: webhooks, the secrets they were signed with, and the last test
    #[command(after_help = "\
Secrets are told apart by fingerprints. One is as old as the first event that was signed with it; an old
one may go when its last event is older than the provider's retries.

Example:
  payfleet providers list --json")]
    List(List),
    /// Has a worker make one call that changes nothing, and says how it ended
    #[command(after_help = "\
The call goes out with the workers' credentials and within the fleet's limits, like any other.

Exit code: 0 the provider let us in, 1 it did not, or no worker has tried.

Example:
  payfleet providers test stripe")]
    Test(Test),
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Test {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    redis: Redis,
    /// stripe, tatum, heleket or trovotech
    provider: Provider,
    /// How many seconds a worker may take
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Test(options) => test(&options).await,
    }
}

async fn list(options: &List) -> anyhow::Result<()> {
    let store = options.database.open()?;
    let mut all = Vec::new();
    for provider in Provider::ALL {
        all.push((provider, store.provider_health(provider).await?));
    }
    if options.json {
        return show::json(
            &all.iter().map(|(provider, health)| whole(*provider, health)).collect::<Vec<_>>(),
        );
    }
    let rows: Vec<_> = all.iter().map(|(provider, health)| row(*provider, health)).collect();
    println!("{}", show::table(&["PROVIDER", "LAST EVENT", "FAILED IN A DAY", "LAST TEST"], &rows));
    let secrets = all.iter().flat_map(|(provider, health)| {
        health.secrets.iter().map(|secret| {
            let (first, last) = (show::moment(secret.first_used_at), show::moment(secret.last_used_at));
            vec![provider.to_string(), secret.fingerprint.clone(), first, last]
        })
    });
    let secrets: Vec<_> = secrets.collect();
    if !secrets.is_empty() {
        println!("\n{}", show::table(&["PROVIDER", "SECRET", "FIRST USED", "LAST USED"], &secrets));
    }
    Ok(())
}

async fn test(options: &Test) -> anyhow::Result<()> {
    let (store, queue) = (options.database.open()?, options.redis.open()?);
    let provider = options.provider;
    let job = Control::TestConnection { provider };
    let job = job.job(SystemClock.now(), Origin::Admin, TraceContext::default())?;
    let id = job.id;
    queue.enqueue(&[job]).await?;
    let Some(test) = ended(&store, id, Duration::from_secs(options.patience)).await? else {
        bail!("no worker has tested {provider} within {} s: is one running?", options.patience);
    };
    if options.json {
        show::json(&tested(&test))?;
    } else {
        println!("{provider}: {}", words(&test));
    }
    match test.result.failure {
        None => Ok(()),
        Some((code, _)) => bail!("{provider} did not let us in: {code}"),
    }
}

async fn ended(store: &Store, job: JobId, patience: Duration) -> anyhow::Result<Option<ConnectionTest>> {
    let since = Instant::now();
    loop {
        let test = store.connection_test(job).await?;
        if test.is_some() || since.elapsed() >= patience {
            return Ok(test);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn row(provider: Provider, health: &ProviderHealth) -> Vec<String> {
    let last = health.last_event_at.map_or_else(|| "never".to_owned(), show::moment);
    let test = health.last_test.as_ref();
    let test =
        test.map_or_else(String::new, |test| format!("{} at {}", words(test), show::moment(test.tested_at)));
    vec![provider.to_string(), last, health.failed_last_day.to_string(), test]
}

fn words(test: &ConnectionTest) -> String {
    let answer = test.result.http_status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let took = format!("{answer} in {} ms", test.result.duration_ms);
    match &test.result.failure {
        None => format!("works, {took}"),
        Some((_, detail)) => format!("{detail}, {took}"),
    }
}

fn whole(provider: Provider, health: &ProviderHealth) -> Value {
    let secret = |one: &SecretUse| {
        json!({
            "fingerprint": one.fingerprint,
            "first_used_at": show::moment(one.first_used_at),
            "last_used_at": show::moment(one.last_used_at),
        })
    };
    json!({
        "provider": provider,
        "last_event_at": health.last_event_at.map(show::moment),
        "failed_last_day": health.failed_last_day,
        "secrets": health.secrets.iter().map(secret).collect::<Vec<_>>(),
        "last_test": health.last_test.as_ref().map(tested),
    })
}

fn tested(test: &ConnectionTest) -> Value {
    let (code, detail) = test.result.failure.clone().unzip();
    json!({
        "job_id": test.job,
        "tested_at": show::moment(test.tested_at),
        "worker": test.worker,
        "works": code.is_none(),
        "code": code,
        "detail": detail,
        "http_status": test.result.http_status,
        "duration_ms": test.result.duration_ms,
    })
}
