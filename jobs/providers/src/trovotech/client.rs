//! Calling TrovoTech: mints, and the Bantu ledger that settles them.
//!
//! The API offers neither an idempotency key nor a look-up by a reference of ours, and two equal mints
//! are told apart by nothing: doubt about a mint is for a person, who can compare the token list with
//! the request's `X-Request-ID` at the provider.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::kinds::Request as Asked;
use payfleet_core::kinds::distribution::{Distribution, Splitter};
use payfleet_core::kinds::mint::Share;
use payfleet_core::kinds::telemetry::Telemetry;
use payfleet_core::kinds::wallet::Wallet;
use payfleet_core::provider::{Action, CallOutcome, DoubtPolicy, Effect, Facts, Finding, Progress, Report};
use payfleet_core::{OutcomeClass, ProviderKey};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::custody::Investor;
use super::distribution::Revenue;
use super::wire::Mint;
use super::{answer, ledger};
use crate::capabilities::{Amounts, Capabilities, Doubt, Listing, Operation, Paging};
use crate::client::{ConfigError, ProviderError, Reply, not_offered};
use crate::elements::Elements;
use crate::failure::Call;
use crate::gate::Gate;
use crate::http::{Answer, Http, Request, Settings, sensitive};
use crate::published::Service;

/// How many characters of our key are the `X-Request-ID`.
const REQUEST_ID: usize = 32;

/// How to reach TrovoTech and the ledger.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TROVOTECH_BASE_URL`, with `/v1` where it has one.
    pub base_url: String,
    /// `TROVOTECH_API_KEY`.
    pub api_key: SecretString,
    /// `TROVOTECH_ISSUER_ID`.
    pub issuer_id: String,
    /// The Horizon-like service of the network in `BANTU_NETWORK`.
    pub expansion_url: String,
    /// `TROVOTECH_TIMEOUT_MS`: of one call.
    pub timeout: Duration,
    /// The most calls a second from this process, to either service.
    pub per_second: NonZeroU32,
    /// Accepts plain http and private addresses in both URLs, for a sandbox.
    pub allow_private: bool,
}

impl Config {
    /// The defaults: 15 s, 10 calls a second, public https only.
    #[must_use]
    pub fn new(base_url: String, api_key: SecretString, issuer_id: String, expansion_url: String) -> Self {
        Self {
            base_url,
            api_key,
            issuer_id,
            expansion_url,
            timeout: Duration::from_secs(15),
            per_second: NonZeroU32::MIN.saturating_add(9),
            allow_private: false,
        }
    }
}

/// A client of TrovoTech.
#[derive(Debug)]
pub struct Client {
    http: Http,
    expansion: Http,
    authorization: HeaderValue,
    issuer_id: String,
}

/// What TrovoTech can do for us.
pub const CAPABILITIES: Capabilities = Capabilities {
    operations: &[
        Operation::new("mint", Doubt::Operator),
        Operation::new("create_wallet", Doubt::Repeat),
        Operation::new("wallet", Doubt::Read),
        Operation::new("distribute", Doubt::Operator),
        Operation::new("sync_telemetry", Doubt::Repeat),
        Operation::new("transaction", Doubt::Read),
        Operation::new("submit_transaction", Doubt::SameSignedBytes),
    ],
    listings: &[Listing { name: "tokens", paging: Paging::Whole, names_our_reference: false }],
    amounts: Amounts::JsonNumber,
    per_second: None,
    has_event_ids: false,
    signs_time: false,
};

impl Client {
    /// A client that follows `config`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let http = |service, name, base_url: &str| {
            let Config { timeout, per_second, allow_private, .. } = config;
            Http::new(&Settings { service, name, base_url, timeout, per_second, allow_private })
        };
        let bearer = format!("Bearer {}", config.api_key.expose_secret());
        Ok(Self {
            http: http(Service::TrovoTech, "TROVOTECH_BASE_URL", &config.base_url)?,
            expansion: http(Service::Bantu, "the Bantu expansion URL", &config.expansion_url)?,
            authorization: sensitive(&bearer).ok_or(ConfigError::NotAHeader("TROVOTECH_API_KEY"))?,
            issuer_id: config.issuer_id,
        })
    }

    /// Sends nothing that `gate` does not let out.
    pub(crate) fn behind(&mut self, gate: &Arc<dyn Gate>) {
        self.http.behind(gate);
        self.expansion.behind(gate);
    }

    pub(crate) fn doubt(action: Action) -> DoubtPolicy {
        match action {
            Action::Wallet | Action::Telemetry => DoubtPolicy::Repeat,
            _ => DoubtPolicy::Operator,
        }
    }

    pub(crate) fn reference(key: &ProviderKey) -> String {
        key.prefix(REQUEST_ID).to_owned()
    }

    pub(crate) async fn call(&self, effect: &Effect, key: &ProviderKey) -> Reply {
        let carried_out = match &effect.asked {
            Asked::Mint(share) => self.mint(share, key).await,
            Asked::Wallet(wallet) => self.make_wallet(wallet, key).await,
            Asked::Telemetry(telemetry) => self.send_on(telemetry, key).await,
            Asked::Distribution(distribution) => self.split_up(distribution, key).await,
            _ => Err(not_offered()),
        };
        carried_out.unwrap_or_else(Reply::from)
    }

    async fn make_wallet(&self, wallet: &Wallet, key: &ProviderKey) -> Result<Reply, ProviderError> {
        let investor =
            Investor { email: &wallet.email, name: &wallet.name, kyc_verified: wallet.kyc_verified };
        let made = self.create_wallet(investor, key).await?;
        let trustee = made.trustee_ref.map(|reference| ("trustee_ref".to_owned(), reference.into()));
        let address = ("address".to_owned(), made.address.as_str().into());
        let facts = std::iter::once(address).chain(trustee).collect();
        let report = Report { facts, ..Report::of(made.address, Progress::Succeeded, "exists") };
        Ok(Reply { outcome: CallOutcome::Accepted { report }, http_status: None, request_id: None })
    }

    async fn split_up(&self, asked: &Distribution, key: &ProviderKey) -> Result<Reply, ProviderError> {
        let Splitter::TrovoTech { token_ids, description } = &asked.by else { return Err(not_offered()) };
        let revenue = Revenue { token_ids, total: asked.money, period: &asked.period, description };
        let done = self.distribute(&revenue, key).await?;
        // The provider's word only; what counts is the ledger.
        let report = Report {
            money: Some(asked.money),
            tx_hash: done.tx_hash,
            ..Report::of(done.payout_id, Progress::Pending, "submitted")
        };
        Ok(Reply { outcome: CallOutcome::Accepted { report }, http_status: None, request_id: None })
    }

    /// All of a batch, or the error that stopped it: the whole batch is then sent again, which changes
    /// nothing of what had arrived.
    async fn send_on(&self, telemetry: &Telemetry, key: &ProviderKey) -> Result<Reply, ProviderError> {
        let sent = self.sync_telemetry(&telemetry.readings, key).await;
        if let Some(error) = sent.stopped {
            return Err(error);
        }
        let reference = Self::reference(key);
        let facts = Facts::from([("uris".to_owned(), sent.uris.into())]);
        let report = Report { facts, ..Report::of(reference, Progress::Succeeded, "synced") };
        Ok(Reply { outcome: CallOutcome::Accepted { report }, http_status: None, request_id: None })
    }

    async fn mint(&self, share: &Share, key: &ProviderKey) -> Result<Reply, ProviderError> {
        let body = Mint::of(share, &self.issuer_id).ok_or_else(|| {
            ProviderError::refused("not_a_decimal", "the asset's purchase price is not a decimal")
        })?;
        let answer = self.post(Call::Effect, &["token", "mint"], Some(key), &body).await?;
        let report = answer::minted(Call::Effect, &answer)?;
        Ok(Reply::accepted(report, answer.status, answer.request_id))
    }

    pub(crate) fn look_up() -> Finding {
        Finding::StillUnknown { reason: "TrovoTech knows no reference of ours to look it up by".to_owned() }
    }

    pub(crate) async fn poll(
        &self,
        provider_ref: &str,
        tx_hash: Option<&str>,
    ) -> Result<Report, ProviderError> {
        if let Some(hash) = tx_hash {
            return ledger::poll(&self.expansion, provider_ref, hash).await;
        }
        let token = self.find_token(provider_ref).await?.ok_or_else(|| {
            let what = "the provider does not list this token";
            ProviderError::new(OutcomeClass::Retryable, "not_listed", what)
        })?;
        match &token.tx_hash {
            Some(hash) => ledger::poll(&self.expansion, provider_ref, hash).await,
            // It has no transaction yet: nothing is final, and nothing is wrong.
            None => Ok(token),
        }
    }

    pub(super) fn issuer_id(&self) -> &str {
        &self.issuer_id
    }

    pub(super) fn expansion(&self) -> &Http {
        &self.expansion
    }

    pub(super) async fn get(&self, path: &[&str]) -> Result<Answer, ProviderError> {
        let request = Request { method: Method::GET, path, query: None, headers: self.headers(), body: None };
        self.http.send(Call::Read, request).await
    }

    /// A list that may be longer than any other answer, as it comes.
    pub(super) async fn elements(&self, path: &[&str]) -> Result<Elements, ProviderError> {
        let request = Request { method: Method::GET, path, query: None, headers: self.headers(), body: None };
        self.http.elements(request).await
    }

    /// Sends `body` under the reference that `key` makes.
    pub(super) async fn post(
        &self,
        call: Call,
        path: &[&str],
        key: Option<&ProviderKey>,
        body: &impl Serialize,
    ) -> Result<Answer, ProviderError> {
        let body = serde_json::to_vec(body).map_err(|_| not_offered())?;
        let mut headers = self.headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let reference = key.map(Self::reference);
        let reference = reference.and_then(|reference| HeaderValue::try_from(reference).ok());
        headers.extend(reference.map(|id| (HeaderName::from_static("x-request-id"), id)));
        let request = Request { method: Method::POST, path, query: None, headers, body: Some(body) };
        self.http.send(call, request).await
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, self.authorization.clone())])
    }
}
