//! `payfleet dlq`: what will not be tried again by itself, and whether money moved.
//!
//! Payloads are not shown: they hold addresses and amounts of people. What on-call needs is the
//! operation's state, which says what is known about the money.

use anyhow::Context;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::{JobId, OperationId};
use payfleet_store::{DeadLetter, OperationView, Store};
use payfleet_worker::redrive::{release, revived};
use serde::Serialize;
use serde_json::{Value, json};

use super::show;
use super::stores::{Database, Redis};

/// Subcommands of `payfleet dlq`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists dead letters, newest first
    #[command(after_help = "Example:\n  payfleet dlq list --limit 20 --json")]
    List(List),
    /// Shows one: every attempt, its operation, and whether money moved
    #[command(after_help = "Example:\n  payfleet dlq show 01975c3e-8d9c-7c4e-a1c4-6d2f6c1f4f7e")]
    Show(Show),
    /// Gives one back to the workers, under its own id
    #[command(after_help = "\
Safe at any time: a worker that finds an open intent first asks the provider what became of it, and
never sends it again blindly. Many at once: payfleet redrive plan.

Example:
  payfleet dlq retry 01975c3e-8d9c-7c4e-a1c4-6d2f6c1f4f7e")]
    Retry(Retry),
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// How many at most
    #[arg(long, default_value_t = 50)]
    limit: i64,
    /// Also those that were given back to the workers
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Show {
    #[command(flatten)]
    database: Database,
    /// The job's id
    job: JobId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    redis: Redis,
    /// The job's id
    job: JobId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Show(options) => show_one(&options).await,
        Command::Retry(options) => retry(&options).await,
    }
}

async fn list(options: &List) -> anyhow::Result<()> {
    let letters = options.database.open()?.dead_letters(options.limit, options.all).await?;
    if options.json {
        return show::json(&letters.iter().map(without_payload).collect::<Vec<_>>());
    }
    if letters.is_empty() {
        println!("No dead letters.");
        return Ok(());
    }
    let row = |letter: &DeadLetter| {
        vec![
            letter.job_id.to_string(),
            show::moment(letter.died_at),
            letter.kind.clone(),
            letter.class.clone(),
            letter.code.clone(),
            letter.attempts.to_string(),
            letter.redriven_at.map(|_| "retried").unwrap_or_default().to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
    println!("{}", show::table(&["JOB", "DIED", "KIND", "CLASS", "CODE", "ATTEMPTS", ""], &rows));
    Ok(())
}

/// One dead letter with what is known about its operation.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    letter: Value,
    operation: Option<Value>,
    money: &'static str,
}

async fn show_one(options: &Show) -> anyhow::Result<()> {
    let store = options.database.open()?;
    let letter = find(&store, options.job).await?;
    let operation = match letter.operation_id {
        Some(id) => store.operation(OperationId::from_uuid(id)).await?,
        None => None,
    };
    let shown = Shown {
        letter: without_payload(&letter),
        operation: operation.as_ref().map(summary),
        money: verdict(operation.as_ref(), letter.operation_id.is_some()),
    };
    if options.json {
        return show::json(&shown);
    }
    println!("{}: {} ({})", letter.kind, letter.message, letter.code);
    println!("money: {}", shown.money);
    show::json(&shown)
}

/// What on-call asks first.
fn verdict(operation: Option<&OperationView>, is_about_one: bool) -> &'static str {
    let Some(operation) = operation else {
        return if is_about_one {
            "did not move: the operation never reached Postgres, so nothing was sent"
        } else {
            "this job moves none"
        };
    };
    match operation.state {
        State::Requested | State::Retrying { .. } => {
            "did not move: nothing was sent, or proven without effect"
        }
        State::Failed { .. } => "did not move: refused, or failed for good",
        State::Submitting { .. } | State::InDoubt { .. } => {
            "unknown: a retry asks the provider before it sends; where that cannot tell, payfleet operations confirm or deny"
        }
        State::Accepted { .. } => "is moving: the provider has accepted it",
        State::Settled { .. } => "moved: settled, once",
        State::Returned { .. } => "moved, and came back: the beneficiary's side returned it",
        State::Quarantined { .. } => {
            "moved otherwise than asked: compare both records, then payfleet operations confirm or deny"
        }
    }
}

fn summary(operation: &OperationView) -> Value {
    let money = operation.request.money();
    json!({
        "id": operation.id,
        "kind": operation.kind,
        "state": operation.state.name(),
        "amount": money.map(|money| money.amount().to_string()),
        "asset": money.map(|money| money.asset().code()),
        "provider": operation.request.provider(),
        "provider_ref": operation.state.provider_ref().or(operation.provider_ref.as_deref()),
        "parked": operation.parked,
        "parked_reason": operation.parked_reason,
        "updated_at": show::moment(operation.updated_at),
    })
}

fn without_payload(letter: &DeadLetter) -> Value {
    let history = letter.job.pointer("/job/history").cloned().unwrap_or_default();
    let origin = letter.job.pointer("/job/envelope/origin").cloned().unwrap_or_default();
    let trace = letter.job.pointer("/job/envelope/trace/traceparent").cloned().unwrap_or_default();
    json!({
        "job_id": letter.job_id,
        "died_at": show::moment(letter.died_at),
        "queue": letter.queue,
        "kind": letter.kind,
        "tenant": letter.tenant,
        "operation_id": letter.operation_id,
        "class": letter.class,
        "code": letter.code,
        "message": letter.message,
        "attempts": letter.attempts,
        "retried_at": letter.redriven_at.map(show::moment),
        "origin": origin,
        "traceparent": trace,
        "history": history,
    })
}

async fn retry(options: &Retry) -> anyhow::Result<()> {
    let store = options.database.open()?;
    let letter = find(&store, options.job).await?;
    let job = revived(&letter.kind, &letter.job)?;
    let queue = options.redis.open()?;
    let is_new = release(&queue, job, letter.died_at).await?;
    // Only once it is in Redis: a crash in between leaves it on the list, and retrying twice is once.
    store.mark_redriven(options.job, letter.died_at).await?;
    if options.json {
        return show::json(&json!({ "job_id": options.job, "queue": letter.queue, "enqueued": is_new }));
    }
    let text = if is_new { "is with the workers again" } else { "was with the workers already" };
    println!("Job {} {text} (queue {}).", options.job, letter.queue);
    Ok(())
}

async fn find(store: &Store, job: JobId) -> anyhow::Result<DeadLetter> {
    let letter = store.dead_letter(job).await?;
    letter.with_context(|| {
        format!("no dead letter has the id {job}; payfleet dlq list --all shows those there are")
    })
}
