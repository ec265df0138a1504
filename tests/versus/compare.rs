//! The nine defects of apalis-redis 1.0.0, looked for in it and in payfleet-queue, each on a private
//! Redis. Prints a table of what was seen; `--write` puts it into docs/versus-apalis-redis.md.

mod aborting;
mod cases;
mod ours;
mod stock;
mod watch;

use std::path::{Path, PathBuf};

use cases::{CASES, Side};
use clap::Parser;

/// Compares payfleet-queue with apalis-redis 1.0.0.
#[derive(clap::Parser)]
struct Args {
    /// Updates the document.
    #[arg(long)]
    write: bool,
    /// Only these cases, such as A1,A9.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// A worker of apalis-redis in which one job aborts the process.
    #[command(hide = true)]
    StockWorker { url: String },
    /// The same of ours.
    #[command(hide = true)]
    OurWorker { url: String },
}

const HEAD: &str = "# Beside apalis-redis 1.0.0\n\n\
    What `cargo run -p payfleet-tests --bin versus-apalis-redis -- --write` saw. Both are driven by apalis 1.0, on a\n\
    private Redis each, with their defaults except where a default is longer than anyone would wait (heartbeats of\n\
    30 s, leases). The right column is tested: `cargo test -p payfleet-tests --test versus`.\n";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(Command::StockWorker { url }) => return aborting::stock_worker(&url).await,
        Some(Command::OurWorker { url }) => return aborting::our_worker(&url).await,
        None => {}
    }
    let program = std::env::current_exe()?;
    let mut table =
        "| # | what was done | apalis-redis 1.0.0 | payfleet-queue |\n|---|---|---|---|\n".to_owned();
    print!("{table}");
    for case in CASES.iter().filter(|case| args.cases.is_empty() || args.cases.iter().any(|c| c == case.name))
    {
        let stock = cases::run(Side::Stock, case.name, &program).await;
        let ours = cases::run(Side::Ours, case.name, &program).await;
        let verdict = |fine| if fine { "" } else { "**" };
        let line = format!(
            "| {} | {} | {2}{3}{2} | {4}{5}{4} |\n",
            case.name,
            case.done,
            verdict(stock.fine),
            stock.words,
            verdict(ours.fine),
            ours.words
        );
        print!("{line}");
        table.push_str(&line);
    }
    if args.write {
        anyhow::ensure!(args.cases.is_empty(), "only a table of all cases is written");
        std::fs::write(document(), format!("{HEAD}\n{table}"))?;
    }
    Ok(())
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/versus-apalis-redis.md")
}
