//! `payfleet audit`: what the rows say against what happened.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use payfleet_store::{AuditNews, AuditSummary, Finding};
use serde_json::json;

use super::stores::Database;

/// The exit code where something differs, so that a script can tell it from a failure to look.
const DIFFERS: u8 = 3;

/// How often a long audit says how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Options of `payfleet audit`.
#[derive(clap::Args)]
#[command(after_help = "\
It reads one snapshot and changes nothing; it may run beside workers. Findings are printed as they are
found, progress goes to stderr.

Exit code: 0 nothing differs, 3 something differs, 1 the database could not be read to the end.

Example:
  payfleet audit --json | jq -r 'select(.check) | .check' | sort | uniq -c")]
pub(crate) struct Options {
    #[command(flatten)]
    database: Database,
    /// Print one JSON object a finding, and one at the end
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let store = options.database.open()?;
    let mut said = Instant::now();
    let mut tell = |news: AuditNews<'_>| match news {
        AuditNews::Found(finding) => print(finding, options.json),
        AuditNews::Checked { operations, of } if said.elapsed() >= EVERY => {
            said = Instant::now();
            eprintln!("{operations} of {of} operations");
        }
        AuditNews::Checked { .. } => {}
    };
    let summary = store.audit(&mut tell).await?;
    if options.json {
        println!("{}", json!({ "ok": summary.findings == 0, "summary": summary }));
    } else {
        println!("{}", words(&summary));
    }
    Ok(if summary.findings == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

fn print(finding: &Finding, as_json: bool) {
    if as_json {
        println!("{}", json!(finding));
    } else {
        println!("{}: {}: {}", finding.check.as_str(), finding.subject, finding.detail);
    }
}

fn words(summary: &AuditSummary) -> String {
    let AuditSummary { operations, events, movements, postings, findings } = summary;
    let read =
        format!("{operations} operations, {events} events, {movements} movements, {postings} postings");
    match findings {
        0 => format!("{read}: nothing differs."),
        1 => format!("{read}: 1 thing differs."),
        more => format!("{read}: {more} things differ."),
    }
}
