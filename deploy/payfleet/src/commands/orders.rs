//! `payfleet orders`: what only a person can say of an incoming payment.

use anyhow::bail;
use payfleet_core::OperationId;
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_store::Delivered;

use super::said::Said;
use super::stores::Database;

/// Subcommands of `payfleet orders`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Says that an order is paid, whatever was seen on its chain
    #[command(after_help = "\
For what was paid too little, too late or elsewhere. Author and reason stay with the order for good. It
posts no money: what came in has been posted when it came.

Example:
  payfleet orders confirm 5a88b422-6dee-86f7-a3ca-fd294a9b7141 --author on-call --reason 'paid in cash'")]
    Confirm(Confirm),
}

#[derive(clap::Args)]
pub(crate) struct Confirm {
    #[command(flatten)]
    database: Database,
    /// The order's operation id
    order: OperationId,
    #[command(flatten)]
    said: Said,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Confirm(confirm) = command;
    let (author, reason) = confirm.said.parts()?;
    let store = confirm.database.open()?;
    let order = confirm.order;
    match store.operation(order).await? {
        Some(view) if view.kind == OperationKind::Order => {}
        Some(view) => bail!("{order} is a {}, no order", view.kind),
        None => bail!("there is no order {order}"),
    }
    let event =
        Event::ConfirmedByHand { author: author.to_owned(), reason: reason.to_owned(), provider_ref: None };
    if let Delivered::Unknown = store.deliver(order, &format!("by hand:{author}:{reason}"), &event).await? {
        bail!("there is no order {order}");
    }
    println!("{order}: confirmed by {author}; a worker applies it within seconds");
    Ok(())
}
