//! Events: made with what they tell of, listed for 30 days, sent until they are taken.

use serde_json::{Value, json};

use super::book::{Book, Stored, insert};
use super::lists;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use crate::sandbox::Notice;
use crate::stripe::API_VERSION;

/// For how long events are listed.
const KEPT_S: i64 = 30 * 24 * 3600;

/// Tells of `object`, on the account it belongs to.
pub(super) fn tell(tx: &mut Tx<'_>, kind: &str, object: &Stored) {
    tell_value(tx, kind, object.account.as_deref(), &object.value);
}

/// Tells of `object`, and what was `before` of the members that have changed.
pub(super) fn tell_change(tx: &mut Tx<'_>, kind: &str, object: &Stored, before: &Value) {
    let data = json!({ "object": object.value, "previous_attributes": before });
    tell_data(tx, kind, object.account.as_deref(), &data);
}

pub(super) fn tell_value(tx: &mut Tx<'_>, kind: &str, account: Option<&str>, object: &Value) {
    tell_data(tx, kind, account, &json!({ "object": object }));
}

fn tell_data(tx: &mut Tx<'_>, kind: &str, account: Option<&str>, data: &Value) {
    let mut members = json!({
        "api_version": API_VERSION,
        "data": data,
        "pending_webhooks": 1,
        "request": { "id": tx.request_id, "idempotency_key": tx.key },
        "type": kind,
    });
    if let Some(account) = account {
        insert(&mut members, "account", account);
    }
    let event = tx.make_for(account.map(str::to_owned), "evt", "event", members);
    tx.put(event);
}

pub(super) fn list(tx: &Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&[
        "type",
        "types",
        "delivery_success",
        "limit",
        "starting_after",
        "ending_before",
        "created",
    ])?;
    let mut kinds = params.list("types");
    kinds.extend(params.text("type"));
    let delivered = params.text("delivery_success").map(|text| text == "true");
    let oldest = tx.now_s().saturating_sub(KEPT_S);
    let is_of = |kind: &str| {
        kinds.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => kind == *wanted,
        })
    };
    let matches = |stored: &&Stored| {
        stored.number_of("created") >= oldest
            && (kinds.is_empty() || is_of(stored.text("type")))
            && delivered.is_none_or(|delivered| tx.was_told(&stored.id) == delivered)
    };
    let found = tx.of(tx.account.as_deref(), "event").into_iter().filter(matches).collect();
    lists::page(found, "/v1/events", params)
}

pub(super) fn endpoint(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&["url", "enabled_events", "api_version", "connect", "description", "metadata"])?;
    let events = params.list("enabled_events");
    if events.is_empty() {
        return Err(Refused::absent("enabled_events"));
    }
    let members = json!({
        "api_version": params.text("api_version"),
        "application": null,
        "description": params.text("description"),
        "enabled_events": events,
        "metadata": params.metadata(None),
        "status": "enabled",
        "url": params.need("url")?,
    });
    let mut endpoint = tx.make("we", "webhook_endpoint", members);
    let secret = endpoint.id.replacen("we_", "whsec_", 1);
    endpoint.hidden.insert("secret".to_owned(), json!(secret));
    endpoint.hidden.insert("connect".to_owned(), json!(params.flag("connect")));
    tx.put(endpoint.clone());
    // Told once.
    endpoint.set("secret", secret);
    Ok(endpoint.value)
}

/// The notices of events that have not been handed over: one for each endpoint that takes the event, or
/// one for where the sandbox was told to send everything.
pub(super) fn untold(book: &mut Book) -> Vec<Notice> {
    let events = std::mem::take(&mut book.untold);
    let mut notices = Vec::new();
    for event in events.iter().filter_map(|id| book.get(id)) {
        let payload = event.value.to_string();
        let endpoints: Vec<&Stored> =
            book.of(None, "webhook_endpoint").filter(|endpoint| takes(endpoint, event)).collect();
        if endpoints.is_empty() && !book.was_told(&event.id) {
            notices.push(Notice { id: event.id.clone(), url: None, payload: payload.clone() });
        }
        for endpoint in endpoints {
            let id = format!("{}|{}", event.id, endpoint.id);
            if !book.was_told(&id) {
                let url = Some(endpoint.text("url").to_owned());
                notices.push(Notice { id, url, payload: payload.clone() });
            }
        }
    }
    notices
}

fn takes(endpoint: &Stored, event: &Stored) -> bool {
    let is_connect = endpoint.hidden.get("connect") == Some(&json!(true));
    let wanted = endpoint.at("enabled_events").as_array();
    let is_wanted = wanted.into_iter().flatten().filter_map(Value::as_str);
    is_connect == event.account.is_some()
        && is_wanted.into_iter().any(|kind| kind == "*" || kind == event.text("type"))
}
