//! Calling a provider: one effect under its key, a look-up, a poll, a listing. Which providers there
//! are is in `registry`; how each speaks is in its folder.

use payfleet_core::provider::{Action, CallOutcome, DoubtPolicy, Effect, Finding, Report};
use payfleet_core::{OutcomeClass, ProviderKey, Timestamp};

pub use crate::egress::ConfigError;
pub use crate::failure::ProviderError;
use crate::gate::{Call, Door};
use crate::listing::Listing;
use crate::published::Service;
use crate::{heleket, stripe, tatum, trovotech};

/// A client of one provider.
#[derive(Debug)]
pub enum Client {
    /// See [`heleket::Client`].
    Heleket(heleket::Client),
    /// See [`trovotech::Client`].
    TrovoTech(trovotech::Client),
    /// See [`stripe::Client`].
    Stripe(stripe::Client),
    /// See [`tatum::Client`].
    Tatum(tatum::Client),
}

/// How one call of an effect ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it means.
    pub outcome: CallOutcome,
    /// The status of the answer, if there was one.
    pub http_status: Option<u16>,
    /// The provider's id of the request, if it gave one.
    pub request_id: Option<String>,
}

impl Reply {
    pub(crate) fn accepted(report: Report, http_status: u16, request_id: Option<String>) -> Self {
        Self { outcome: CallOutcome::Accepted { report }, http_status: Some(http_status), request_id }
    }
}

impl From<ProviderError> for Reply {
    fn from(error: ProviderError) -> Self {
        let (http_status, request_id) = (error.http_status(), error.request_id().map(str::to_owned));
        Self { outcome: error.into(), http_status, request_id }
    }
}

impl Client {
    /// How doubt about `action` is resolved.
    #[must_use]
    pub fn doubt(&self, action: Action) -> DoubtPolicy {
        match self {
            Self::Heleket(_) => heleket::Client::doubt(action),
            Self::TrovoTech(_) => trovotech::Client::doubt(action),
            Self::Stripe(_) => stripe::Client::doubt(action),
            // A subscription that exists is found instead of made.
            Self::Tatum(_) => DoubtPolicy::Repeat,
        }
    }

    /// What the call of an intent to do `action` counts against.
    #[must_use]
    pub fn door(&self, action: Action) -> Door {
        let (service, class) = match self {
            Self::Heleket(_) => (Service::Heleket, None),
            Self::TrovoTech(_) => (Service::TrovoTech, None),
            Self::Stripe(_) => (Service::Stripe, Some(stripe::class_of(action))),
            Self::Tatum(_) => (Service::Tatum, None),
        };
        Door { service, class, call: Call::Effect }
    }

    /// Makes the call of one intent, once. Never retries.
    pub async fn call(&self, effect: &Effect, key: &ProviderKey) -> Reply {
        match self {
            Self::Heleket(client) => client.call(effect, key).await,
            Self::TrovoTech(client) => client.call(effect, key).await,
            Self::Stripe(client) => client.call(effect, key).await,
            Self::Tatum(client) => client.call(effect).await,
        }
    }

    /// Asks what became of a call whose intent was opened at `opened`, by our reference. Changes nothing
    /// there.
    pub async fn look_up(&self, effect: &Effect, key: &ProviderKey, opened: Timestamp) -> Finding {
        match self {
            Self::Heleket(client) => client.look_up(effect, key).await,
            Self::TrovoTech(_) => trovotech::Client::look_up(),
            Self::Stripe(client) => client.look_up(effect, key, opened).await,
            Self::Tatum(_) => Finding::StillUnknown { reason: not_offered().to_string() },
        }
    }

    /// Asks how far an accepted `effect` has come, by the provider's id (and the transaction, where known).
    ///
    /// # Errors
    /// [`ProviderError`] where there is no answer that says so.
    pub async fn poll(
        &self,
        effect: &Effect,
        provider_ref: &str,
        tx_hash: Option<&str>,
    ) -> Result<Report, ProviderError> {
        match self {
            Self::Heleket(client) => client.poll(provider_ref).await,
            Self::TrovoTech(client) => client.poll(provider_ref, tx_hash).await,
            Self::Stripe(client) => client.poll(effect, provider_ref).await,
            // What comes in is asked of the chain, not of the provider.
            Self::Tatum(_) => Err(not_offered()),
        }
    }

    /// Reads what the provider has of `from` (inclusive) to `to` (exclusive), page by page: our own record,
    /// or what is ours in that of a connected `account`. `after` is the place that an earlier listing has
    /// come to.
    #[must_use]
    pub fn listing<'a>(
        &'a self,
        window: (Timestamp, Timestamp),
        account: Option<&'a str>,
        after: Option<String>,
    ) -> Listing<'a> {
        Listing::new(self, window, account, after)
    }

    /// Whether the provider knows each of `effects` by its id there. Only its own word that it does not
    /// counts as a no.
    ///
    /// # Errors
    /// [`ProviderError`] where it did not say.
    pub async fn knows(&self, effects: &[(Effect, String)]) -> Result<Vec<bool>, ProviderError> {
        if let Self::TrovoTech(client) = self {
            let ids: Vec<&str> = effects.iter().map(|(_, id)| id.as_str()).collect();
            return if ids.is_empty() { Ok(Vec::new()) } else { client.known(&ids).await };
        }
        let mut known = Vec::with_capacity(effects.len());
        for (effect, id) in effects {
            known.push(match self.poll(effect, id, None).await {
                Ok(_) => true,
                Err(error) if error.denies() => false,
                Err(error) => return Err(error),
            });
        }
        Ok(known)
    }

    /// Asks for something small that changes nothing there, to find out whether we are let in, and
    /// answers the status of the answer.
    ///
    /// # Errors
    /// [`ProviderError`], as any call of this provider would end now.
    pub async fn test(&self) -> Result<u16, ProviderError> {
        match self {
            Self::Heleket(client) => client.test().await,
            Self::TrovoTech(client) => client.test().await,
            Self::Stripe(client) => client.platform().balance().await.map(|answered| answered.http_status),
            Self::Tatum(client) => client.test().await,
        }
    }

    /// Our reference as the provider is given it.
    #[must_use]
    pub fn reference(&self, key: &ProviderKey) -> String {
        match self {
            Self::Heleket(_) => heleket::Client::reference(key),
            Self::TrovoTech(_) => trovotech::Client::reference(key),
            Self::Stripe(_) => stripe::Client::reference(key),
            Self::Tatum(_) => key.as_str().to_owned(),
        }
    }
}

/// An effect of another provider came here: a bug of ours, found before anything was sent.
pub(crate) fn not_offered() -> ProviderError {
    ProviderError::new(OutcomeClass::Terminal, "not_offered", "this provider does not offer this action here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_can_be_made_from_any_task() {
        fn is_send<T: Send>(_: &T) {}
        fn check(client: &Client, effect: &Effect, key: &ProviderKey) {
            is_send(&client.call(effect, key));
            is_send(&client.look_up(effect, key, Timestamp::from_unix_ms(0)));
            is_send(&client.poll(effect, "", None));
            let at = Timestamp::from_unix_ms;
            is_send(&client.listing((at(0), at(1)), None, None).next_page());
            is_send(&client.knows(&[]));
        }
        // Compiling is the test.
        let _ = check;
    }
}
