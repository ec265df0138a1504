//! The door for provider events: is this body really the provider's, and which event is it?
//!
//! [`verify`] works on the raw bytes, fails closed and cannot be switched off; the producer runs it
//! and enqueues the body untouched. [`parse`] reads the same body again in the worker. Both name an
//! event by the same key, which stays the same however often the provider sends it.

mod masking;
mod signing;

use payfleet_core::provider::{Provider, Report};
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

pub use self::masking::{masked, without_secrets};
pub use self::signing::{SignedDelivery, sign};

use crate::json::NotAnObject;
use crate::{heleket, stripe, tatum, trovotech};

/// The longest event key; a longer one is replaced by its SHA-256.
const LONGEST_KEY: usize = 200;
/// The longest event type that is kept.
const LONGEST_TYPE: usize = 100;

/// The secrets of one provider that are live now: usually one, two while one is replaced; for Stripe
/// those of the account's and of the Connect endpoint together.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<Secret>);

/// One secret, and what it is called where it must not be shown.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) text: SecretString,
    pub(crate) fingerprint: String,
}

impl Secrets {
    /// Takes the live secrets. Empty ones are dropped: an unset variable is not a secret everybody knows.
    #[must_use]
    pub fn new(secrets: Vec<SecretString>) -> Self {
        let filled = secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty());
        Self(filled.map(|text| Secret { fingerprint: fingerprint(&text), text }).collect())
    }

    /// By what each of them is told from others, in the order in which they were given.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| secret.fingerprint.as_str())
    }

    /// Whether there is any; without one every delivery is [`Rejected::NotConfigured`].
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn live(&self) -> &[Secret] {
        &self.0
    }
}

/// One HTTP delivery as it came.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Whose it claims to be, by the URL it came to.
    pub provider: Provider,
    /// Looks a header up by its lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    /// The raw bytes.
    pub body: &'a [u8],
    /// The present moment, for providers that sign a timestamp.
    pub now: Timestamp,
}

/// Why a delivery was not accepted. Never quotes header, body or secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No secret is configured for this provider: nothing can be verified. The deployment's fault.
    #[error("no webhook secret is configured for this provider")]
    NotConfigured,
    /// It carries no signature.
    #[error("the delivery carries no signature")]
    MissingSignature,
    /// No live secret made its signature.
    #[error("the signature is not one of ours")]
    BadSignature,
    /// Rightly signed, but too long ago.
    #[error("the delivery was signed too long ago")]
    Stale,
    /// It cannot be read far enough to be verified or named.
    #[error("malformed delivery: {0}")]
    Malformed(&'static str),
}

/// A delivery that is the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Unique per provider, at most 200 characters: the event's id, or what stands for one.
    pub event_key: String,
    /// The provider's word for what happened, at most 100 characters. Open: unknown ones are legal.
    pub event_type: String,
    /// The fingerprint of the secret that it was signed with.
    pub secret: String,
}

/// What a verified body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedEvent {
    /// As in [`Verified`].
    pub event_key: String,
    /// As in [`Verified`].
    pub event_type: String,
    /// The provider's id of the thing the event is about.
    pub provider_ref: Option<String>,
    /// Our own reference, where the provider repeats it: Heleket's `order_id`, the one in Stripe's metadata.
    pub our_reference: Option<String>,
    /// What it says about one of our effects; a hint, never proof. `None` where it is about something
    /// else or cannot be read as one.
    pub report: Option<Report>,
    /// Whether it tells of money: then a person must hear of it, should it match no operation of ours.
    pub is_about_money: bool,
    /// The connected account it belongs to (Stripe Connect).
    pub account: Option<String>,
    /// Whether it is of the live mode (Stripe).
    pub livemode: Option<bool>,
}

/// A verified body that cannot be read: not a JSON object, or one that has a key twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event is not a JSON object, or one with a repeated key")]
pub struct ParseError;

impl From<NotAnObject> for ParseError {
    fn from(_: NotAnObject) -> Self {
        Self
    }
}

impl Classify for ParseError {
    fn class(&self) -> OutcomeClass {
        OutcomeClass::Terminal
    }
}

/// Checks that `delivery` was signed with one of `secrets`, and names the event.
///
/// # Errors
/// [`Rejected`]: answer 503 to `NotConfigured`, 401 to the signature's three, 400 to `Malformed`.
pub fn verify(delivery: Delivery<'_>, secrets: &Secrets) -> Result<Verified, Rejected> {
    if !secrets.is_configured() {
        return Err(Rejected::NotConfigured);
    }
    let Delivery { provider, header, body, now } = delivery;
    let signed_with = match provider {
        Provider::Stripe => stripe::webhook::verify(header("stripe-signature"), body, now, secrets)?,
        Provider::Tatum => tatum::webhook::verify(header("x-payload-hash"), body, secrets)?,
        Provider::Heleket => heleket::webhook::verify(body, secrets)?,
        Provider::TrovoTech => trovotech::webhook::verify(header("x-trovotech-signature"), body, secrets)?,
    };
    let event = parse(provider, body).map_err(|_| Rejected::Malformed("the body is not a JSON object"))?;
    let secret = signed_with.fingerprint.clone();
    Ok(Verified { event_key: event.event_key, event_type: event.event_type, secret })
}

/// Reads a body that [`verify`] accepted. Unknown words survive as they are; fields of a wrong type
/// count as absent.
///
/// # Errors
/// [`ParseError`] where it is no JSON object.
pub fn parse(provider: Provider, body: &[u8]) -> Result<ParsedEvent, ParseError> {
    match provider {
        Provider::Stripe => stripe::webhook::parse(body),
        Provider::Tatum => tatum::webhook::parse(body),
        Provider::Heleket => heleket::webhook::parse(body),
        Provider::TrovoTech => trovotech::webhook::parse(body),
    }
}

/// The parts as one key: `|` between them and escaped within, so that no two lists look alike.
pub(crate) fn key_of(parts: &[&str]) -> String {
    let key =
        parts.iter().map(|part| part.replace('%', "%25").replace('|', "%7C")).collect::<Vec<_>>().join("|");
    if key.len() <= LONGEST_KEY { key } else { format!("sha256:{}", hex::encode(Sha256::digest(&key))) }
}

/// The key of an event that names nothing to tell it by: its bytes.
pub(crate) fn key_of_body(body: &[u8]) -> String {
    format!("body:{}", hex::encode(Sha256::digest(body)))
}

/// 32 bits of a hash: enough to tell a few secrets apart, too few to confirm a guess.
fn fingerprint(secret: &SecretString) -> String {
    let hash = Sha256::new().chain_update("webhook secret:").chain_update(secret.expose_secret()).finalize();
    hex::encode(hash).chars().take(8).collect()
}

/// A provider's word for a type, cut to what we keep.
pub(crate) fn type_of(word: &str) -> String {
    word.chars().take(LONGEST_TYPE).collect()
}

#[cfg(test)]
mod tests;
