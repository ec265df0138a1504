//! The one place that builds HTTP clients and judges what HTTP alone can tell.
//!
//! No redirect is followed, every call has a timeout, no answer is read past 1 MiB (of a list that comes
//! whole no entry past 64 KiB), nothing is retried here, and every request leaves by [`Departure`],
//! through the gate.
//! What comes out is a JSON answer of status 2xx or a documented 4xx, or a classified error.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::OutcomeClass;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::departure::Departure;
use crate::egress::{ConfigError, PublicOnly, base_url};
use crate::elements::Elements;
use crate::failure::{Call, ProviderError};
use crate::gate::Gate;
use crate::published::Service;

/// No answer is read further than this.
const LARGEST_BODY: usize = 1024 * 1024;
/// A list that takes longer is none.
const LONGEST_LIST: Duration = Duration::from_hours(1);
/// A connection that takes longer is none. Nothing has been sent by then.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// How to reach one service.
pub(crate) struct Settings<'a> {
    pub(crate) service: Service,
    /// What its base URL is called in errors.
    pub(crate) name: &'static str,
    pub(crate) base_url: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) per_second: NonZeroU32,
    pub(crate) allow_private: bool,
}

/// A client of one service.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    departure: Departure,
}

/// One request.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Below the base URL; escaped here.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: Option<(&'a str, &'a str)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

/// A JSON answer that is no error by its status alone: 2xx, or a 4xx other than 401, 403 and 429.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// One request whose answer is judged elsewhere: [`Http::exchange`].
pub(crate) struct Exchange<'a> {
    pub(crate) method: Method,
    /// Below the base URL; escaped here.
    pub(crate) path: &'a [&'a str],
    /// Sent as it is.
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<String>,
}

/// An answer of any status but a redirect, whole, of which nothing has been judged yet.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) is_json: bool,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// `error`, with what is known of this answer.
    pub(crate) fn explain(&self, error: ProviderError) -> ProviderError {
        error.with_status(self.status, self.request_id.clone())
    }
}

impl Http {
    pub(crate) fn new(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let base = base_url(settings.name, settings.base_url, settings.allow_private)?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(settings.timeout)
            .read_timeout(settings.timeout)
            .connect_timeout(LONGEST_CONNECT.min(settings.timeout / 2))
            // A connection that the other side closes while it lies idle makes a call that never
            // arrived look like one that may have. A handshake is cheaper than a doubt.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("payfleet/", env!("CARGO_PKG_VERSION")));
        builder = if settings.allow_private {
            builder.no_proxy()
        } else {
            builder.dns_resolver(Arc::new(PublicOnly))
        };
        let client = builder.build().map_err(|_| ConfigError::NoClient)?;
        Ok(Self { client, base, departure: Departure::new(settings.service, settings.per_second) })
    }

    /// Sends nothing that `gate` does not let out.
    pub(crate) fn behind(&mut self, gate: &Arc<dyn Gate>) {
        self.departure.behind(gate);
    }

    /// Sends `exchange` once, and leaves the judgement of every whole answer to the caller: for
    /// providers whose refusals say more than their status.
    pub(crate) async fn exchange(
        &self,
        call: Call,
        exchange: Exchange<'_>,
    ) -> Result<Exchanged, ProviderError> {
        let mut url = self.below_base(exchange.path)?;
        url.set_query(exchange.query);
        let mut builder = self.client.request(exchange.method.clone(), url).headers(exchange.headers);
        if let Some(body) = exchange.body {
            builder = builder.body(body);
        }
        let response = self.departure.send(call, &exchange.method, exchange.path, builder).await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let request_id = request_id(&headers);
        let explained = |error: ProviderError| error.with_status(status, request_id.clone());
        if (300..400).contains(&status) {
            return Err(explained(redirected(call)));
        }
        let body = read(call, response).await.map_err(explained)?;
        let (retry_after_ms, is_json) = (retry_after_ms(&headers), is_json(&headers));
        Ok(Exchanged { status, request_id, headers, retry_after_ms, is_json, body })
    }

    /// Sends `request` once.
    pub(crate) async fn send(&self, call: Call, request: Request<'_>) -> Result<Answer, ProviderError> {
        let url = self.url(&request)?;
        let mut builder = self.client.request(request.method.clone(), url).headers(request.headers);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = self.departure.send(call, &request.method, request.path, builder).await?;
        judge(call, response).await
    }

    /// Sends `request`, which asks for a list, once, and hands its entries over as they come.
    pub(crate) async fn elements(&self, request: Request<'_>) -> Result<Elements, ProviderError> {
        let url = self.url(&request)?;
        let builder = self.client.request(request.method.clone(), url).headers(request.headers);
        // Its length is the other side's; what may not last is a silence.
        let builder = builder.timeout(LONGEST_LIST);
        let response = self.departure.send(Call::Read, &request.method, request.path, builder).await?;
        if !response.status().is_success() || !is_json(response.headers()) {
            let answer = judge(Call::Read, response).await?;
            let code = format!("http_{}", answer.status);
            return Err(answer.explain(ProviderError::refused(code, "the list was refused")));
        }
        Ok(Elements::of(response))
    }

    fn below_base(&self, path: &[&str]) -> Result<Url, ProviderError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(path);
            }
            Err(()) => return Err(ProviderError::new(OutcomeClass::Retryable, "not_sent", "no base URL")),
        }
        Ok(url)
    }

    /// Where `request` goes.
    pub(crate) fn url(&self, request: &Request<'_>) -> Result<Url, ProviderError> {
        let mut url = self.below_base(request.path)?;
        if let Some((name, value)) = request.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url)
    }
}

/// A client for a sandbox's own webhooks, which go wherever a test listens.
#[cfg(feature = "sandbox")]
pub(crate) fn plain_client() -> Option<reqwest::Client> {
    let timeout = Duration::from_secs(10);
    let never = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(never).no_proxy().timeout(timeout).build().ok()
}

/// A header value that is never printed.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What a call that got no (whole) answer says about money.
pub(crate) fn lost(call: Call, error: &reqwest::Error) -> ProviderError {
    if error.is_connect() || error.is_builder() {
        // Refused, unreachable, no such name, no TLS: not a byte of the request has left.
        let code = if error.is_timeout() { "connect_timeout" } else { "connect" };
        return ProviderError::new(OutcomeClass::Retryable, code, "could not connect; nothing was sent");
    }
    if error.is_timeout() {
        return ProviderError::new(call.unproven(), "timeout", "sent, and no whole answer came in time");
    }
    ProviderError::new(call.unproven(), "connection_lost", "sent, and the connection was lost")
}

fn redirected(call: Call) -> ProviderError {
    ProviderError::new(call.unproven(), "redirect", "redirects are not followed")
}

async fn judge(call: Call, response: Response) -> Result<Answer, ProviderError> {
    let status = response.status().as_u16();
    let request_id = request_id(response.headers());
    let is_json = is_json(response.headers());
    let error = match status {
        200..300 => None,
        300..400 => Some(redirected(call)),
        401 | 403 => Some(ProviderError::unauthorized()),
        429 => Some(ProviderError::rate_limited(retry_after_ms(response.headers()))),
        400..500 => None,
        _ => Some(ProviderError::new(
            call.unproven(),
            format!("http_{status}"),
            format!("the provider answered with status {status}"),
        )),
    };
    if let Some(error) = error {
        return Err(error.with_status(status, request_id));
    }
    let read = read(call, response).await;
    let body = read.map_err(|error| error.with_status(status, request_id.clone()))?;
    if !is_json {
        let error = ProviderError::new(call.unproven(), "not_json", "the answer is not JSON");
        return Err(error.with_status(status, request_id));
    }
    Ok(Answer { status, request_id, body })
}

async fn read(call: Call, mut response: Response) -> Result<Vec<u8>, ProviderError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(call, &error))? {
        if body.len().saturating_add(chunk.len()) > LARGEST_BODY {
            return Err(ProviderError::new(call.unproven(), "too_large", "the answer is larger than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let names = [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];
    let text = names.iter().find_map(|name| headers.get(name)).and_then(|value| value.to_str().ok())?;
    Some(text.chars().take(100).collect())
}

/// Seconds, or a date, which is read against the answer's own `Date`: our clock does not come into it.
pub(crate) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // Digits that are no u64 are a very long time.
        return Some(text.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000));
    }
    let at = http_date(text)?;
    let now = http_date(headers.get(DATE)?.to_str().ok()?)?;
    u64::try_from((at - now).whole_milliseconds()).ok()
}

fn http_date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.trim(), &Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_from_seconds_or_a_date() {
        for (text, want) in [
            ("0", Some(0)),
            ("120", Some(120_000)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", Some(30_000)),
            ("Wed, 21 Oct 2026 07:27:00 GMT", None),
            ("99999999999999999999", Some(u64::MAX)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"));
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            assert_eq!(retry_after_ms(&headers), want, "{text:?}");
        }
        assert_eq!(retry_after_ms(&HeaderMap::new()), None);
    }

    #[test]
    fn only_json_is_json() {
        for (kind, want) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/html", false),
            ("text/json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            assert_eq!(is_json(&headers), want, "{kind}");
        }
    }
}
