//! Stripe's deliveries: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]`, where v1 is the lower hex
//! HMAC-SHA256 over `t`, a point and the raw body, keyed with the whole secret including `whsec_`.
//!
//! Several v1 come while a secret is rolled; other schemes (v0) never count. The age is checked after
//! the signature. As in Stripe's own libraries a timestamp ahead of our clock is accepted; unlike in
//! them there is no tolerance that switches the check off.

use payfleet_core::Timestamp;
use payfleet_core::provider::{Progress, Report};

use crate::json::Object;
use crate::signature::hmac_sha256_hex;
use crate::stripe::{REFERENCE, mapping};
use crate::webhook::{ParseError, ParsedEvent, Rejected, Secret, Secrets, key_of, key_of_body, type_of};

/// How old a signature may be, in seconds; exactly this old is accepted.
const TOLERANCE_S: i64 = 300;

/// What may be shown of an event: whose, what, how far, how much; never of whom.
pub(crate) const SHOWN: &[&str] = &[
    "account",
    "amount",
    "amount_captured",
    "amount_capturable",
    "amount_received",
    "amount_refunded",
    "amount_reversed",
    "api_version",
    "arrival_date",
    "available_on",
    "balance_transaction",
    "canceled_at",
    "cancellation_reason",
    "capture_method",
    "charge",
    "code",
    "created",
    "currency",
    "currently_due",
    "customer",
    "decline_code",
    "destination",
    "destination_payment",
    "disabled_reason",
    "failure_code",
    "fee",
    "id",
    "idempotency_key",
    "latest_charge",
    "method",
    "net",
    "object",
    REFERENCE,
    "past_due",
    "payment_intent",
    "payment_method",
    "pending_webhooks",
    "reason",
    "status",
    "transfer",
    "type",
];

pub(crate) fn verify<'a>(
    header: Option<&[u8]>,
    body: &[u8],
    now: Timestamp,
    secrets: &'a Secrets,
) -> Result<&'a Secret, Rejected> {
    let header = header.filter(|header| !header.is_empty()).ok_or(Rejected::MissingSignature)?;
    let header = Header::parse(header).ok_or(Rejected::BadSignature)?;
    let expect =
        |secret: &[u8]| Vec::from_iter(hmac_sha256_hex(secret, &[header.signed_at.as_bytes(), b".", body]));
    let signer = secrets.signer(&header.v1, expect).ok_or(Rejected::BadSignature)?;
    let age_s = now.unix_s().saturating_sub(header.signed_at_s);
    if age_s > TOLERANCE_S { Err(Rejected::Stale) } else { Ok(signer) }
}

struct Header<'a> {
    /// The timestamp as it was written, which is what was signed.
    signed_at: &'a str,
    signed_at_s: i64,
    v1: Vec<&'a [u8]>,
}

impl<'a> Header<'a> {
    fn parse(header: &'a [u8]) -> Option<Self> {
        let mut signed_at = None;
        let mut v1 = Vec::new();
        for (scheme, value) in
            std::str::from_utf8(header).ok()?.split(',').filter_map(|item| item.split_once('='))
        {
            match scheme {
                // Twice is a header nobody at Stripe wrote.
                "t" if signed_at.is_some() => return None,
                "t" => signed_at = Some(value),
                "v1" => v1.push(value.as_bytes()),
                _ => {}
            }
        }
        let signed_at = signed_at.filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
        Some(Self { signed_at, signed_at_s: signed_at.parse().ok()?, v1 })
    }
}

/// The event's own id is its key. Whose the object is, its metadata says; of objects that bear none of
/// ours, `request.idempotency_key` is the key of the call that caused the event.
pub(crate) fn parse(body: &[u8]) -> Result<ParsedEvent, ParseError> {
    let event = Object::parse(body)?;
    let object = event.object("data").and_then(|data| data.object("object"));
    // Thin events carry no object, only what it is called.
    let payer = object.as_ref().and_then(|object| payer(&event, object));
    let is_about_money = payer.is_none();
    let report = match &payer {
        Some(customer) => Some(Report::of(customer, Progress::Succeeded, "exists")),
        None => object.as_ref().and_then(mapping::report),
    };
    let made_by = || object.as_ref().and_then(|object| object.object("metadata")?.filled(REFERENCE));
    let caused_by = || event.object("request").and_then(|request| request.filled("idempotency_key"));
    let our_reference = if is_about_money { made_by().or_else(caused_by) } else { None };
    let named = || object.as_ref()?.filled("id");
    let related = || event.object("related_object")?.filled("id");
    Ok(ParsedEvent {
        event_key: event.filled("id").map_or_else(|| key_of_body(body), |id| key_of(&[&id])),
        event_type: type_of(&event.text("type").unwrap_or_default()),
        provider_ref: payer.or_else(named).or_else(related),
        our_reference,
        report,
        is_about_money,
        account: event.filled("account"),
        livemode: event.flag("livemode"),
    })
}

/// The customer whose payment methods have changed, where the event tells of that: one that was let go
/// names it among what was before.
fn payer(event: &Object<'_>, object: &Object<'_>) -> Option<String> {
    if object.text("object")? != "payment_method" {
        return None;
    }
    let before = || event.object("data")?.object("previous_attributes")?.filled("customer");
    object.filled("customer").or_else(before)
}
