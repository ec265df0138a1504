//! Heleket's deliveries: the signature is the member `sign` of the JSON body itself, made with the
//! payout key over the body without that member.
//!
//! Decision where the vendor's own libraries disagree: the raw bytes without `sign` are tried first
//! (numbers keep their trailing zeros), then the text PHP would have signed (a proxy that unescaped
//! slashes or wrote `\u` escapes changed no value). Both need the key, so accepting either is safe,
//! under one condition: a body with a repeated key at any depth is refused, because PHP's way signs
//! only the last one and another reader might take the first.

use crate::heleket::sign::sign;
use crate::heleket::{mapping, php};
use crate::json::Object;
use crate::webhook::{ParseError, ParsedEvent, Rejected, Secret, Secrets, key_of, key_of_body, type_of};

/// What may be shown of an event.
pub(crate) const SHOWN: &[&str] = &[
    "amount",
    "commission",
    "currency",
    "merchant_amount",
    "network",
    "order_id",
    "payer_amount",
    "payer_currency",
    "payment_amount",
    "status",
    "txid",
    "type",
    "uuid",
];

pub(crate) fn verify<'a>(body: &[u8], secrets: &'a Secrets) -> Result<&'a Secret, Rejected> {
    let object = Object::parse(body).map_err(|_| Rejected::Malformed("the body is not a JSON object"))?;
    let given: String = object
        .raw("sign")
        .and_then(|sign| serde_json::from_str(sign.get()).ok())
        .ok_or(Rejected::MissingSignature)?;
    let mut candidates = Vec::with_capacity(2);
    if !repeats_a_key_within(&object) {
        candidates.extend(strip_sign(body, &object));
    }
    candidates.extend(php::encode_without_sign(&object).map(String::into_bytes));
    let expect = |secret: &[u8]| candidates.iter().map(|signed| sign(signed, secret)).collect();
    secrets.signer(&[given.as_bytes()], expect).ok_or(Rejected::BadSignature)
}

/// The body without the member `sign` and one comma beside it, every other byte as it came.
fn strip_sign(body: &[u8], object: &Object<'_>) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let value = object.raw("sign")?.get();
    // The value borrows from the body, so the distance of the two is its place.
    let value_at = value.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let before = text.get(..value_at)?.trim_end().strip_suffix(':')?.trim_end().strip_suffix("\"sign\"")?;
    let after = text.get(value_at.checked_add(value.len())?..)?;
    let (before, after) = match before.trim_end().strip_suffix(',') {
        Some(before) => (before, after),
        None => (before, after.trim_start().strip_prefix(',').unwrap_or(after)),
    };
    Some([before, after].concat().into_bytes())
}

/// Whether an object inside of `object` has a key twice (`object` itself was refused if it had).
fn repeats_a_key_within(object: &Object<'_>) -> bool {
    let text: Vec<&str> = object.members().iter().map(|(_, value)| value.get()).collect();
    text.into_iter().any(|raw| serde_json::from_str::<Distinct>(raw).is_err())
}

/// Any JSON value whose objects have each key once.
struct Distinct;

impl<'de> serde::Deserialize<'de> for Distinct {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> serde::de::Visitor<'de> for Distinct {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut seen = std::collections::HashSet::new();
        while let Some((key, Self)) = members.next_entry::<String, Self>()? {
            if !seen.insert(key) {
                return Err(serde::de::Error::custom("repeated key"));
            }
        }
        Ok(self)
    }
}

/// There is no event id: a payout's id and status are one. The same status with another body has the
/// same key on purpose (the worker keeps it as a variant and looks the payout up).
pub(crate) fn parse(body: &[u8]) -> Result<ParsedEvent, ParseError> {
    let event = Object::parse(body)?;
    let uuid = event.filled("uuid");
    let status = event.text("status").unwrap_or_default();
    let kind = event.text("type").unwrap_or_default();
    let report = if kind == "payout" { mapping::report(&event) } else { None };
    Ok(ParsedEvent {
        event_key: uuid.as_deref().map_or_else(|| key_of_body(body), |uuid| key_of(&[uuid, &status])),
        event_type: type_of(&format!("{kind}.{status}")),
        provider_ref: uuid,
        our_reference: event.filled("order_id"),
        report,
        is_about_money: true,
        account: None,
        livemode: None,
    })
}
