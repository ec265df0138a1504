//! What Tatum tells of: a transfer to an address that was allotted to an order. It is written down, and
//! counts once the chain has made it final.

use payfleet_core::Money;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_providers::tatum::{Stage, Transfer, read_transfer};
use payfleet_queue::Outcome;
use payfleet_store::{DepositName, ReceivedWebhook, SeenDeposit, WebhookStatus};

use super::{HandlerError, Handlers};

impl Handlers {
    pub(super) async fn deposit(
        &self,
        event: &WebhookEvent,
        received: ReceivedWebhook,
        body: &[u8],
    ) -> Result<Outcome, HandlerError> {
        let transfer = match read_transfer(body) {
            Ok(transfer) => transfer,
            Err(error) => return self.refuse(event, received, None, "unreadable", &error.to_string()).await,
        };
        let name = match self.deposit_name(&transfer) {
            Ok(name) => name,
            Err(why) => return self.ignore(received, why.to_owned()).await,
        };
        let Some(order) = self.store.order_at(name.network, &name.address_key).await? else {
            return self.ignore(received, "its address is no order's".to_owned()).await;
        };
        let Some(money) = transfer.money else {
            let detail =
                format!("a transfer to the address of order {order} is of an asset that is not ours");
            let hash = Some(transfer.transaction.as_str());
            return self.refuse(event, received, hash, "unknown_asset", &detail).await;
        };
        self.store.see_deposit(order, &seen(&transfer, name, money)).await?;
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
