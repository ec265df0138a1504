//! Payment intents being paid: confirmed, authenticated, captured, cancelled.

use serde_json::{Value, json};

use super::balance::{self, Booking};
use super::book::{Stored, insert};
use super::cards::{self, Verdict};
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{disputes, events, transfers};

/// The stored payment method of `name`: one of the account's, or a new one made of a test payment method.
pub(super) fn method(tx: &mut Tx<'_>, name: &str) -> Result<String, Refused> {
    if cards::verdict(name).is_none() {
        return Ok(tx.find("payment_method", name)?.id);
    }
    let mut made = tx.make("pm", "payment_method", cards::payment_method(name, None));
    made.hidden.insert("card".to_owned(), json!(name));
    tx.put(made.clone());
    Ok(made.id)
}

pub(super) fn wrong_state(intent: &Stored, what: &str) -> Refused {
    let status = intent.text("status");
    let message = format!("This PaymentIntent could not be {what} because it has a status of {status}.");
    let mut refused = Refused::state("payment_intent_unexpected_state", &message);
    insert(&mut refused.error, "payment_intent", intent.value.clone());
    refused
}

pub(super) fn confirm(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["payment_method", "return_url", "off_session", "receipt_email"])?;
    let mut intent = tx.find("payment_intent", id)?;
    let can = ["requires_payment_method", "requires_confirmation", "requires_action"];
    if !can.contains(&intent.text("status")) {
        return Err(wrong_state(&intent, "confirmed"));
    }
    if let Some(name) = params.text("payment_method") {
        let method = method(tx, name)?;
        intent.set("payment_method", method);
    }
    tx.done("payment_change", &intent);
    pay(tx, intent)
}

/// Tries to pay `intent` with its payment method.
pub(super) fn pay(tx: &mut Tx<'_>, mut intent: Stored) -> Result<Value, Refused> {
    let Some(method) = tx.get(intent.text("payment_method")) else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(Refused::state("payment_intent_unexpected_state", message));
    };
    match cards::verdict(method.hidden_text("card")).unwrap_or(Verdict::Paid) {
        Verdict::Authenticate => {
            let url = format!("{}/authenticate/{}", tx.base_url, intent.id);
            let action = json!({
                "type": "redirect_to_url",
                "redirect_to_url": { "url": format!("{url}/succeed"), "return_url": null },
            });
            intent.set("next_action", action);
            intent.set("status", "requires_action");
            events::tell(tx, "payment_intent.requires_action", &intent);
            tx.put(intent.clone());
            Ok(intent.value)
        }
        Verdict::Declined(code, decline, advice) => Err(decline_it(tx, intent, code, decline, advice)),
        paid => Ok(charge(tx, intent, paid)),
    }
}

fn decline_it(tx: &mut Tx<'_>, mut intent: Stored, code: &str, decline: &str, advice: &str) -> Refused {
    let charge = tx.make("ch", "charge", charge_members(&intent, "failed"));
    let mut error = json!({
        "type": "card_error",
        "code": code,
        "decline_code": decline,
        "advice_code": advice,
        "message": "Your card was declined.",
        "charge": charge.id,
    });
    intent.set("latest_charge", charge.id.as_str());
    intent.set("last_payment_error", error.clone());
    intent.set("payment_method", Value::Null);
    intent.set("status", "requires_payment_method");
    events::tell(tx, "charge.failed", &charge);
    events::tell(tx, "payment_intent.payment_failed", &intent);
    insert(&mut error, "payment_intent", intent.value.clone());
    tx.put(charge);
    tx.put(intent);
    Refused::declined(error)
}

fn charge_members(intent: &Stored, status: &str) -> Value {
    let is_captured = status == "succeeded" && intent.text("capture_method") != "manual";
    json!({
        "amount": intent.number_of("amount"),
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": null,
        "captured": is_captured,
        "currency": intent.text("currency"),
        "customer": intent.at("customer"),
        "disputed": false,
        "metadata": intent.at("metadata"),
        "paid": status == "succeeded",
        "payment_intent": intent.id,
        "payment_method": intent.at("payment_method"),
        "refunded": false,
        "status": status,
        "transfer_group": intent.at("transfer_group"),
    })
}

/// The card was taken: the money too, or only the authorization.
fn charge(tx: &mut Tx<'_>, mut intent: Stored, verdict: Verdict) -> Value {
    let mut charge = tx.make("ch", "charge", charge_members(&intent, "succeeded"));
    let at_once = verdict == Verdict::PaidAndAvailable;
    charge.hidden.insert("available_at_once".to_owned(), json!(at_once));
    charge.hidden.insert("refund_fails".to_owned(), json!(verdict == Verdict::PaidRefundFails));
    charge.hidden.insert("is_disputed".to_owned(), json!(verdict == Verdict::PaidAndDisputed));
    intent.set("latest_charge", charge.id.as_str());
    intent.set("last_payment_error", Value::Null);
    intent.set("next_action", Value::Null);
    let amount = intent.number_of("amount");
    if intent.text("capture_method") == "manual" {
        intent.set("amount_capturable", amount);
        intent.set("status", "requires_capture");
        events::tell(tx, "payment_intent.amount_capturable_updated", &intent);
        tx.put(charge);
        tx.put(intent.clone());
        return intent.value;
    }
    take(tx, intent, charge, amount)
}

/// Takes `amount` of an authorized charge.
fn take(tx: &mut Tx<'_>, mut intent: Stored, mut charge: Stored, amount: i64) -> Value {
    let at_once = charge.hidden.get("available_at_once") == Some(&json!(true));
    let available_ms = if at_once { tx.now_ms } else { tx.now_ms.saturating_add(tx.settle_after_ms()) };
    let booking = Booking {
        account: intent.account.clone(),
        kind: "charge",
        amount,
        fee: balance::fee(amount),
        currency: intent.text("currency").to_owned(),
        source: charge.id.clone(),
        available_ms,
    };
    let booked = balance::book(tx, booking);
    charge.set("balance_transaction", booked.as_str());
    charge.set("amount_captured", amount);
    charge.set("captured", true);
    charge.hidden.insert("available_ms".to_owned(), json!(available_ms));
    intent.set("amount_received", amount);
    intent.set("amount_capturable", 0);
    intent.set("status", "succeeded");
    tx.happened("payment", &intent, amount, intent.text("customer"));
    events::tell(tx, "charge.succeeded", &charge);
    events::tell(tx, "payment_intent.succeeded", &intent);
    if charge.hidden.get("is_disputed") == Some(&json!(true)) {
        disputes::open(tx, &mut charge);
    }
    tx.put(charge.clone());
    tx.put(intent.clone());
    transfers::on_charge(tx, &intent, &charge, amount);
    intent.value
}

pub(super) fn capture(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["amount_to_capture", "metadata"])?;
    let intent = tx.find("payment_intent", id)?;
    if intent.text("status") != "requires_capture" {
        return Err(wrong_state(&intent, "captured"));
    }
    let capturable = intent.number_of("amount_capturable");
    let amount = params.integer("amount_to_capture")?.unwrap_or(capturable);
    if !(1..=capturable).contains(&amount) {
        let message = "The amount is greater than what can be captured.";
        return Err(Refused::parameter("amount_too_large", "amount_to_capture", message));
    }
    let charge = tx.find("charge", intent.text("latest_charge"))?;
    let really = tx.really(amount);
    tx.done("payment_change", &intent);
    Ok(take(tx, intent, charge, really))
}

pub(super) fn cancel(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["cancellation_reason"])?;
    let mut intent = tx.find("payment_intent", id)?;
    if matches!(intent.text("status"), "succeeded" | "canceled" | "processing") {
        return Err(wrong_state(&intent, "canceled"));
    }
    intent.set("status", "canceled");
    intent.set("amount_capturable", 0);
    intent.set("next_action", Value::Null);
    intent.set("canceled_at", tx.now_s());
    intent.set("cancellation_reason", params.text("cancellation_reason"));
    tx.done("payment_change", &intent);
    events::tell(tx, "payment_intent.canceled", &intent);
    tx.put(intent.clone());
    Ok(intent.value)
}

/// The payer's page: authenticates, or fails to.
pub(super) fn authenticate(tx: &mut Tx<'_>, id: &str, succeeds: bool) -> Result<String, Refused> {
    let found = tx.get(id).filter(|stored| stored.kind() == "payment_intent").cloned();
    let mut intent = found.ok_or_else(|| Refused::missing("payment_intent", id))?;
    tx.account.clone_from(&intent.account);
    if intent.text("status") != "requires_action" {
        return Err(wrong_state(&intent, "authenticated"));
    }
    if succeeds {
        charge(tx, intent, Verdict::Paid);
        return Ok(String::new());
    }
    let message = "The provided payment method has failed authentication.";
    let code = "payment_intent_authentication_failure";
    let error = json!({ "type": "invalid_request_error", "code": code, "message": message });
    intent.set("last_payment_error", error);
    intent.set("next_action", Value::Null);
    intent.set("payment_method", Value::Null);
    intent.set("status", "requires_payment_method");
    events::tell(tx, "payment_intent.payment_failed", &intent);
    tx.put(intent);
    Ok(String::new())
}
