//! `payfleet`: the operator's command.

mod commands;
mod dev;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  payfleet dev                       a whole fleet on this machine, with sandboxes for providers
  payfleet dev --once --json         a finite demo that fails unless everything settles and balances
  payfleet migrate                   brings the database of DATABASE_URL up to date
  payfleet dlq list                  what died, newest first
  payfleet dlq show JOB              one dead letter: what it was, why it died, did money move
  payfleet dlq retry JOB             gives it back to the workers
  payfleet redrive plan --provider heleket --author NAME --reason WHY
                                     what releasing many at once would mean; releases nothing
  payfleet redrive release NUMBER --author NAME --reason WHY
                                     one first, then so many a minute, while most of them end well
  payfleet rebuild                   after Redis has lost its data: makes the jobs that should exist
  payfleet providers list            how it stands with each provider's webhooks and connection
  payfleet providers test stripe     does it let us in
  payfleet events list --outcome failed
                                     what providers told us, and what became of each
  payfleet limits list               how often providers may be called now, and which are not called
  payfleet limits set heleket:default:all 5/s --author NAME --reason WHY
                                     calls Heleket less often, the whole fleet
  payfleet audit                     recomputes everything and names what differs
  payfleet receivers list            whom the fleet tells of what happens, and who is behind
  payfleet archive --before 2026-05 --to DIR
                                     takes old months of history out of the database, into files
  payfleet hash-token                makes an API token and the line that configures it
  payfleet webhook verify ...        is this delivery the provider's, and which event is it
  payfleet sandbox                   the four providers alone, to write an application against";

/// The operator's command of Payfleet, a durable worker fleet for moving money.
#[derive(Parser)]
#[command(name = "payfleet", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a whole fleet on this machine: Redis, Postgres, sandboxes, producer, workers, demo traffic
    Dev(dev::Options),
    /// Creates the database if there is none, and brings it up to date
    Migrate(commands::migrate::Options),
    /// Dead letters: jobs that will not be tried again by themselves
    #[command(subcommand)]
    Dlq(commands::dlq::Command),
    /// Releases many dead letters by a plan: looked at first, paced, stopped by itself
    #[command(subcommand)]
    Redrive(commands::redrive::Command),
    /// Where our record and the world disagree
    #[command(subcommand)]
    Discrepancies(commands::discrepancies::Command),
    /// What only a person can say of an operation that nobody could find out about
    #[command(subcommand)]
    Operations(commands::operations::Command),
    /// What only a person can say of an incoming payment
    #[command(subcommand)]
    Orders(commands::orders::Command),
    /// How it stands with the providers
    #[command(subcommand)]
    Providers(commands::providers::Command),
    /// What providers have told us
    #[command(subcommand)]
    Events(commands::events::Command),
    /// Recomputes every operation and the ledger from what happened, and names what differs
    Audit(commands::audit::Options),
    /// Makes the jobs that Postgres says should exist, after Redis has lost its data
    Rebuild(commands::rebuild::Options),
    /// Whom the fleet tells of what happens
    #[command(subcommand)]
    Receivers(commands::receivers::Command),
    /// Takes old months of history out of the database, into files
    Archive(commands::archive::Options),
    /// How often the fleet calls its providers
    #[command(subcommand)]
    Limits(commands::limits::Command),
    /// Which providers the fleet does not call
    #[command(subcommand)]
    Breakers(commands::breakers::Command),
    /// Makes an API token, or hashes the one on stdin, for the producer
    HashToken(commands::hash_token::Options),
    /// Verifies a provider's delivery, or signs one
    #[command(subcommand)]
    Webhook(commands::webhook::Command),
    /// Runs the four providers alone, as sandboxes
    Sandbox(commands::sandbox::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Dev(options) => dev::run(options).await,
        Command::Migrate(options) => commands::migrate::run(&options).await,
        Command::Dlq(command) => commands::dlq::run(command).await,
        Command::Redrive(command) => commands::redrive::run(command).await,
        Command::Discrepancies(command) => commands::discrepancies::run(command).await,
        Command::Operations(command) => commands::operations::run(command).await,
        Command::Orders(command) => commands::orders::run(command).await,
        Command::Providers(command) => commands::providers::run(command).await,
        Command::Events(command) => commands::events::run(command).await,
        Command::Audit(options) => match commands::audit::run(&options).await {
            Ok(status) => return status,
            Err(error) => Err(error),
        },
        Command::Rebuild(options) => commands::rebuild::run(&options).await,
        Command::Receivers(command) => commands::receivers::run(command).await,
        Command::Archive(options) => commands::archive::run(&options).await,
        Command::Limits(command) => commands::limits::run(command).await,
        Command::Breakers(command) => commands::breakers::run(command).await,
        Command::HashToken(options) => commands::hash_token::run(&options),
        Command::Webhook(command) => commands::webhook::run(command),
        Command::Sandbox(options) => commands::sandbox::run(options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payfleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
