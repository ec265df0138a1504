//! `payfleet discrepancies`: where our record and the world disagree, until a person has found out why.

use anyhow::bail;
use payfleet_store::OpenDiscrepancy;
use serde_json::{Value, json};

use super::said::Said;
use super::show;
use super::stores::Database;

/// Subcommands of `payfleet discrepancies`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists those that nobody has resolved, the last one first
    #[command(after_help = "\
Both records of what a reconciliation found are in its report: GET /v1/reconciliations/RUN.

Examples:
  payfleet discrepancies list
  payfleet discrepancies list --before 4711 --json")]
    List(List),
    /// Takes one off the list; nothing else is changed
    #[command(after_help = "\
Example:
  payfleet discrepancies resolve 4711 --author on-call --reason 'paid twice by the customer, refunded'")]
    Resolve(Resolve),
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// Only those before the one of this number
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    database: Database,
    /// Its number on the list
    number: i64,
    #[command(flatten)]
    said: Said,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Resolve(options) => resolve(&options).await,
    }
}

async fn list(options: &List) -> anyhow::Result<()> {
    let open = options.database.open()?.discrepancies(options.before, options.limit).await?;
    if options.json {
        return show::json(&open.iter().map(shown).collect::<Vec<_>>());
    }
    if open.is_empty() {
        println!("No discrepancies.");
        return Ok(());
    }
    let row = |one: &OpenDiscrepancy| {
        vec![
            one.id.to_string(),
            show::moment(one.at),
            one.provider.clone(),
            one.kind.clone(),
            one.operation_id.map(|id| id.to_string()).unwrap_or_default(),
            one.detail.clone(),
        ]
    };
    let rows: Vec<_> = open.iter().map(row).collect();
    println!("{}", show::table(&["NUMBER", "FOUND", "PROVIDER", "KIND", "OPERATION", "WHAT"], &rows));
    Ok(())
}

fn shown(one: &OpenDiscrepancy) -> Value {
    json!({
        "number": one.id,
        "found_at": show::moment(one.at),
        "found_by": one.source,
        "run": one.run_id,
        "provider": one.provider,
        "provider_ref": one.provider_ref,
        "kind": one.kind,
        "operation_id": one.operation_id,
        "detail": one.detail,
    })
}

async fn resolve(options: &Resolve) -> anyhow::Result<()> {
    let (author, reason) = options.said.parts()?;
    if !options.database.open()?.resolve_discrepancy(options.number, author, reason).await? {
        bail!("there is no open discrepancy {}; see payfleet discrepancies list", options.number);
    }
    println!("{}: resolved by {author}", options.number);
    Ok(())
}
