//! `payfleet archive`: old months of history go from Postgres to files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use payfleet_core::Clock;
use payfleet_process::SystemClock;
use payfleet_store::{OldMonth, Store};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::{Date, Month, OffsetDateTime};

use super::show;
use super::stores::Database;

/// Options of `payfleet archive`.
#[derive(clap::Args)]
#[command(after_help = "\
Takes histories of operations, their transitions (the feed), attempts at providers and bodies of webhooks,
one month of one table at a time: writes PARENT_YYYY_MM.csv, then drops the month from the database.
Operations, the ledger and every key that makes an effect happen once stay. A month that an unfinished
operation, an unhandled webhook or a receiver that is behind still needs stays whole. Workers may run;
stopped at any moment, it goes on where it was.

A file is read back with: CREATE TABLE x (LIKE operation_history); \\copy x FROM FILE (FORMAT csv, HEADER)

Example:
  payfleet archive --before 2026-05 --to archive/")]
pub(crate) struct Options {
    #[command(flatten)]
    database: Database,
    /// Months before this one go: YYYY-MM
    #[arg(long, value_name = "MONTH", value_parser = first_of_month)]
    before: Date,
    /// The folder that the files go to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Only say what would go, and what is held back
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One month of one table.
#[derive(Serialize)]
struct Line {
    partition: String,
    /// `archived`, `would go` or `held back`.
    fate: &'static str,
    rows: Option<i64>,
    sha256: Option<String>,
    why: Option<String>,
}

#[derive(Serialize)]
struct Report {
    months: Vec<Line>,
    /// Rows for which no month had a partition: workers make the partitions of the coming month.
    rows_of_no_month: Vec<(String, i64)>,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let this_month = OffsetDateTime::from(SystemClock.now()).date();
    anyhow::ensure!(
        options.before <= this_month,
        "--before {}-{:02} is not over yet: give this month, or an earlier one",
        options.before.year(),
        u8::from(options.before.month())
    );
    anyhow::ensure!(options.to.is_dir(), "--to {} is no folder: make it first", options.to.display());
    let store = options.database.open()?;
    let mut months = Vec::new();
    for month in store.old_months(options.before).await? {
        let line = one(&store, &month, options).await?;
        if !options.json {
            eprintln!("{}: {}", line.partition, line.fate);
        }
        months.push(line);
    }
    let report = Report { months, rows_of_no_month: store.rows_of_no_month().await? };
    if options.json {
        return show::json(&report);
    }
    print(&report);
    Ok(())
}

async fn one(store: &Store, month: &OldMonth, options: &Options) -> anyhow::Result<Line> {
    let partition = month.partition.clone();
    if let Some(held) = store.holds_back(month).await? {
        let why = Some(format!("{} still need it, such as {}", held.count, held.one));
        return Ok(Line { partition, fate: "held back", rows: None, sha256: None, why });
    }
    if options.dry_run {
        return Ok(Line { partition, fate: "would go", rows: None, sha256: None, why: None });
    }
    let (rows, sha256) = export(store, month, &options.to).await?;
    store.retire(month, rows, &sha256).await.with_context(|| format!("{partition} stays in the database"))?;
    let sha256 = Some(hex::encode(sha256));
    Ok(Line { partition, fate: "archived", rows: Some(rows), sha256, why: None })
}

/// Writes the month to its file, which is there whole or not at all.
async fn export(store: &Store, month: &OldMonth, folder: &Path) -> anyhow::Result<(i64, [u8; 32])> {
    let file = folder.join(format!("{}.csv", month.partition));
    let partial = folder.join(format!("{}.csv.partial", month.partition));
    let mut out = BufWriter::new(File::create(&partial).with_context(|| partial.display().to_string())?);
    let mut hash = Sha256::new();
    let mut write = |piece: &[u8]| {
        hash.update(piece);
        out.write_all(piece)
    };
    let rows = store.export(month, &mut write).await?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&partial, &file)?;
    // The name is on the disk too before the rows are gone.
    File::open(folder)?.sync_all()?;
    Ok((rows, hash.finalize().into()))
}

fn print(report: &Report) {
    if report.months.is_empty() {
        println!("There is no month to archive.");
    } else {
        let row = |line: &Line| {
            let rows = line.rows.map(|rows| rows.to_string()).unwrap_or_default();
            let more = line.sha256.clone().or_else(|| line.why.clone()).unwrap_or_default();
            vec![line.partition.clone(), line.fate.to_owned(), rows, more]
        };
        let rows: Vec<_> = report.months.iter().map(row).collect();
        println!("{}", show::table(&["MONTH", "", "ROWS", "SHA-256, OR WHY NOT"], &rows));
    }
    for (parent, rows) in &report.rows_of_no_month {
        println!("{rows} rows of {parent} are in no month's partition: no worker was running to make it.");
    }
}

fn first_of_month(text: &str) -> Result<Date, String> {
    let form = || format!("{text:?} is not a month such as 2026-05");
    let (year, month) = text.split_once('-').ok_or_else(form)?;
    let year: i32 = (year.len() == 4).then(|| year.parse().ok()).flatten().ok_or_else(form)?;
    let month: u8 = (month.len() == 2).then(|| month.parse().ok()).flatten().ok_or_else(form)?;
    let month = Month::try_from(month).map_err(|_| form())?;
    Date::from_calendar_date(year, month, 1).map_err(|_| form())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_year_and_a_month_are_a_month() {
        assert_eq!(first_of_month("2026-05").unwrap().to_string(), "2026-05-01");
        for bad in ["2026", "2026-13", "2026-5", "26-05", "2026-05-01", "last"] {
            assert!(first_of_month(bad).is_err(), "{bad}");
        }
    }
}
