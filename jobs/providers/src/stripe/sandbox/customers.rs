//! Customers and the payment methods that are attached to them.

use serde_json::{Value, json};

use super::book::Stored;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{events, lists, payments};

const MEMBERS: &[&str] = &["email", "name", "phone", "description", "metadata"];

pub(super) fn create(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(MEMBERS)?;
    let members = json!({
        "address": null,
        "balance": 0,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": params.text("description"),
        "discount": null,
        "email": params.text("email"),
        "invoice_prefix": "SANDBOX",
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
        },
        "metadata": params.metadata(None),
        "name": params.text("name"),
        "phone": params.text("phone"),
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    });
    let customer = tx.make("cus", "customer", members);
    tx.happened("customer", &customer, 0, "");
    events::tell(tx, "customer.created", &customer);
    tx.put(customer.clone());
    Ok(customer.value)
}

/// A customer that is still there.
fn alive(tx: &Tx<'_>, id: &str) -> Result<Stored, Refused> {
    let customer = tx.find("customer", id)?;
    if customer.at("deleted").as_bool() == Some(true) {
        Err(Refused::missing("customer", id))
    } else {
        Ok(customer)
    }
}

pub(super) fn update(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(MEMBERS)?;
    let mut customer = alive(tx, id)?;
    for name in ["email", "name", "phone", "description"] {
        if let Some(text) = params.given(name) {
            customer.set(name, Some(text).filter(|text| !text.is_empty()));
        }
    }
    let metadata = params.metadata(customer.value.get("metadata"));
    customer.set("metadata", metadata);
    events::tell(tx, "customer.updated", &customer);
    tx.put(customer.clone());
    Ok(customer.value)
}

pub(super) fn delete(tx: &mut Tx<'_>, id: &str) -> Result<Value, Refused> {
    let mut customer = alive(tx, id)?;
    events::tell(tx, "customer.deleted", &customer);
    customer.value = json!({ "id": id, "object": "customer", "deleted": true });
    tx.put(customer.clone());
    Ok(customer.value)
}

pub(super) fn attach(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["customer"])?;
    let customer = alive(tx, params.need("customer")?)?;
    let id = payments::method(tx, id)?;
    let mut method = tx.find("payment_method", &id)?;
    if method.hidden.contains_key("was_detached") || !method.at("customer").is_null() {
        let message = "This payment method is attached to a customer, or was before.";
        return Err(Refused::state("payment_method_unexpected_state", message));
    }
    method.set("customer", customer.id);
    tx.done("payment_method", &method);
    events::tell(tx, "payment_method.attached", &method);
    tx.put(method.clone());
    Ok(method.value)
}

pub(super) fn detach(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&[])?;
    let mut method = tx.find("payment_method", id)?;
    if method.at("customer").is_null() {
        let message =
            "The payment method you provided is not attached to a customer so detachment is impossible.";
        return Err(Refused::state("payment_method_unexpected_state", message));
    }
    let before = json!({ "customer": method.at("customer") });
    method.set("customer", Value::Null);
    method.hidden.insert("was_detached".to_owned(), json!(true));
    tx.done("payment_method", &method);
    events::tell_change(tx, "payment_method.detached", &method, &before);
    tx.put(method.clone());
    Ok(method.value)
}

pub(super) fn payment_methods(tx: &Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["type", "limit", "starting_after", "ending_before"])?;
    alive(tx, id)?;
    let kind = params.text("type");
    let matches = |stored: &&Stored| {
        stored.text("customer") == id && kind.is_none_or(|kind| stored.text("type") == kind)
    };
    let found = tx.of(tx.account.as_deref(), "payment_method").into_iter().filter(matches).collect();
    lists::page(found, &format!("/v1/customers/{id}/payment_methods"), params)
}
