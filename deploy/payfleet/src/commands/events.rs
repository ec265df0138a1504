//! `payfleet events`: what providers have told us, and what became of each.

use anyhow::Context;
use payfleet_core::Timestamp;
use payfleet_core::provider::Provider;
use payfleet_providers::webhook::masked;
use payfleet_store::{LoggedWebhook, WEBHOOK_OUTCOMES, WebhookFilter};
use serde_json::{Value, json};

use super::show;
use super::stores::Database;

/// Subcommands of `payfleet events`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists providers' events, the last one first
    #[command(after_help = "\
Outcomes: received (stored), parked (its operation is not known yet), processed (its operation has it),
ignored (none of our business), failed (unreadable, or for a person).

Examples:
  payfleet events list --provider stripe --outcome failed
  payfleet events list --since 2026-05-01T00:00:00Z --json")]
    List(List),
    /// Shows one with its body: ids, states and amounts; everything else is hidden
    #[command(after_help = "Example:\n  payfleet events show 4711")]
    Show(Show),
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// Only of this provider: stripe, tatum, heleket or trovotech
    #[arg(long)]
    provider: Option<Provider>,
    /// Only of which became this
    #[arg(long, value_parser = outcome)]
    outcome: Option<&'static str>,
    /// Only of this type, in the provider's word
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Only those that reached us at this moment or later
    #[arg(long, value_name = "MOMENT", value_parser = show::parse_moment)]
    since: Option<Timestamp>,
    /// Only those that reached us before this moment
    #[arg(long, value_name = "MOMENT", value_parser = show::parse_moment)]
    until: Option<Timestamp>,
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
pub(crate) struct Show {
    #[command(flatten)]
    database: Database,
    /// Its number on the list
    number: i64,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(options) => list(options).await,
        Command::Show(options) => show_one(&options).await,
    }
}

async fn list(options: List) -> anyhow::Result<()> {
    let filter = WebhookFilter {
        provider: options.provider,
        outcome: options.outcome,
        event_type: options.r#type,
        from: options.since,
        to: options.until,
    };
    let events = options.database.open()?.webhook_log(&filter, options.before, options.limit).await?;
    if options.json {
        return show::json(&events.iter().map(logged).collect::<Vec<_>>());
    }
    if events.is_empty() {
        println!("No such events.");
        return Ok(());
    }
    let row = |event: &LoggedWebhook| {
        let detail = event.detail.clone().or_else(|| event.operation_id.map(|id| id.to_string()));
        vec![
            event.id.to_string(),
            show::moment(event.received_at),
            event.provider.clone(),
            event.event_type.clone(),
            event.outcome.clone(),
            detail.unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = events.iter().map(row).collect();
    println!(
        "{}",
        show::table(&["NUMBER", "RECEIVED", "PROVIDER", "TYPE", "OUTCOME", "OPERATION, OR WHY"], &rows)
    );
    Ok(())
}

async fn show_one(options: &Show) -> anyhow::Result<()> {
    let found = options.database.open()?.logged_webhook(options.number).await?;
    let found = found.with_context(|| {
        format!("no event has the number {}; payfleet events list shows those there are", options.number)
    })?;
    let provider = found.logged.provider.parse::<Provider>().ok();
    let body = provider.zip(found.body).and_then(|(provider, body)| masked(provider, &body));
    let mut shown = logged(&found.logged);
    if let Value::Object(members) = &mut shown {
        let body: Option<Value> = body.map(|body| serde_json::from_str(body.get())).transpose()?;
        members.insert("body".to_owned(), body.unwrap_or_default());
    }
    show::json(&shown)
}

fn logged(event: &LoggedWebhook) -> Value {
    json!({
        "id": event.id,
        "provider": event.provider,
        "event_key": event.event_key,
        "event_type": event.event_type,
        "is_variant": event.variant,
        "outcome": event.outcome,
        "detail": event.detail,
        "operation_id": event.operation_id.map(|id| id.to_string()),
        "received_at": show::moment(event.received_at),
        "handled_at": event.handled_at.map(show::moment),
    })
}

fn outcome(word: &str) -> Result<&'static str, String> {
    let known = WEBHOOK_OUTCOMES.into_iter().find(|known| *known == word);
    known.ok_or_else(|| format!("must be one of {}", WEBHOOK_OUTCOMES.join(", ")))
}
