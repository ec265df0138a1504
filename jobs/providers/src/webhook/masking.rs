//! What of a body may be kept, and what of it may be shown.
//!
//! Kept is everything but what lets its bearer act. Shown is only what is named by its provider's
//! folder: ids, states, amounts. A field that nobody has named yet is hidden, because it may hold a
//! person's name.

use std::borrow::Cow;

use payfleet_core::provider::Provider;
use serde_json::value::RawValue;

use crate::json::Object;
use crate::{heleket, stripe, tatum, trovotech};

/// What stands in the place of what is hidden, as JSON.
const HIDDEN: &str = "\"(hidden)\"";
/// The member of a payment that lets whoever has it pay, in Stripe's bodies.
const BEARERS: &str = "\"client_secret\"";
/// Deeper values are hidden: nothing that a provider sends is nested that much.
const DEEPEST: usize = 16;

/// The body without what lets its bearer act, every other byte as it came. The same body always comes
/// out the same, and one that was here before comes out as it is.
#[must_use]
pub fn without_secrets(provider: Provider, body: &[u8]) -> Cow<'_, [u8]> {
    match (provider, std::str::from_utf8(body)) {
        (Provider::Stripe, Ok(text)) if text.contains(BEARERS) => Cow::Owned(without_bearers(text).into()),
        _ => Cow::Borrowed(body),
    }
}

fn without_bearers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut rest, mut is_bearer) = (text, false);
    while let Some((before, literal, after)) = next_string(rest) {
        let is_hidden = is_bearer && before.trim() == ":";
        kept.push_str(before);
        kept.push_str(if is_hidden { HIDDEN } else { literal });
        is_bearer = !is_hidden && literal == BEARERS;
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// What stands before the next string of a JSON text, the string with its quotes, and the rest.
fn next_string(text: &str) -> Option<(&str, &str, &str)> {
    let begin = text.find('"')?;
    let (before, from) = text.split_at(begin);
    let mut is_escaped = false;
    let end = from.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })?;
    // The opening quote was skipped, and the closing one belongs to it.
    let (literal, after) = from.split_at_checked(end.saturating_add(2))?;
    Some((before, literal, after))
}

/// The body as it may be shown to whoever runs the fleet, as JSON. `None` where it is no JSON object.
#[must_use]
pub fn masked(provider: Provider, body: &[u8]) -> Option<Box<RawValue>> {
    let shown = match provider {
        Provider::Stripe => stripe::webhook::SHOWN,
        Provider::Tatum => tatum::webhook::SHOWN,
        Provider::Heleket => heleket::webhook::SHOWN,
        Provider::TrovoTech => trovotech::webhook::SHOWN,
    };
    let object = Object::parse(body).ok()?;
    RawValue::from_string(members(&object, shown, DEEPEST)).ok()
}

fn members(object: &Object<'_>, shown: &[&str], depth: usize) -> String {
    let member = |(name, value): &(String, &RawValue)| {
        let is_shown = shown.contains(&name.as_str());
        format!("{}:{}", serde_json::json!(name), masked_value(value, is_shown, shown, depth))
    };
    let members: Vec<String> = object.members().iter().map(member).collect();
    format!("{{{}}}", members.join(","))
}

fn masked_value(value: &RawValue, is_shown: bool, shown: &[&str], depth: usize) -> String {
    let hidden = || HIDDEN.to_owned();
    let text = value.get();
    match (text.as_bytes().first(), depth.checked_sub(1)) {
        (Some(b'{'), Some(depth)) => match Object::parse(text.as_bytes()) {
            Ok(object) => members(&object, shown, depth),
            Err(_) => hidden(),
        },
        (Some(b'['), Some(depth)) => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => {
                let items: Vec<String> =
                    items.into_iter().map(|item| masked_value(item, is_shown, shown, depth)).collect();
                format!("[{}]", items.join(","))
            }
            Err(_) => hidden(),
        },
        (Some(b'{' | b'['), None) => hidden(),
        (Some(b't' | b'f' | b'n'), _) => text.to_owned(),
        _ if is_shown => text.to_owned(),
        _ => hidden(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(body: &str) -> String {
        String::from_utf8(without_secrets(Provider::Stripe, body.as_bytes()).into_owned()).unwrap()
    }

    fn shown(provider: Provider, body: &str) -> String {
        masked(provider, body.as_bytes()).unwrap().get().to_owned()
    }

    #[test]
    fn a_client_secret_is_not_kept_wherever_it_stands_and_nothing_else_changes() {
        let body = r#"{ "id":"evt_1", "data":{"object":{"client_secret" : "pi_1_secret_x\"y","amount":1.10,
            "list":[{"client_secret":"a"}], "note":"client_secret"}},"client_secret":null }"#;
        let clean = kept(body);
        assert_eq!(
            clean,
            r#"{ "id":"evt_1", "data":{"object":{"client_secret" : "(hidden)","amount":1.10,
            "list":[{"client_secret":"(hidden)"}], "note":"client_secret"}},"client_secret":null }"#
        );
        assert_eq!(kept(&clean), clean, "once more changes nothing");
        for untouched in [r#"{"id":"evt_1"}"#, r#"{"client_secret"#, r#"["client_secret","x"]"#] {
            assert_eq!(kept(untouched), untouched);
        }
    }

    #[test]
    fn what_is_shown_is_what_is_named_and_numbers_keep_their_digits() {
        let body = r#"{"id":"evt_1","data":{"object":{"amount":1.10,"receipt_email":"a@b.example","livemode":true,
            "billing_details":{"name":"N","phone":123456789}}}}"#;
        assert_eq!(
            shown(Provider::Stripe, body),
            r#"{"id":"evt_1","data":{"object":{"amount":1.10,"receipt_email":"(hidden)","livemode":true,"billing_details":{"name":"(hidden)","phone":"(hidden)"}}}}"#
        );
        let heleket = shown(Provider::Heleket, r#"{"uuid":"u","status":"paid","sign":"5f","from":"T..."}"#);
        assert_eq!(heleket, r#"{"uuid":"u","status":"paid","sign":"(hidden)","from":"(hidden)"}"#);
        assert!(masked(Provider::Tatum, b"[]").is_none());
    }

    #[test]
    fn a_body_of_brackets_alone_does_not_exhaust_the_stack() {
        let body = format!("{{\"id\":{}{}}}", "[".repeat(90_000), "]".repeat(90_000));
        assert!(shown(Provider::Stripe, &body).contains("(hidden)"));
    }
}
