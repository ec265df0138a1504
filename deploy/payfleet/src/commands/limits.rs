//! `payfleet limits`: how often the fleet may call its providers now, and which it does not call.

use payfleet_queue::limits::{BreakerState, Circuit, ForcedBreaker, ForcedLimiter, LimiterState};
use serde_json::json;

use super::show;
use super::stores::Redis;

/// Options of `payfleet limits`.
#[derive(clap::Args)]
#[command(after_help = "\
Shows the limiters and circuit breakers that workers have used, as service:account:class. A limiter is
lowered when the provider asks to slow down, and grows back within a minute. A breaker opens when too
many calls fail, and closes when a probe succeeds. What they hold back is put off and spends nothing.

Example:
  payfleet limits --json")]
pub(crate) struct Options {
    #[command(flatten)]
    redis: Redis,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let queue = options.redis.open()?;
    let (limiters, breakers) = (queue.limiters().await?, queue.breakers().await?);
    if options.json {
        return show::json(&json!({ "limiters": limiters, "breakers": breakers }));
    }
    if limiters.is_empty() && breakers.is_empty() {
        println!("No worker has called a provider yet.");
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
