//! `payfleet operations`: a person's word on what nobody could find out.

use anyhow::bail;
use payfleet_core::OperationId;
use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_store::Delivered;

use super::said::Said;
use super::stores::Database;

/// Subcommands of `payfleet operations`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Says that an operation in doubt or quarantined has happened, as it was asked
    #[command(after_help = "\
Look at the provider's own page first: the ledger will say that the money moved. Author and reason stay
with the operation for good.

Example:
  payfleet operations confirm 5a88b422-6dee-86f7-a3ca-fd294a9b7141 --provider-ref TKN-8841 \\
    --author on-call --reason 'minted, says the provider's support'")]
    Confirm(Confirm),
    /// Says that an operation in doubt or quarantined has not happened and will not, or was undone
    #[command(after_help = "\
It fails, and what was set aside for it is free. Be sure that nothing is under way at the provider: what
is asked for again has another key. Author and reason stay with the operation for good.

Example:
  payfleet operations deny 5a88b422-6dee-86f7-a3ca-fd294a9b7141 \\
    --author on-call --reason 'not in the provider's list, says their support'")]
    Deny(Deny),
}

#[derive(clap::Args)]
pub(crate) struct Confirm {
    #[command(flatten)]
    database: Database,
    /// The operation's id
    operation: OperationId,
    /// What it is called at the provider; needed where we do not know
    #[arg(long)]
    provider_ref: Option<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(clap::Args)]
pub(crate) struct Deny {
    #[command(flatten)]
    database: Database,
    /// The operation's id
    operation: OperationId,
    #[command(flatten)]
    said: Said,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Confirm(confirm) => {
            let (author, reason) = confirm.said.parts()?;
            let event = Event::ConfirmedByHand {
                author: author.to_owned(),
                reason: reason.to_owned(),
                provider_ref: confirm.provider_ref.clone(),
            };
            say(&confirm.database, confirm.operation, &event, author, reason).await
        }
        Command::Deny(deny) => {
            let (author, reason) = deny.said.parts()?;
            let event = Event::DeniedByHand { author: author.to_owned(), reason: reason.to_owned() };
            say(&deny.database, deny.operation, &event, author, reason).await
        }
    }
}

async fn say(
    database: &Database,
    id: OperationId,
    event: &Event,
    author: &str,
    reason: &str,
) -> anyhow::Result<()> {
    let store = database.open()?;
    let Some(view) = store.operation(id).await? else { bail!("there is no operation {id}") };
    match (&view.state, event) {
        (State::InDoubt { .. }, Event::ConfirmedByHand { provider_ref: None, .. }) => {
            bail!("say what it is called at the provider: --provider-ref")
        }
        (State::InDoubt { .. } | State::Quarantined { .. }, _) => {}
        (state, _) => {
            bail!("{id} is {}: only what is in doubt or quarantined waits for a person's word", state.name())
        }
    }
    let key = format!("by hand:{}:{author}:{reason}", event.name());
    if let Delivered::Unknown = store.deliver(id, &key, event).await? {
        bail!("there is no operation {id}");
    }
    println!(
        "{id}: {} by {author}; a worker applies it within seconds",
        event.name().replace("_by_hand", "")
    );
    Ok(())
}
