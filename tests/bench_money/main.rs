//! `make bench-money`: how much of what this Postgres can do the handling of money makes use of, and
//! what it asks of providers, on private servers of this run. Nothing here passes or fails by speed: it
//! measures, says which targets are met, and why not where one is not.

mod bench;
mod document;
mod pgbench;
mod rows_confirmations;
mod rows_payouts;
mod rows_reconciliation;
mod rows_webhooks;
mod stage;
mod why;

use bench::Bench;
use clap::Parser;
use payfleet_tests::measure::{Table, Wishes};

/// Measures the handling of money.
#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    wishes: Wishes,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { wishes } = Args::parse();
    wishes.check()?;
    let bench = Bench::open(&wishes).await?;
    let table = Table::begin(&wishes, &document::head(&bench), why::WHYS);
    if bench.wants("payouts") {
        table.show(&rows_payouts::payouts(&bench).await?);
    }
    if bench.wants("webhooks") {
        table.show(&rows_webhooks::webhooks(&bench).await?);
    }
    if bench.wants("confirmations") {
        table.show(&rows_confirmations::confirmations(&bench).await?);
    }
    if bench.wants_any("reconcile") {
        rows_reconciliation::reconciliation(&bench, |row| table.show(row)).await?;
    }
    if wishes.write {
        table.write()?;
    }
    Ok(())
}
