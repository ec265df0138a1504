//! What Tatum tells of: a transfer to an address that was allotted to an order. It is written down, and
//! counts once the chain has made it final.

use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_providers::tatum::{Stage, Transfer, read_transfer};
use payfleet_queue::Outcome;
use payfleet_store::{ReceivedWebhook, SeenDeposit, WebhookStatus};

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
        let (Some(chain), Some(to)) = (transfer.chain, transfer.to.clone()) else {
            return self.ignore(received, "it is of no chain of ours, or names no receiver".to_owned()).await;
        };
        if transfer.is_fee {
            return self.ignore(received, "it is a fee, no payment".to_owned()).await;
        }
        let is_other_mode =
            self.clients.tatum().zip(transfer.mode).is_some_and(|(tatum, mode)| tatum.mode() != mode);
        if is_other_mode {
            return self
                .ignore(received, "it is of the other mode: test on live, or live on test".to_owned())
                .await;
        }
        let network = chain.network();
        let address_key = network.key_of(&to);
        let Some(order) = self.store.order_at(network, &address_key).await? else {
            return self.ignore(received, "its address is no order's".to_owned()).await;
        };
        let Some(money) = transfer.money else {
            let detail =
                format!("a transfer to the address of order {order} is of an asset that is not ours");
            let hash = Some(transfer.transaction.as_str());
            return self.refuse(event, received, hash, "unknown_asset", &detail).await;
        };
        self.store.see_deposit(order, &seen(&transfer, network, address_key, money)).await?;
        self.store.mark_webhook(received.id, &WebhookStatus::Processed { operation: order }).await?;
        Ok(Outcome::Done { then: Vec::new() })
    }
}

fn seen(
    transfer: &Transfer,
    network: payfleet_core::address::Network,
    address_key: String,
    money: payfleet_core::Money,
) -> SeenDeposit {
    SeenDeposit {
        network,
        transaction: transfer.transaction.clone(),
        place: transfer.log_index.clone().unwrap_or_default(),
        address_key,
        money,
        is_coin: transfer.contract.is_none(),
        // Of what was taken out of its block, the chain will say where it is now.
        block: transfer.block.filter(|_| transfer.stage == Stage::Confirmed),
    }
}
