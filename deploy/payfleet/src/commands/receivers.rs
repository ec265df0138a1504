//! `payfleet receivers`: whom the fleet tells of what happens, who of them is disabled, and how far
//! behind each is.

use payfleet_core::ids::ReceiverName;
use payfleet_store::ReceiverView;

use super::show;
use super::stores::Database;

/// Subcommands of `payfleet receivers`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists receivers: whether they are told, and what waits for them
    #[command(after_help = "Example:\n  payfleet receivers list --json")]
    List(List),
    /// Has one that answered 410 Gone told again, from where it stopped
    #[command(after_help = "Example:\n  payfleet receivers enable shop")]
    Enable(Enable),
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
pub(crate) struct Enable {
    #[command(flatten)]
    database: Database,
    /// Its name, as the workers' settings have it
    name: String,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Enable(options) => enable(options).await,
    }
}

async fn list(options: &List) -> anyhow::Result<()> {
    let receivers = options.database.open()?.receivers().await?;
    if options.json {
        return show::json(&receivers);
    }
    if receivers.is_empty() {
        println!("No receivers: set NOTIFY_RECEIVERS on the workers.");
        return Ok(());
    }
    let row = |one: &ReceiverView| {
        let status =
            one.disabled_reason.as_ref().map_or_else(|| "told".to_owned(), |why| format!("disabled: {why}"));
        let (waiting, parked) = (one.waiting.to_string(), one.parked.to_string());
        vec![one.name.clone(), one.tenant.clone(), one.url.clone(), waiting, parked, status]
    };
    let rows: Vec<Vec<String>> = receivers.iter().map(row).collect();
    println!("{}", show::table(&["RECEIVER", "TENANT", "URL", "WAITING", "PARKED", "STATUS"], &rows));
    Ok(())
}

async fn enable(options: Enable) -> anyhow::Result<()> {
    let name = ReceiverName::try_from(options.name)?;
    let was_disabled = options.database.open()?.enable_receiver(&name).await?;
    anyhow::ensure!(
        was_disabled,
        "no receiver called {name} is disabled; payfleet receivers list shows them"
    );
    println!("{name} is told again, from where it stopped.");
    Ok(())
}
