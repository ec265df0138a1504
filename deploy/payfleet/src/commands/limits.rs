//! `payfleet limits`: how often the fleet may call its providers now, which it does not call, and
//! setting it otherwise while a provider has another day than it publishes.

use payfleet_queue::Queue;
use payfleet_queue::limits::{
    BreakerState, Circuit, ForcedBreaker, ForcedLimiter, Limit, Limiter, LimiterState,
};
use payfleet_worker::weather::parse_rate;
use serde_json::json;

use super::said::Said;
use super::show;
use super::stores::Redis;

/// Subcommands of `payfleet limits`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists limiters and circuit breakers as they are now
    #[command(after_help = "\
Shows what workers have used, as service:account:class. A limiter is lowered when the provider asks to
slow down, and grows back within a minute. A breaker opens when too many calls fail, and closes when a
probe succeeds. What they hold back is put off and spends nothing.

Example:
  payfleet limits list --json")]
    List(List),
    /// Sets another limit for the whole fleet, whatever the workers' settings say
    #[command(after_help = "\
Nine tenths of it are used, as of any limit.

Example:
  payfleet limits set heleket:default:all 5/s --author on-call --reason 'they asked us to, ticket 7'")]
    Set(Set),
    /// Lets no call through until it is reset
    #[command(after_help = "\
Example:
  payfleet limits stop heleket:default:all --author on-call --reason 'wrong payouts, looking'")]
    Stop(Change),
    /// Takes back what was set or stopped: the workers' settings hold again
    #[command(after_help = "\
Example:
  payfleet limits reset heleket:default:all --author on-call --reason 'over'")]
    Reset(Change),
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    redis: Redis,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Set {
    #[command(flatten)]
    change: Change,
    /// How often: 5/s, 100/m, 10/10s
    #[arg(value_parser = rate)]
    rate: Limit,
}

#[derive(clap::Args)]
pub(crate) struct Change {
    #[command(flatten)]
    redis: Redis,
    /// Its name, as payfleet limits list shows it
    limiter: String,
    #[command(flatten)]
    said: Said,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Set(options) => {
            let (limiter, why) = opened(&options.change).await?;
            limiter.set(Some(options.rate), &why).await?;
            println!("{}: {} calls in {:?}", limiter.name(), options.rate.count, options.rate.window);
            Ok(())
        }
        Command::Stop(change) => {
            let (limiter, why) = opened(&change).await?;
            limiter.force(Some(ForcedLimiter::Stop), &why).await?;
            println!("{}: stopped; payfleet limits reset lets it go on", limiter.name());
            Ok(())
        }
        Command::Reset(change) => {
            let (limiter, why) = opened(&change).await?;
            limiter.force(None, &why).await?;
            limiter.set(None, &why).await?;
            println!("{}: as the workers' settings say", limiter.name());
            Ok(())
        }
    }
}

/// A limiter that workers use, and why it is changed. A name that nobody uses would change nothing.
async fn opened(change: &Change) -> anyhow::Result<(Limiter, String)> {
    let why = change.said.words()?;
    let queue = change.redis.open()?;
    let is_known = queue.limiters().await?.iter().any(|state| state.name == change.limiter);
    anyhow::ensure!(
        is_known,
        "no worker has used a limiter called {}; payfleet limits list shows those there are",
        change.limiter
    );
    Ok((queue.known_limiter(&change.limiter)?, why))
}

fn rate(text: &str) -> Result<Limit, String> {
    let rate = parse_rate(text)?;
    Ok(Limit::per(rate.count, rate.window))
}

async fn list(options: &List) -> anyhow::Result<()> {
    let queue: Queue = options.redis.open()?;
    let (limiters, breakers) = (queue.limiters().await?, queue.breakers().await?);
    if options.json {
        return show::json(&json!({ "limiters": limiters, "breakers": breakers }));
    }
    if limiters.is_empty() && breakers.is_empty() {
        println!("No worker has called a provider yet, of the fleet under {}.", queue.config().prefix);
        return Ok(());
    }
    let rows: Vec<_> = limiters.iter().map(limiter).collect();
    println!("{}\n", show::table(&["LIMITER", "LIMIT", "NOW", "FREE", "WHY"], &rows));
    let rows: Vec<_> = breakers.iter().map(breaker).collect();
    println!("{}", show::table(&["BREAKER", "STATE", "ANSWERED", "FAILED", "WHY"], &rows));
    Ok(())
}

fn limiter(state: &LimiterState) -> Vec<String> {
    let now = match &state.forced {
        Some(forced) if forced.to == ForcedLimiter::Stop => "stopped".to_owned(),
        _ if !state.resumes_in.is_zero() => format!("in {:.0?}", state.resumes_in),
        _ => format!("{} %", state.percent),
    };
    let forced = state.forced.as_ref().map(|forced| &forced.note);
    let why = forced.or(state.lowered.as_ref()).or(state.set.as_ref());
    let why =
        why.map_or_else(String::new, |note| format!("{} since {}", note.reason, show::moment(note.since)));
    let limit = format!("{} in {:?}", state.limit.count, state.limit.window);
    vec![state.name.clone(), limit, now, state.available.to_string(), why]
}

fn breaker(state: &BreakerState) -> Vec<String> {
    let circuit = match (&state.forced, state.circuit) {
        (Some(forced), _) if forced.to == ForcedBreaker::Open => "forced open".to_owned(),
        (Some(_), _) => "forced closed".to_owned(),
        (None, Circuit::Closed) => "closed".to_owned(),
        (None, Circuit::Open { until }) => format!("open until {}", show::moment(until)),
        (None, Circuit::HalfOpen) => "half open".to_owned(),
    };
    let note = state.forced.as_ref().map(|forced| &forced.note).or(state.note.as_ref());
    let why =
        note.map_or_else(String::new, |note| format!("{} since {}", note.reason, show::moment(note.since)));
    vec![state.name.clone(), circuit, state.successes.to_string(), state.failures.to_string(), why]
}
