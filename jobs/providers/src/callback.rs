//! The one call that goes to no provider: telling a web app what happened, as Standard Webhooks asks
//! for it (`webhook-id`, `webhook-timestamp`, `webhook-signature`), so that its app can check it with
//! any library of that specification.
//!
//! A URL comes from settings, a name from DNS. Neither leads into our own network: private and
//! link-local addresses are refused, written down or resolved, and only what was checked is connected
//! to. No redirect is followed, no proxy is asked, and of an answer no more than its beginning is read.
//!
//! Specification: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use payfleet_core::Timestamp;
use payfleet_core::job::TraceContext;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::Url;

use crate::egress::{ConfigError, PublicOnly, base_url};
use crate::http::retry_after_ms;

/// How long a receiver may take over everything, from the name to the end of its answer.
const LONGEST: Duration = Duration::from_secs(15);
/// A connection that takes longer is none.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
/// How much of a refusal is read.
const LARGEST_ANSWER: usize = 1024;
/// How much of it is kept, in characters.
const LONGEST_EXCERPT: usize = 120;
/// What a secret starts with.
const PREFIX: &str = "whsec_";

/// A secret that cannot be used. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and then base64 of 24 to 64 random bytes")]
pub struct SecretError;

/// A secret that signs callbacks: `whsec_` and base64 of 24 to 64 bytes.
#[derive(Clone, Debug)]
pub struct SigningSecret(SecretString);

impl SigningSecret {
    /// Takes a secret.
    ///
    /// # Errors
    /// [`SecretError`] where it has another form.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let length = key(text).ok_or(SecretError)?.len();
        if (24..=64).contains(&length) { Ok(Self(text.into())) } else { Err(SecretError) }
    }

    /// `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body.
    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key(self.0.expose_secret())?).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

fn key(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix(PREFIX)?).ok()
}

/// Where one receiver listens, and what its callbacks are signed with.
#[derive(Clone, Debug)]
pub struct Config {
    /// An absolute https URL without user, query and fragment.
    pub url: String,
    /// The secrets that are live: one, or two while it is being replaced. Every callback is signed
    /// with each.
    pub secrets: Vec<SigningSecret>,
    /// Lets the URL be http and point at private addresses: for sandboxes.
    pub allow_private: bool,
}

/// One message for a receiver.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The same however often it is sent.
    pub id: &'a str,
    /// JSON.
    pub body: &'a [u8],
    /// The present moment, which is signed.
    pub now: Timestamp,
    /// The trace it belongs to.
    pub trace: &'a TraceContext,
}

/// How a receiver took a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// With a status of 2xx: it has it.
    Taken {
        /// The status.
        status: u16,
    },
    /// With 410: it wants nothing any more.
    Gone,
    /// Not at all, or with any other status: it may be sent again.
    Refused {
        /// What it said, or why it could not be asked; short, without control characters.
        why: String,
        /// How long it asked us to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

/// Sends messages to one receiver.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    secrets: Vec<SigningSecret>,
}

impl Client {
    /// A client for one receiver; `name` is what its URL is called in errors.
    ///
    /// # Errors
    /// [`ConfigError`], where the URL cannot be used.
    pub fn new(name: &'static str, config: Config) -> Result<Self, ConfigError> {
        let url = base_url(name, &config.url, config.allow_private)?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A proxy would resolve the name itself, and what we checked would be worth nothing.
            .no_proxy()
            .timeout(LONGEST)
            .connect_timeout(LONGEST_CONNECT)
            .user_agent(concat!("payfleet/", env!("CARGO_PKG_VERSION")));
        if !config.allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        let http = builder.build().map_err(|_| ConfigError::NoClient)?;
        Ok(Self { http, url, secrets: config.secrets })
    }

    /// Sends `message` once.
    pub async fn send(&self, message: &Message<'_>) -> Answered {
        match self.request(message).send().await {
            Ok(response) => judge(response).await,
            Err(error) => Answered::Refused { why: lost(&error).to_owned(), retry_after_ms: None },
        }
    }

    fn request(&self, message: &Message<'_>) -> RequestBuilder {
        let timestamp = message.now.unix_s().to_string();
        let signatures: Vec<String> = self
            .secrets
            .iter()
            .filter_map(|secret| secret.sign(message.id, &timestamp, message.body))
            .collect();
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(message.body.to_vec());
        match &message.trace.traceparent {
            Some(parent) => request.header("traceparent", parent),
            None => request,
        }
    }
}

async fn judge(response: Response) -> Answered {
    let status = response.status().as_u16();
    match status {
        // What else it says is of no interest, however long it takes over it.
        200..300 => Answered::Taken { status },
        410 => Answered::Gone,
        _ => {
            let retry_after_ms = retry_after_ms(response.headers());
            let said = beginning(response).await;
            let why =
                if said.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {said}") };
            Answered::Refused { why, retry_after_ms }
        }
    }
}

/// The beginning of an answer, fit for a log line and a table.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= LARGEST_ANSWER {
            break;
        }
    }
    bytes.truncate(LARGEST_ANSWER);
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(LONGEST_EXCERPT).collect()
}

/// In words of ours: an error of the library may quote the URL.
fn lost(error: &reqwest::Error) -> &'static str {
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => "no connection within 5 s",
        (true, false) => {
            "no connection: refused, no such name, no public address, or a certificate that is not good"
        }
        (false, true) => "no answer within 15 s",
        (false, false) => "the connection was lost before an answer came",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with OpenSSL; tests/sdk has the specification's own library check whole callbacks.
    #[test]
    fn a_signature_is_of_id_timestamp_and_body_under_the_decoded_secret() {
        let secret = SigningSecret::new("whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
        let signature = secret.sign("evt_1", "1800000000", br#"{"a":1}"#);
        assert_eq!(signature.as_deref(), Some("v1,yDpesPWQu6niUQRIpFwO2w7nJqK9Bd7ZOFxf2V74skM="));
    }

    #[test]
    fn a_secret_is_base64_of_24_to_64_bytes_behind_its_prefix_and_never_shown() {
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7_u8; length]));
        for good in [of(24), of(32), of(64)] {
            let secret = SigningSecret::new(&good).unwrap();
            assert!(!format!("{secret:?}").contains(&good[6..]));
        }
        for bad in [of(23), of(65), of(32)[6..].to_owned(), "whsec_???".to_owned(), String::new()] {
            assert_eq!(SigningSecret::new(&bad).unwrap_err(), SecretError, "{bad}");
        }
    }
}
