//! The webhooks that Tatum has sent or tried to send: what reconciliation reads after a time in which
//! none could be taken. A free plan gives a webhook up after about three minutes.

use payfleet_core::Timestamp;

use super::answer;
use super::client::Client;
use super::subscriptions::SubscriptionId;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::json::Object;

/// Entries of one page, the most there can be.
const PAGE: usize = 50;

/// One webhook as Tatum remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedWebhook {
    /// Tatum's id of it.
    pub id: String,
    /// Whose it is.
    pub subscription: Option<SubscriptionId>,
    /// The body, as it is listed: [`super::read_transfer`] reads it as one that came.
    pub body: Vec<u8>,
    /// When it was sent first.
    pub at: Timestamp,
    /// How often it was sent again.
    pub retries: u32,
    /// Whether it was given up, or is not taken yet.
    pub failed: bool,
}

impl Client {
    /// A page of the webhooks, newest first, behind the first `offset`; and whether it is the last. New ones
    /// push old ones to later pages while they are read: some are seen twice, none is missed.
    ///
    /// # Errors
    /// [`ProviderError`]; the page has not been read then.
    pub async fn executed_page(&self, offset: u64) -> Result<(Vec<ExecutedWebhook>, bool), ProviderError> {
        let (size, offset) = (PAGE.to_string(), offset.to_string());
        let query = [("pageSize", size.as_str()), ("offset", offset.as_str()), ("direction", "desc")];
        let answer = self.get(&["v4", "subscription", "webhook"], &query).await?;
        let unreadable = || answer::unexpected(Call::Read, &answer, "the answer is no list");
        let objects: Vec<Object<'_>> = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let webhooks = objects.iter().map(|object| webhook(object).ok_or_else(unreadable));
        let webhooks = webhooks.collect::<Result<Vec<_>, _>>()?;
        let is_last = webhooks.len() < PAGE;
        Ok((webhooks, is_last))
    }
}

fn webhook(object: &Object<'_>) -> Option<ExecutedWebhook> {
    Some(ExecutedWebhook {
        id: object.filled("id")?,
        subscription: object.filled("subscriptionId").and_then(|id| id.parse().ok()),
        body: object.raw("data")?.get().as_bytes().to_vec(),
        at: Timestamp::from_unix_ms(object.text("timestamp")?.parse().ok()?),
        retries: object.text("retryCount").and_then(|text| text.parse().ok()).unwrap_or_default(),
        failed: object.flag("failed")?,
    })
}
