//! Calling Stripe: every operation once, with typed parameters and answers. Nothing is retried here.
//!
//! Every POST goes out under a key of the caller's, which Stripe remembers for at least 24 hours; GET and
//! DELETE carry none. The API's version is pinned in every request. What is called on behalf of a
//! connected account goes through [`Client::account`], everything else through [`Client::platform`].

mod connect;
mod ledger;
mod payments;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::ProviderKey;
use payfleet_core::provider::Report;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::objects::{Fields, Resource, Unreadable};
use super::params::Parameters;
use super::{API_VERSION, mapping, refusal};
use crate::client::{ConfigError, ProviderError};
use crate::failure::Call;
use crate::gate::Gate;
use crate::http::{Exchange, Exchanged, Http, Settings, sensitive};
use crate::json::Object;
use crate::published::Service;

/// The longest key that Stripe takes.
const LONGEST_KEY: usize = 255;
/// The most pages that one listing reads.
const MOST_PAGES: usize = 2_000;

/// How to reach Stripe.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without `/v1`.
    pub base_url: String,
    /// `STRIPE_SECRET_KEY`; whether it is `sk_test_` or `sk_live_` decides about the mode.
    pub secret_key: SecretString,
    /// Of one call.
    pub timeout: Duration,
    /// The most calls a second from this process.
    pub per_second: NonZeroU32,
    /// Accepts plain http and private addresses in `base_url`, for a sandbox.
    pub allow_private: bool,
}

impl Config {
    /// The defaults: Stripe's own address, 30 s, 20 calls a second (its test mode takes 25), https only.
    #[must_use]
    pub fn new(secret_key: SecretString) -> Self {
        Self {
            base_url: "https://api.stripe.com".to_owned(),
            secret_key,
            timeout: Duration::from_secs(30),
            per_second: NonZeroU32::MIN.saturating_add(19),
            allow_private: false,
        }
    }
}

/// A client of Stripe.
#[derive(Debug)]
pub struct Client {
    http: Http,
    authorization: HeaderValue,
    is_live: bool,
}

/// A key under which Stripe executes a POST once: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(HeaderValue);

impl IdempotencyKey {
    /// A key of the caller's own making.
    ///
    /// # Errors
    /// [`ConfigError::NotAHeader`] where Stripe would not take it.
    pub fn new(key: &str) -> Result<Self, ConfigError> {
        let fits = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        let value = HeaderValue::from_str(key).ok().filter(|_| fits);
        value.map(Self).ok_or(ConfigError::NotAHeader("Idempotency-Key"))
    }

    /// The key of an intent.
    ///
    /// # Errors
    /// As [`Self::new`], which never happens: an intent's key is 64 hex characters.
    pub fn of(key: &ProviderKey) -> Result<Self, ConfigError> {
        Self::new(key.as_str())
    }
}

/// An answer and what came with it.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    /// What was answered.
    pub value: T,
    /// The same in our words, for payments, refunds, transfers and payouts: to be compared with what was
    /// asked, since another amount or destination is no success.
    pub report: Option<Report>,
    /// Whether it is the stored answer of an earlier request under the same key.
    pub replayed: bool,
    /// Of this answer.
    pub http_status: u16,
    /// Stripe's id of the request.
    pub request_id: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The entries, newest first.
    pub data: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
}

/// On whose account calls are made.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    client: &'a Client,
    account: Option<&'a str>,
}

impl Client {
    /// A client that follows `config`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let http = Http::new(&Settings {
            service: Service::Stripe,
            name: "STRIPE_BASE_URL",
            base_url: &config.base_url,
            timeout: config.timeout,
            per_second: config.per_second,
            allow_private: config.allow_private,
        })?;
        let bearer = format!("Bearer {}", config.secret_key.expose_secret());
        let authorization = sensitive(&bearer).ok_or(ConfigError::NotAHeader("STRIPE_SECRET_KEY"))?;
        let is_live =
            ["sk_live_", "rk_live_"].iter().any(|live| config.secret_key.expose_secret().starts_with(live));
        Ok(Self { http, authorization, is_live })
    }

    /// Whether its key is of the live mode.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.is_live
    }

    /// Sends nothing that `gate` does not let out.
    pub(crate) fn behind(&mut self, gate: &Arc<dyn Gate>) {
        self.http.behind(gate);
    }

    /// Calls on our own account.
    #[must_use]
    pub fn platform(&self) -> Scope<'_> {
        Scope { client: self, account: None }
    }

    /// Calls on a connected account (`Stripe-Account`).
    #[must_use]
    pub fn account<'a>(&'a self, account: &'a str) -> Scope<'a> {
        Scope { client: self, account: Some(account) }
    }
}

impl Scope<'_> {
    async fn post<T: Resource>(
        &self,
        path: &[&str],
        params: &impl Parameters,
        key: &IdempotencyKey,
    ) -> Result<Answered<T>, ProviderError> {
        let body = params.form()?.into_text().unwrap_or_default();
        let exchanged = self.exchange(Method::POST, path, None, Some(key), Some(body)).await?;
        one(Call::Effect, &exchanged)
    }

    async fn delete<T: Resource>(&self, path: &[&str]) -> Result<Answered<T>, ProviderError> {
        let exchanged = self.exchange(Method::DELETE, path, None, None, None).await?;
        one(Call::Effect, &exchanged)
    }

    async fn get<T: Resource>(
        &self,
        path: &[&str],
        params: &impl Parameters,
    ) -> Result<Answered<T>, ProviderError> {
        one(Call::Read, &self.read(path, params).await?)
    }

    /// One page.
    async fn page<T: Resource>(
        &self,
        path: &[&str],
        params: &impl Parameters,
    ) -> Result<Page<T>, ProviderError> {
        let exchanged = self.read(path, params).await?;
        accepted(Call::Read, &exchanged, |fields| {
            if !matches!(fields.text("object")?.as_str(), "list" | "search_result") {
                return Err(Unreadable("object"));
            }
            let data: Result<Vec<T>, _> = fields.objects("data")?.iter().map(T::of).collect();
            Ok(Page { data: data?, has_more: fields.flag("has_more")? })
        })
    }

    /// All pages, each made by `params` from the last id of the one before. A page that is missing makes
    /// the whole list an error: a part is never taken for the whole.
    async fn all<T: Resource, P: Parameters>(
        &self,
        path: &[&str],
        params: impl Fn(Option<String>) -> P,
    ) -> Result<Vec<T>, ProviderError> {
        let mut all: Vec<T> = Vec::new();
        for _ in 0..MOST_PAGES {
            let after = all.last().map(|last| last.id().to_owned());
            let page: Page<T> = self.page(path, &params(after.clone())).await?;
            // Nothing new, and yet more to come.
            let is_stuck = page.data.last().is_none_or(|last| Some(last.id()) == after.as_deref());
            all.extend(page.data);
            if !page.has_more {
                return Ok(all);
            }
            if is_stuck {
                break;
            }
        }
        Err(ProviderError::unexpected(Call::Read, "the listing does not end; ask for a shorter window"))
    }

    async fn read(&self, path: &[&str], params: &impl Parameters) -> Result<Exchanged, ProviderError> {
        self.exchange(Method::GET, path, params.form()?.into_text().as_deref(), None, None).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &[&str],
        query: Option<&str>,
        key: Option<&IdempotencyKey>,
        body: Option<String>,
    ) -> Result<Exchanged, ProviderError> {
        // Ids come from Stripe; anything else in a path would lead the request somewhere else.
        let is_word =
            |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !path.iter().all(is_word) {
            return Err(ProviderError::refused("not_an_id", "what was given is no id of Stripe's"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.client.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("stripe-version"), HeaderValue::from_static(API_VERSION));
        headers.extend(key.map(|key| (HeaderName::from_static("idempotency-key"), key.0.clone())));
        if let Some(account) = self.account {
            let account = HeaderValue::from_str(account).ok().filter(|_| is_word(&account));
            let account = account.ok_or_else(|| ProviderError::refused("not_an_id", "no account's id"))?;
            headers.insert(HeaderName::from_static("stripe-account"), account);
        }
        let call = if method == Method::GET { Call::Read } else { Call::Effect };
        let path: Vec<&str> = std::iter::once("v1").chain(path.iter().copied()).collect();
        let exchange = Exchange { method, path: &path, query, headers, body };
        self.client.http.exchange(call, exchange).await
    }
}

fn one<T: Resource>(call: Call, exchanged: &Exchanged) -> Result<Answered<T>, ProviderError> {
    let value = accepted(call, exchanged, T::of)?;
    let report = Object::parse(&exchanged.body).ok().and_then(|object| mapping::report(&object));
    Ok(Answered {
        value,
        report,
        replayed: refusal::is_replayed(&exchanged.headers),
        http_status: exchanged.status,
        request_id: exchanged.request_id.clone(),
    })
}

fn accepted<T>(
    call: Call,
    exchanged: &Exchanged,
    read: impl FnOnce(&Fields<'_>) -> Result<T, Unreadable>,
) -> Result<T, ProviderError> {
    if !(200..300).contains(&exchanged.status) {
        return Err(refusal::error(call, exchanged));
    }
    let explained = |error: ProviderError| error.with_status(exchanged.status, exchanged.request_id.clone());
    if !exchanged.is_json {
        return Err(explained(ProviderError::new(call.unproven(), "not_json", "the answer is not JSON")));
    }
    Fields::parse(&exchanged.body)
        .and_then(|fields| read(&fields))
        .map_err(|error| explained(ProviderError::unexpected(call, &format!("an answer of which {error}"))))
}
