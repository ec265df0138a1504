//! Payment intents before anything is paid: made, changed, and how amounts are checked.

use serde_json::{Value, json};

use super::book::Stored;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{events, payments};
use crate::stripe::amount::{Purpose, from_minor, to_minor};

/// Most of an amount: eight digits.
const MOST: i64 = 99_999_999;

/// `amount` and `currency`, as Stripe takes them.
pub(super) fn money(params: &Params, purpose: Purpose) -> Result<(i64, String), Refused> {
    let minor = params.integer("amount")?.ok_or_else(|| Refused::absent("amount"))?;
    let currency = params.need("currency")?.to_ascii_lowercase();
    if from_minor(0, &currency).is_none() {
        let message = format!("Invalid currency: {currency}.");
        return Err(Refused::parameter("parameter_invalid", "currency", &message));
    }
    if minor < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(Refused::parameter("parameter_invalid_integer", "amount", message));
    }
    let whole = from_minor(minor, &currency).and_then(|money| to_minor(&money, purpose).ok());
    if whole != Some(minor) {
        let message = format!("Invalid amount: it is too fine for {currency}.");
        return Err(Refused::parameter("parameter_invalid_integer", "amount", &message));
    }
    Ok((minor, currency))
}

fn is_chargeable(minor: i64, currency: &str) -> Result<(), Refused> {
    let least = match currency {
        "usd" | "eur" | "jpy" => 50,
        "gbp" => 30,
        _ => 1,
    };
    if minor < least {
        let message = format!("Amount must be at least {least} {currency}.");
        return Err(Refused::parameter("amount_too_small", "amount", &message));
    }
    if minor > MOST {
        let message = format!("Amount must be no more than {MOST} {currency}.");
        return Err(Refused::parameter("amount_too_large", "amount", &message));
    }
    Ok(())
}

/// What an intent can be made and changed with.
const MEMBERS: &[&str] = &[
    "amount",
    "currency",
    "customer",
    "payment_method",
    "payment_method_types",
    "confirm",
    "off_session",
    "automatic_payment_methods",
    "capture_method",
    "transfer_data",
    "application_fee_amount",
    "on_behalf_of",
    "transfer_group",
    "return_url",
    "description",
    "receipt_email",
    "statement_descriptor_suffix",
    "metadata",
];

pub(super) fn create(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(MEMBERS)?;
    let (minor, currency) = money(params, Purpose::Payment)?;
    is_chargeable(minor, &currency)?;
    if let Some(customer) = params.text("customer") {
        tx.find("customer", customer)?;
    }
    let method = params.text("payment_method").map(|name| payments::method(tx, name)).transpose()?;
    let is_automatic = params.flag("automatic_payment_methods[enabled]");
    let intent = tx.make("pi", "payment_intent", members(params, tx.really(minor), &currency, is_automatic));
    let mut intent = intent;
    let secret = format!("{}_secret_sandbox", intent.id);
    intent.set("client_secret", secret);
    if let Some(method) = &method {
        intent.set("payment_method", method.as_str());
        intent.set("status", "requires_confirmation");
    }
    keep_fee(&mut intent, params)?;
    events::tell(tx, "payment_intent.created", &intent);
    tx.put(intent.clone());
    if params.flag("confirm") {
        return payments::pay(tx, intent);
    }
    Ok(intent.value)
}

fn keep_fee(intent: &mut Stored, params: &Params) -> Result<(), Refused> {
    let Some(fee) = params.integer("application_fee_amount")? else { return Ok(()) };
    if !(0..=intent.number_of("amount")).contains(&fee) || params.text("transfer_data[destination]").is_none()
    {
        let message = "The fee must go with a destination and not exceed the amount.";
        return Err(Refused::parameter("parameter_invalid_integer", "application_fee_amount", message));
    }
    intent.set("application_fee_amount", fee);
    Ok(())
}

fn members(params: &Params, minor: i64, currency: &str, is_automatic: bool) -> Value {
    let types = params.list("payment_method_types");
    let types = if types.is_empty() { vec!["card"] } else { types };
    let transfer = params.text("transfer_data[destination]").map(|to| json!({ "destination": to }));
    json!({
        "allowed_payment_method_types": null,
        "amount": minor,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": 0,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods":
            is_automatic.then(|| json!({ "enabled": true, "allow_redirects": "always" })),
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": params.text("capture_method").unwrap_or("automatic"),
        "confirmation_method": "automatic",
        "currency": currency,
        "customer": params.text("customer"),
        "customer_account": null,
        "description": params.text("description"),
        "excluded_payment_method_types": null,
        "last_payment_error": null,
        "latest_charge": null,
        "managed_payments": null,
        "metadata": params.metadata(None),
        "next_action": null,
        "on_behalf_of": params.text("on_behalf_of"),
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {},
        "payment_method_types": types,
        "payment_record": null,
        "processing": null,
        "receipt_email": params.text("receipt_email"),
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": params.text("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": transfer,
        "transfer_group": params.text("transfer_group"),
    })
}

/// Changes what may still be changed.
pub(super) fn update(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&[
        "amount",
        "description",
        "metadata",
        "payment_method",
        "receipt_email",
        "transfer_group",
    ])?;
    let mut intent = tx.find("payment_intent", id)?;
    let is_open = matches!(
        intent.text("status"),
        "requires_payment_method" | "requires_confirmation" | "requires_action"
    );
    if let Some(minor) = params.integer("amount")? {
        is_chargeable(minor, intent.text("currency"))?;
        if !is_open {
            return Err(payments::wrong_state(&intent, "updated"));
        }
        intent.set("amount", minor);
    }
    if let Some(name) = params.text("payment_method") {
        if !is_open {
            return Err(payments::wrong_state(&intent, "updated"));
        }
        let method = payments::method(tx, name)?;
        intent.set("payment_method", method);
        intent.set("status", "requires_confirmation");
    }
    for name in ["description", "receipt_email", "transfer_group"] {
        if let Some(text) = params.given(name) {
            intent.set(name, Some(text).filter(|text| !text.is_empty()));
        }
    }
    let metadata = params.metadata(intent.value.get("metadata"));
    intent.set("metadata", metadata);
    tx.put(intent.clone());
    Ok(intent.value)
}
