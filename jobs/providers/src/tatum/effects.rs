//! Tatum's part of the executor's vocabulary: having the address of an order watched. A subscription
//! that exists is found instead of made, so a lost answer is asked for again.

use payfleet_core::address::Network;
use payfleet_core::kinds::Request;
use payfleet_core::provider::{CallOutcome, Effect, Progress, Report};

use super::chain::Chain;
use super::client::Client;
use super::subscriptions::{Template, Watch};
use crate::client::{ProviderError, Reply, not_offered};

impl Client {
    pub(crate) async fn call(&self, effect: &Effect) -> Reply {
        self.watch(effect).await.unwrap_or_else(Reply::from)
    }

    async fn watch(&self, effect: &Effect) -> Result<Reply, ProviderError> {
        let (Request::Order(order), Some(address)) = (&effect.asked, effect.on.as_deref()) else {
            return Err(not_offered());
        };
        let chain = Chain::of(order.network).ok_or_else(not_offered)?;
        let url = self.webhook_url().ok_or_else(|| {
            ProviderError::refused("no_webhook_url", "TATUM_WEBHOOK_URL is not set: nothing could be told")
        })?;
        let watch = Watch { chain, address, url, template: Template::Enriched, mempool: false };
        let subscription = self.subscribe(&watch).await?;
        let facts = std::iter::once(("address".to_owned(), address.into())).collect();
        let report = Report { facts, ..Report::of(subscription.to_string(), Progress::Pending, "watched") };
        Ok(Reply { outcome: CallOutcome::Accepted { report }, http_status: None, request_id: None })
    }

    /// The deposit address number `index` of `network`.
    ///
    /// # Errors
    /// In words: no extended public key of that chain is configured, or it has no such address.
    pub fn deposit_address(&self, network: Network, index: u32) -> Result<String, String> {
        let chain = Chain::of(network).ok_or_else(|| format!("{network} is no chain that is watched"))?;
        let xpub = self.xpub(chain).ok_or_else(|| format!("TATUM_XPUB_{network} is not set"))?;
        xpub.address(chain, self.mode(), index).map_err(|error| error.to_string())
    }
}
