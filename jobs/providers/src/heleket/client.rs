//! Calling Heleket: payouts, under an `order_id` that is the first half of the intent's key.
//!
//! A known `order_id` returns the payout that exists and pays nothing anew, and no expiry is
//! documented; a day is what we rely on. Heleket compares nothing else, so its answer is checked
//! against what was asked: here that it is about our order at all, the rest by the operation.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::address::Network;
use payfleet_core::kinds::Request as Asked;
use payfleet_core::kinds::payout::{Destination, Payout};
use payfleet_core::kinds::reconcile::Listed;
use payfleet_core::provider::{Action, DoubtPolicy, Effect, Finding, Report};
use payfleet_core::{Money, ProviderKey, Timestamp};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::account::PreviewPath;
use super::sign::sign;
use super::wire::{Body, CreatePayout, PayoutInfo, PayoutList, filter_date};
use super::{answer, mapping};
use crate::capabilities::{Amounts, Capabilities, Doubt, Listing, Operation, Paging};
use crate::client::{ConfigError, ProviderError, Reply, not_offered};
use crate::failure::Call;
use crate::gate::Gate;
use crate::http::{Answer, Http, Request, Settings, sensitive};
use crate::json::Object;
use crate::listing::ListedPage;
use crate::published::Service;

/// How many characters of our key are the `order_id`: the least of the lengths its documents allow.
const ORDER_ID: usize = 32;
/// For how long we rely on an `order_id` being known.
const WINDOW_MS: i64 = 24 * 3_600_000;
/// Its times are at +03:00 and its filters carry no zone. Whether they are read as UTC or as +03:00,
/// this much more at the end covers the window; what lies outside is dropped by its own time.
const ZONE_SLACK_MS: i64 = 3 * 3_600_000 + 1_000;

/// How to reach Heleket.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HELEKET_PROJECT_URL`, without `/v1`.
    pub base_url: String,
    /// `HELEKET_MERCHANT_ID`, a UUID.
    pub merchant: String,
    /// `HELEKET_API_KEY`: signs payouts.
    pub payout_key: SecretString,
    /// Signs everything about incoming payments, and asking for balances.
    pub payment_key: Option<SecretString>,
    /// Where Heleket is to send what becomes of a payout.
    pub callback_url: Option<String>,
    /// Of one call. Answers can take ten seconds.
    pub timeout: Duration,
    /// Who bears the fee. The vendor's documents contradict each other about which value is which:
    /// settle it with one small live payout.
    pub is_subtract: bool,
    /// Where the price of a payout is asked for.
    pub preview_path: PreviewPath,
    /// The most calls a second from this process.
    pub per_second: NonZeroU32,
    /// Accepts plain http and private addresses in `base_url`, for a sandbox.
    pub allow_private: bool,
}

impl Config {
    /// The defaults: 30 s, `is_subtract`, 10 calls a second, public https only.
    #[must_use]
    pub fn new(base_url: String, merchant: String, payout_key: SecretString) -> Self {
        Self {
            base_url,
            merchant,
            payout_key,
            payment_key: None,
            callback_url: None,
            timeout: Duration::from_secs(30),
            is_subtract: true,
            preview_path: PreviewPath::default(),
            per_second: NonZeroU32::MIN.saturating_add(9),
            allow_private: false,
        }
    }
}

/// A client of Heleket.
#[derive(Debug)]
pub struct Client {
    http: Http,
    merchant: HeaderValue,
    payout_key: SecretString,
    payment_key: Option<SecretString>,
    callback_url: Option<String>,
    is_subtract: bool,
    preview_path: PreviewPath,
}

/// What Heleket can do for us.
pub const CAPABILITIES: Capabilities = Capabilities {
    operations: &[
        Operation::new("payout", Doubt::SameKey { window_ms: WINDOW_MS }),
        Operation::new("payout_status", Doubt::Read),
        Operation::new("services", Doubt::Read),
        Operation::new("preview", Doubt::Read),
        Operation::new("balances", Doubt::Read),
        Operation::new("transfer", Doubt::Operator),
        Operation::new("test_webhook", Doubt::Repeat),
    ],
    listings: &[Listing { name: "payouts", paging: Paging::Cursor { page: 15 }, names_our_reference: true }],
    amounts: Amounts::DecimalString,
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
        let http = Http::new(&Settings {
            service: Service::Heleket,
            name: "HELEKET_PROJECT_URL",
            base_url: &config.base_url,
            timeout: config.timeout,
            per_second: config.per_second,
            allow_private: config.allow_private,
        })?;
        Ok(Self {
            http,
            merchant: sensitive(&config.merchant).ok_or(ConfigError::NotAHeader("HELEKET_MERCHANT_ID"))?,
            payout_key: config.payout_key,
            payment_key: config.payment_key,
            callback_url: config.callback_url,
            is_subtract: config.is_subtract,
            preview_path: config.preview_path,
        })
    }

    /// Sends nothing that `gate` does not let out.
    pub(crate) fn behind(&mut self, gate: &Arc<dyn Gate>) {
        self.http.behind(gate);
    }

    /// It knows an `order_id` for good; how long it is relied on is ours to say.
    pub(crate) const fn doubt(_action: Action) -> DoubtPolicy {
        DoubtPolicy::SameKey { window_ms: WINDOW_MS, refusals_decide: false }
    }

    pub(crate) fn reference(key: &ProviderKey) -> String {
        key.prefix(ORDER_ID).to_owned()
    }

    pub(crate) async fn call(&self, effect: &Effect, key: &ProviderKey) -> Reply {
        let Some((money, network, address)) = payout(effect) else { return not_offered().into() };
        let order_id = Self::reference(key);
        let body = CreatePayout {
            amount: money.amount().to_string(),
            currency: money.asset().code(),
            order_id: &order_id,
            address,
            is_subtract: self.is_subtract,
            network: network.as_str(),
            url_callback: self.callback_url.as_deref(),
        };
        let answer = match self.post(Call::Effect, &self.payout_key, &["v1", "payout"], None, &body).await {
            Ok(answer) => answer,
            Err(error) => return error.into(),
        };
        match payout_of(Call::Effect, &answer, Some(&order_id)) {
            Ok(report) => Reply::accepted(report, answer.status, answer.request_id),
            Err(error) => error.into(),
        }
    }

    pub(crate) async fn look_up(&self, effect: &Effect, key: &ProviderKey) -> Finding {
        if payout(effect).is_none() {
            return Finding::StillUnknown { reason: not_offered().to_string() };
        }
        let order_id = Self::reference(key);
        match self.info(&PayoutInfo::OrderId(&order_id), Some(&order_id)).await {
            Ok(report) => Finding::Found { report },
            // Not even "no such payout" proves anything: the call may still be on its way, and what
            // the answer to an unknown order looks like is not documented.
            Err(error) => Finding::StillUnknown { reason: error.to_string() },
        }
    }

    pub(crate) async fn poll(&self, provider_ref: &str) -> Result<Report, ProviderError> {
        self.info(&PayoutInfo::Uuid(provider_ref), None).await
    }

    /// One page of the payouts that were made from `from` (inclusive) to `to` (exclusive), newest first;
    /// `after` is what the page before named as the next.
    pub(crate) async fn list_page(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<&str>,
    ) -> Result<ListedPage, ProviderError> {
        let date_to = filter_date(to.plus_ms(ZONE_SLACK_MS));
        let body = PayoutList { date_from: filter_date(from), date_to };
        let query = after.map(|cursor| ("cursor", cursor));
        let answer = self.post(Call::Read, &self.payout_key, &["v1", "payout", "list"], query, &body).await?;
        let result = answer::result(Call::Read, &answer)?;
        page(&result, from, to).ok_or_else(|| answer.explain(unexpected_payout(Call::Read)))
    }

    async fn info(&self, of: &PayoutInfo<'_>, order_id: Option<&str>) -> Result<Report, ProviderError> {
        let answer = self.post(Call::Read, &self.payout_key, &["v1", "payout", "info"], None, of).await?;
        payout_of(Call::Read, &answer, order_id)
    }

    pub(super) fn payout_key(&self) -> &SecretString {
        &self.payout_key
    }

    pub(super) fn configured_payment_key(&self) -> Option<&SecretString> {
        self.payment_key.as_ref()
    }

    pub(super) fn is_subtract(&self) -> bool {
        self.is_subtract
    }

    pub(super) fn preview_path(&self) -> PreviewPath {
        self.preview_path
    }

    pub(super) async fn post(
        &self,
        call: Call,
        key: &SecretString,
        path: &[&str],
        query: Option<(&str, &str)>,
        body: &impl Body,
    ) -> Result<Answer, ProviderError> {
        let request = self.request(key, path, query, body).ok_or_else(not_offered)?;
        self.http.send(call, request).await
    }

    /// Signs the very bytes it sends.
    fn request<'a>(
        &self,
        key: &SecretString,
        path: &'a [&'a str],
        query: Option<(&'a str, &'a str)>,
        body: &impl Body,
    ) -> Option<Request<'a>> {
        let body = body.bytes()?;
        let signature = sensitive(&sign(&body, key.expose_secret().as_bytes()))?;
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("merchant"), self.merchant.clone());
        headers.insert(HeaderName::from_static("sign"), signature);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(Request { method: Method::POST, path, query, headers, body: Some(body) })
    }
}

/// The parts of an effect that Heleket can carry out.
fn payout(effect: &Effect) -> Option<(&Money, Network, &str)> {
    let Asked::Payout(Payout { money, to: Destination::Crypto { network, address }, .. }) = &effect.asked
    else {
        return None;
    };
    (*network != Network::Bantu).then_some((money, *network, address.as_str()))
}

fn unexpected_payout(call: Call) -> ProviderError {
    ProviderError::unexpected(call, "the answer is not a payout that can be compared with ours")
}

/// The payout an answer is about. It must say which, how much and to whom, and name our order if any.
fn payout_of(call: Call, answer: &Answer, order_id: Option<&str>) -> Result<Report, ProviderError> {
    let object = answer::result(call, answer)?;
    let ours = order_id.is_none_or(|ours| object.filled("order_id").is_none_or(|theirs| theirs == ours));
    mapping::report(&object)
        .filter(|report| ours && report.money.is_some() && report.destination.is_some())
        .ok_or_else(|| answer.explain(unexpected_payout(call)))
}

/// The entries of a page that lie in the window, and the cursor of the next page.
fn page(result: &Object<'_>, from: Timestamp, to: Timestamp) -> Option<ListedPage> {
    // Its times are whole seconds.
    let (from, to) = (from.whole_second(), to.whole_second());
    let mut entries = Vec::new();
    for item in result.objects("items")? {
        // An entry without a readable time is kept: better compared once too often than missed.
        let created = item.text("created_at").and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
        let at = created.map(Timestamp::from);
        if at.is_none_or(|at| (from..to).contains(&at)) {
            let our_reference = item.filled("order_id");
            entries.push(Listed { our_reference, at, report: mapping::report(&item)? });
        }
    }
    let next = result.object("paginate").and_then(|paginate| paginate.filled("nextCursor"));
    Some(ListedPage { entries, next })
}

#[cfg(test)]
mod tests;
