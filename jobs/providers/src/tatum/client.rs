//! Calling Tatum: how a request is made and its answer judged. What can be asked is in `subscriptions`,
//! `chain_data`, `deliveries` and `rates`.
//!
//! Nothing here has an idempotency key. A subscription is looked up in the list, a transaction by the
//! hash that is known before it is broadcast.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::form_urlencoded;

use super::address::Xpub;
use super::answer;
use super::chain::{Chain, Mode};
use crate::capabilities::{Amounts, Capabilities, Doubt, Listing, Operation, Paging};
use crate::client::{ConfigError, ProviderError, not_offered};
use crate::failure::Call;
use crate::gate::Gate;
use crate::http::{Exchange, Exchanged, Http, Settings, sensitive};
use crate::published::Service;

/// How to reach Tatum.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without `/v3` or `/v4`.
    pub base_url: String,
    /// `TATUM_API_KEY`.
    pub api_key: SecretString,
    /// Which chains the key is for.
    pub mode: Mode,
    /// `TATUM_WEBHOOK_URL`: where it tells of what comes in.
    pub webhook_url: Option<String>,
    /// The extended public keys that deposit addresses are derived from.
    pub xpubs: BTreeMap<Chain, Xpub>,
    /// Of one call.
    pub timeout: Duration,
    /// The most calls a second from this process; the free plan takes 3.
    pub per_second: NonZeroU32,
    /// Accepts plain http and private addresses in `base_url`, for a sandbox.
    pub allow_private: bool,
}

impl Config {
    /// The defaults: main networks, 15 s, 3 calls a second, public https only.
    #[must_use]
    pub fn new(base_url: String, api_key: SecretString) -> Self {
        Self {
            base_url,
            api_key,
            mode: Mode::Mainnet,
            webhook_url: None,
            xpubs: BTreeMap::new(),
            timeout: Duration::from_secs(15),
            per_second: NonZeroU32::MIN.saturating_add(2),
            allow_private: false,
        }
    }
}

/// What Tatum can do for us. Deposit addresses are derived here and need no call.
pub const CAPABILITIES: Capabilities = Capabilities {
    operations: &[
        Operation::new("subscribe", Doubt::LookUp),
        Operation::new("pause_subscription", Doubt::Repeat),
        Operation::new("delete_subscription", Doubt::Repeat),
        Operation::new("enable_hmac", Doubt::Repeat),
        Operation::new("transaction", Doubt::Read),
        Operation::new("height", Doubt::Read),
        Operation::new("broadcast", Doubt::SameSignedBytes),
        Operation::new("rate", Doubt::Read),
    ],
    listings: &[
        Listing { name: "subscriptions", paging: Paging::Offset { page: 50 }, names_our_reference: false },
        Listing {
            name: "executed_webhooks",
            paging: Paging::Offset { page: 50 },
            names_our_reference: false,
        },
    ],
    amounts: Amounts::DecimalString,
    per_second: Some(3),
    has_event_ids: false,
    signs_time: false,
};

/// A client of Tatum.
#[derive(Debug)]
pub struct Client {
    http: Http,
    api_key: HeaderValue,
    mode: Mode,
    webhook_url: Option<String>,
    xpubs: BTreeMap<Chain, Xpub>,
}

impl Client {
    /// A client that follows `config`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let Config { base_url, api_key, mode, webhook_url, xpubs, timeout, per_second, allow_private } =
            config;
        let name = "TATUM_BASE_URL";
        let (service, base_url) = (Service::Tatum, base_url.as_str());
        let http = Http::new(&Settings { service, name, base_url, timeout, per_second, allow_private })?;
        let api_key = sensitive(api_key.expose_secret());
        let api_key = api_key.ok_or(ConfigError::NotAHeader("TATUM_API_KEY"))?;
        Ok(Self { http, api_key, mode, webhook_url, xpubs })
    }

    /// Sends nothing that `gate` does not let out.
    pub(crate) fn behind(&mut self, gate: &Arc<dyn Gate>) {
        self.http.behind(gate);
    }

    /// Which chains it is for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn webhook_url(&self) -> Option<&str> {
        self.webhook_url.as_deref()
    }

    pub(super) fn xpub(&self, chain: Chain) -> Option<&Xpub> {
        self.xpubs.get(&chain)
    }

    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Exchanged, ProviderError> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let query = (!query.is_empty()).then_some(query.as_str());
        self.send(Call::Read, Method::GET, path, query, None).await
    }

    pub(super) async fn write(
        &self,
        call: Call,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Exchanged, ProviderError> {
        let body = serde_json::to_string(body).map_err(|_| not_offered())?;
        self.send(call, method, path, None, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<Exchanged, ProviderError> {
        self.send(Call::Read, Method::DELETE, path, None, None).await
    }

    async fn send(
        &self,
        call: Call,
        method: Method,
        path: &[&str],
        query: Option<&str>,
        body: Option<String>,
    ) -> Result<Exchanged, ProviderError> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-api-key"), self.api_key.clone());
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let exchange = Exchange { method, path, query, headers, body };
        answer::judge(call, self.http.exchange(call, exchange).await?)
    }
}
