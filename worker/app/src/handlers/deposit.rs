//! What Tatum tells of: a transfer to an address that was allotted to an order. It is written down, and
//! counts once the chain has made it final.

use payfleet_core::Money;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_providers::tatum::{Stage, Transfer, TransferError, read_transfer};
use payfleet_queue::Outcome;
use payfleet_store::{DepositName, ReceivedWebhook, SeenDeposit, WebhookStatus};

use super::{HandlerError, Handlers};

/// What a webhook says of a transfer.
pub(super) enum Told {
    /// None of our business.
    Nothing {
        /// Why.
        detail: String,
    },
    /// It went to an address of somebody's.
    Transfer {
        /// What it is called here.
        name: DepositName,
        /// What is to be written down, where it is of an asset of ours.
        seen: Option<SeenDeposit>,
    },
}

impl Handlers {
    /// Reads what Tatum tells.
    pub(super) fn read_deposit(&self, body: &[u8]) -> Result<Told, TransferError> {
        let transfer = read_transfer(body)?;
        Ok(match self.deposit_name(&transfer) {
            Err(why) => Told::Nothing { detail: why.to_owned() },
            Ok(name) => {
                let seen = transfer.money.map(|money| seen(&transfer, name.clone(), money));
                Told::Transfer { name, seen }
            }
        })
    }

    pub(super) async fn deposit(
        &self,
        event: &WebhookEvent,
        received: ReceivedWebhook,
        body: &[u8],
    ) -> Result<Outcome, HandlerError> {
        let (name, seen) = match self.read_deposit(body) {
            Ok(Told::Transfer { name, seen }) => (name, seen),
            Ok(Told::Nothing { detail }) => return self.ignore(received, detail).await,
            Err(error) => return self.refuse(event, received, None, "unreadable", &error.to_string()).await,
        };
        let Some(order) = self.store.order_at(name.network, &name.address_key).await? else {
            return self.ignore(received, "its address is no order's".to_owned()).await;
        };
        let Some(seen) = seen else {
            let detail =
                format!("a transfer to the address of order {order} is of an asset that is not ours");
            return self.refuse(event, received, Some(&name.transaction), "unknown_asset", &detail).await;
        };
        self.store.see_deposit(order, &seen).await?;
        self.store.mark_webhook(received.id, &WebhookStatus::Processed { operation: order }).await?;
        Ok(Outcome::Done { then: Vec::new() })
    }

    /// What a transfer is called here.
    ///
    /// # Errors
    /// Why it is no deposit, where it is none.
    pub(super) fn deposit_name(&self, transfer: &Transfer) -> Result<DepositName, &'static str> {
        let (Some(chain), Some(to)) = (transfer.chain, transfer.to.as_deref()) else {
            return Err("it is of no chain of ours, or names no receiver");
        };
        if transfer.is_fee {
            return Err("it is a fee, no payment");
        }
        let of_key = self.clients.tatum().map(payfleet_providers::tatum::Client::mode);
        if of_key.zip(transfer.mode).is_some_and(|(ours, theirs)| ours != theirs) {
            return Err("it is of the other mode: test on live, or live on test");
        }
        let network = chain.network();
        Ok(DepositName {
            network,
            transaction: transfer.transaction.clone(),
            place: transfer.log_index.clone().unwrap_or_default(),
            address_key: network.key_of(to),
        })
    }
}

/// A deposit as a transfer tells of it.
pub(super) fn seen(transfer: &Transfer, name: DepositName, money: Money) -> SeenDeposit {
    let DepositName { network, transaction, place, address_key } = name;
    SeenDeposit {
        network,
        transaction,
        place,
        address_key,
        money,
        is_coin: transfer.contract.is_none(),
        // Of what was taken out of its block, the chain will say where it is now.
        block: transfer.block.filter(|_| transfer.stage == Stage::Confirmed),
    }
}
