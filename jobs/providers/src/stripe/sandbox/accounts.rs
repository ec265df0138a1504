//! Express accounts: made with everything missing, enabled by going through the onboarding page.

use serde_json::{Map, Value, json};

use super::book::Stored;
use super::events;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;

/// How long an onboarding link lives.
const LINK_LIFE_S: i64 = 300;
/// What an account that was just made still has to bring.
const MISSING: &[&str] =
    &["business_profile.url", "external_account", "individual.id_number", "tos_acceptance.date"];

fn requirements(due: &[&str], disabled_reason: Option<&str>) -> Value {
    json!({
        "alternatives": [],
        "current_deadline": null,
        "currently_due": due,
        "disabled_reason": disabled_reason,
        "errors": [],
        "eventually_due": due,
        "past_due": due,
        "pending_verification": [],
    })
}

pub(super) fn create(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&["type", "controller", "country", "email", "capabilities", "business_type", "metadata"])?;
    if params.text("type") != Some("express") && params.map("controller").is_empty() {
        return Err(Refused::parameter("parameter_invalid", "type", "Only express accounts are made here."));
    }
    if tx.account.is_some() {
        return Err(Refused::invalid("account_invalid", "Only the platform makes accounts."));
    }
    let mut capabilities = Map::new();
    for capability in ["card_payments", "transfers"] {
        if params.flag(&format!("capabilities[{capability}][requested]")) {
            capabilities.insert(capability.to_owned(), json!("inactive"));
        }
    }
    let members = json!({
        "business_profile": null,
        "business_type": params.text("business_type"),
        "capabilities": capabilities,
        "charges_enabled": false,
        "country": params.text("country").unwrap_or("US"),
        "default_currency": "usd",
        "details_submitted": false,
        "email": params.text("email"),
        "external_accounts": { "object": "list", "data": [], "has_more": false,
            "url": "/v1/accounts/external_accounts" },
        "metadata": params.metadata(None),
        "payouts_enabled": false,
        "requirements": requirements(MISSING, Some("requirements.past_due")),
        "settings": null,
        "type": "express",
    });
    let mut account = tx.make("acct", "account", members);
    // Their ids have no letters that are no letters of an id.
    account.id = account.id.replacen("acct_", "acct_1", 1);
    let id = account.id.clone();
    account.set("id", id.as_str());
    tx.happened("account", &account, 0, &id);
    tx.put(account.clone());
    Ok(account.value)
}

pub(super) fn update(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["email", "metadata"])?;
    let mut account = tx.find("account", id)?;
    if let Some(email) = params.given("email") {
        account.set("email", email);
    }
    let metadata = params.metadata(account.value.get("metadata"));
    account.set("metadata", metadata);
    tell(tx, &account, "account.updated");
    tx.put(account.clone());
    Ok(account.value)
}

/// The account that is called on.
pub(super) fn own(tx: &Tx<'_>) -> Result<Value, Refused> {
    match &tx.account {
        Some(id) => tx.get(id).map(|stored| stored.value.clone()).ok_or_else(|| Refused::bad_account(id)),
        None => Ok(json!({ "id": "acct_sandbox", "object": "account", "type": "standard",
            "charges_enabled": true, "payouts_enabled": true, "details_submitted": true, "email": null })),
    }
}

pub(super) fn link(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&["account", "refresh_url", "return_url", "type", "collection_options"])?;
    let mut account = tx.find("account", params.need("account")?)?;
    let kind = params.need("type")?;
    let (refresh, back) = (params.need("refresh_url")?, params.need("return_url")?);
    if !["account_onboarding", "account_update"].contains(&kind) {
        return Err(Refused::parameter("parameter_invalid", "type", "Invalid account link type."));
    }
    let links = account.hidden_number("links").saturating_add(1);
    let token = format!("{}{links}", account.number);
    let expires_at = tx.now_s().saturating_add(LINK_LIFE_S);
    account.hidden.insert("links".to_owned(), json!(links));
    // Only the newest link works, once.
    account.hidden.insert("link".to_owned(), json!(token));
    account.hidden.insert("link_expires_s".to_owned(), json!(expires_at));
    account.hidden.insert("refresh_url".to_owned(), json!(refresh));
    account.hidden.insert("return_url".to_owned(), json!(back));
    if tx.ends() == "restricted" {
        account.hidden.insert("restricted".to_owned(), json!(true));
    }
    let url = format!("{}/setup/{}/{token}", tx.base_url, account.id);
    let created = tx.now_s();
    tx.done("account_link", &account);
    tx.put(account);
    Ok(json!({ "object": "account_link", "created": created, "expires_at": expires_at, "url": url }))
}

/// The onboarding page, filled in completely. Returns where the owner is sent.
pub(super) fn onboard(tx: &mut Tx<'_>, id: &str, token: &str) -> Result<String, Refused> {
    let mut account = tx.find("account", id)?;
    let is_live = tx.now_s() < account.hidden_number("link_expires_s");
    if account.hidden_text("link") != token || !is_live {
        return Ok(account.hidden_text("refresh_url").to_owned());
    }
    account.hidden.remove("link");
    let back = account.hidden_text("return_url").to_owned();
    let restricted = account.hidden.remove("restricted").is_some();
    account.set("details_submitted", true);
    if restricted {
        let due = &["individual.verification.document"];
        account.set("requirements", requirements(due, Some("requirements.past_due")));
    } else {
        enable(tx, &mut account);
    }
    tell(tx, &account, "account.updated");
    tx.put(account);
    Ok(back)
}

fn enable(tx: &mut Tx<'_>, account: &mut Stored) {
    let bank = tx.make_for(
        Some(account.id.clone()),
        "ba",
        "bank_account",
        json!({
            "account": account.id, "bank_name": "STRIPE TEST BANK", "country": account.text("country"),
            "currency": account.text("default_currency"), "default_for_currency": true, "last4": "6789",
            "status": "new",
        }),
    );
    let names: Vec<String> =
        account.at("capabilities").as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let active: Map<String, Value> = names.iter().map(|name| (name.clone(), json!("active"))).collect();
    account.set("charges_enabled", active.contains_key("card_payments"));
    account.set("payouts_enabled", true);
    account.set("capabilities", active);
    account.set("requirements", requirements(&[], None));
    account.set(
        "external_accounts",
        json!({ "object": "list", "data": [bank.value], "has_more": false,
        "url": format!("/v1/accounts/{}/external_accounts", account.id) }),
    );
    account.hidden.insert("bank".to_owned(), json!(bank.id));
    tx.put(bank);
    for name in names {
        let value = json!({ "id": name, "object": "capability", "account": account.id, "requested": true,
            "status": "active" });
        events::tell_value(tx, "capability.updated", Some(&account.id), &value);
    }
}

/// Events about a connected account are that account's.
fn tell(tx: &mut Tx<'_>, account: &Stored, kind: &str) {
    events::tell_value(tx, kind, Some(&account.id), &account.value);
}
