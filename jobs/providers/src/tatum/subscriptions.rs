//! What Tatum watches for us: one subscription an address, its webhooks protected by one HMAC secret
//! for the whole API key.
//!
//! Deleting with an empty id would switch that HMAC off, so an id is a type that cannot be empty.
//! A lost answer is resolved by the list: the same type, chain, address and URL exist once.

use std::fmt;
use std::str::FromStr;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::answer::{self, ALREADY_EXISTS, NOT_EXISTS};
use super::chain::Chain;
use super::client::Client;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::json::Object;

/// Entries of one page, the most there can be.
const PAGE: usize = 50;
/// The most pages that one listing reads.
const MOST_PAGES: usize = 2_000;
/// The only type we use: anything that comes to or leaves an address.
const ADDRESS_EVENT: &str = "ADDRESS_EVENT";

/// The id of a subscription: 24 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(String);

/// Not the id of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a subscription (24 hex digits)")]
pub struct NotAnId;

impl FromStr for SubscriptionId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let fits = text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAnId) }
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How webhooks are written. The unit of amounts depends on it, so it is always said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Fields at the top, decimal amounts.
    Legacy,
    /// Fields under `data`, amounts in the smallest unit.
    Enriched,
}

impl Template {
    /// Its name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Enriched => "enriched",
        }
    }
}

/// What is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch<'a> {
    /// On which chain.
    pub chain: Chain,
    /// Which address.
    pub address: &'a str,
    /// Where webhooks go, at most 500 characters.
    pub url: &'a str,
    /// How they are written.
    pub template: Template,
    /// Whether to hear of what is not in a block yet (Bitcoin only).
    pub mempool: bool,
}

/// A subscription as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Such as `ADDRESS_EVENT`. Open: unknown ones are legal.
    pub kind: String,
    /// The provider's name of the chain.
    pub chain: String,
    /// Which address it watches.
    pub address: String,
    /// Where its webhooks go.
    pub url: String,
    /// Whether it is silent at present, where it says so.
    pub paused: Option<bool>,
}

#[derive(Serialize)]
struct Create<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    attr: Attributes<'a>,
    #[serde(rename = "templateId")]
    template: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mempool: Option<bool>,
}

#[derive(Serialize)]
struct Attributes<'a> {
    chain: &'a str,
    address: &'a str,
    url: &'a str,
}

#[derive(Serialize)]
struct Pause {
    paused: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hmac<'a> {
    hmac_secret: &'a str,
}

impl Client {
    /// Has `watch` watched: by a new subscription, or by the one that exists.
    ///
    /// # Errors
    /// [`ProviderError`]; after an ambiguous one ask [`Self::subscription_of`], or subscribe again.
    pub async fn subscribe(&self, watch: &Watch<'_>) -> Result<SubscriptionId, ProviderError> {
        if !(13..=128).contains(&watch.address.len()) || watch.url.is_empty() || watch.url.len() > 500 {
            let what = "the address must have 13 to 128 characters, the URL 1 to 500";
            return Err(ProviderError::refused("bad_length", what));
        }
        let chain = watch.chain.name(self.mode());
        let body = Create {
            kind: ADDRESS_EVENT,
            attr: Attributes { chain, address: watch.address, url: watch.url },
            template: watch.template.as_str(),
            mempool: (watch.mempool && watch.chain == Chain::Bitcoin).then_some(true),
        };
        let answer = match self.write(Call::Effect, Method::POST, &["v4", "subscription"], &body).await {
            Ok(answer) => answer,
            Err(error) if error.code() == ALREADY_EXISTS => {
                let found = self.subscription_of(watch).await?;
                return found.map(|found| found.id).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        let id = Object::parse(&answer.body).ok().and_then(|object| object.filled("id")?.parse().ok());
        id.ok_or_else(|| answer::unexpected(Call::Effect, &answer, "the answer names no subscription"))
    }

    /// The subscription that watches this, where there is one.
    ///
    /// # Errors
    /// [`ProviderError`] where the list cannot be read to its end.
    pub async fn subscription_of(&self, watch: &Watch<'_>) -> Result<Option<Subscription>, ProviderError> {
        let listed = self.list_subscriptions(Some(watch.address)).await?;
        let same = |subscription: &Subscription| {
            let chain = Chain::from_name(&subscription.chain);
            subscription.kind == ADDRESS_EVENT
                && subscription.url == watch.url
                && chain.is_some_and(|(chain, mode)| {
                    chain == watch.chain && mode.is_none_or(|mode| mode == self.mode())
                })
                && watch.chain.network().same_address(&subscription.address, watch.address)
        };
        Ok(listed.into_iter().find(same))
    }

    /// Every subscription, or those of one address.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing: a part is never taken for the whole.
    pub async fn list_subscriptions(
        &self,
        address: Option<&str>,
    ) -> Result<Vec<Subscription>, ProviderError> {
        let mut all = Vec::new();
        for page in 0..MOST_PAGES {
            let (size, offset) = (PAGE.to_string(), page.saturating_mul(PAGE).to_string());
            let mut query = vec![("pageSize", size.as_str()), ("offset", offset.as_str())];
            query.extend(address.map(|address| ("address", address)));
            let answer = self.get(&["v4", "subscription"], &query).await?;
            let unreadable = || answer::unexpected(Call::Read, &answer, "the answer is no list");
            let objects: Vec<Object<'_>> = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
            let is_last = objects.len() < PAGE;
            for object in &objects {
                all.push(subscription(object).ok_or_else(unreadable)?);
            }
            if is_last {
                return Ok(all);
            }
        }
        Err(ProviderError::unexpected(Call::Read, "the list does not end"))
    }

    /// Silences a subscription, or lets it speak again. May be sent again.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn pause_subscription(&self, id: &SubscriptionId, paused: bool) -> Result<(), ProviderError> {
        self.write(Call::Read, Method::PUT, &["v4", "subscription", &id.0], &Pause { paused }).await?;
        Ok(())
    }

    /// Whether our key is let in, by one entry of the list of subscriptions.
    pub(crate) async fn test(&self) -> Result<u16, ProviderError> {
        let answer = self.get(&["v4", "subscription"], &[("pageSize", "1")]).await?;
        Ok(answer.status)
    }

    /// Ends a subscription. One that is not there has ended.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn delete_subscription(&self, id: &SubscriptionId) -> Result<(), ProviderError> {
        match self.delete(&["v4", "subscription", &id.0]).await {
            Err(error) if error.code() != NOT_EXISTS => Err(error),
            _ => Ok(()),
        }
    }

    /// Has every webhook of this API key signed with `secret` from now on. May be sent again. There is
    /// no way here to switch it off.
    ///
    /// # Errors
    /// [`ProviderError`]; with the code `bad_length` where the secret is not of 1 to 100 characters.
    pub async fn enable_hmac(&self, secret: &SecretString) -> Result<(), ProviderError> {
        let secret = secret.expose_secret();
        if secret.is_empty() || secret.len() > 100 {
            return Err(ProviderError::refused("bad_length", "the secret must have 1 to 100 characters"));
        }
        let body = Hmac { hmac_secret: secret };
        self.write(Call::Read, Method::PUT, &["v4", "subscription"], &body).await?;
        Ok(())
    }
}

fn subscription(object: &Object<'_>) -> Option<Subscription> {
    let attributes = object.object("attr")?;
    Some(Subscription {
        id: object.filled("id")?.parse().ok()?,
        kind: object.filled("type")?,
        chain: attributes.filled("chain")?,
        address: attributes.filled("address")?,
        url: attributes.filled("url").unwrap_or_default(),
        paused: object.flag("paused"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_empty_and_never_leads_elsewhere() {
        assert!("66b0c0ffee0c0ffee0c0ffee".parse::<SubscriptionId>().is_ok());
        for bad in ["", " ", "66b0c0ffee0c0ffee0c0ffe", "66b0c0ffee0c0ffee0c0ffeg", "../subscription/webhook"]
        {
            assert_eq!(bad.parse::<SubscriptionId>(), Err(NotAnId), "{bad:?}");
        }
    }
}
