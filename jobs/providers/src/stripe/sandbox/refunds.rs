//! Refunds: a part or the rest, and never more than was captured.

use serde_json::{Value, json};

use super::balance::{self, Booking};
use super::book::Stored;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{events, fees, transfers};

pub(super) fn create(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&[
        "payment_intent",
        "charge",
        "amount",
        "reason",
        "metadata",
        "reverse_transfer",
        "refund_application_fee",
    ])?;
    if let Some(reason) = params.text("reason")
        && !["duplicate", "fraudulent", "requested_by_customer"].contains(&reason)
    {
        return Err(Refused::parameter("parameter_invalid", "reason", "Invalid reason."));
    }
    let charge = match (params.text("charge"), params.text("payment_intent")) {
        (Some(charge), _) => tx.find("charge", charge)?,
        (None, Some(intent)) => {
            let intent = tx.find("payment_intent", intent)?;
            let charge = tx.find("charge", intent.text("latest_charge"));
            charge.map_err(|_| Refused::state("charge_not_found", "The intent has no successful charge."))?
        }
        (None, None) => return Err(Refused::absent("payment_intent")),
    };
    if charge.at("disputed").as_bool() == Some(true) {
        return Err(Refused::state("charge_disputed", "The charge has been charged back."));
    }
    let amount = refundable(&charge, params.integer("amount")?)?;
    refund(tx, charge, amount, params)
}

fn refundable(charge: &Stored, asked: Option<i64>) -> Result<i64, Refused> {
    let captured = charge.number_of("amount_captured");
    let left = captured.saturating_sub(charge.number_of("amount_refunded"));
    if captured == 0 {
        return Err(Refused::state("charge_not_refundable", "The charge has not been captured."));
    }
    if left == 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(Refused::state("charge_already_refunded", &message));
    }
    let amount = asked.unwrap_or(left);
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(Refused::parameter("parameter_invalid_integer", "amount", message));
    }
    if amount > left {
        let message = format!("Refund amount ({amount}) is greater than unrefunded amount ({left}).");
        return Err(Refused::state("amount_too_large", &message));
    }
    Ok(amount)
}

fn refund(tx: &mut Tx<'_>, mut charge: Stored, asked: i64, params: &Params) -> Result<Value, Refused> {
    let amount = tx.really(asked);
    let currency = charge.text("currency").to_owned();
    let members = json!({
        "amount": amount,
        "balance_transaction": null,
        "charge": charge.id,
        "currency": currency,
        "customer": charge.at("customer"),
        "customer_account": null,
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": params.metadata(None),
        "payment_intent": charge.at("payment_intent"),
        "payment_method": charge.at("payment_method"),
        "reason": params.text("reason"),
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    });
    let mut refund = tx.make("re", "refund", members);
    let refunded = charge.number_of("amount_refunded").saturating_add(amount);
    let is_last = refunded >= charge.number_of("amount_captured");
    let gives_fee_back = params.flag("refund_application_fee");
    let fee = if gives_fee_back { fees::due_back(tx, &charge, amount, is_last) } else { None };
    if params.flag("reverse_transfer") {
        // First, since it may be refused. What of the fee comes back helps to pay it.
        let helped = fee.as_ref().map_or(0, |(_, amount)| *amount);
        let reversal = transfers::take_back_of(tx, &charge, amount, is_last, helped, &refund.id)?;
        refund.set("transfer_reversal", reversal.id);
    }
    if let Some((fee, amount)) = fee {
        fees::give_back(tx, fee, amount);
    }
    let booking = Booking {
        account: tx.account.clone(),
        kind: "refund",
        amount: amount.saturating_neg(),
        fee: 0,
        currency,
        source: refund.id.clone(),
        available_ms: tx.now_ms,
    };
    let booked = balance::book(tx, booking);
    refund.set("balance_transaction", booked);
    let fails = charge.hidden.get("refund_fails") == Some(&json!(true)) || tx.ends() == "failed";
    if fails {
        let next_ms = tx.now_ms.saturating_add(tx.settle_after_ms());
        refund.hidden.insert("next_ms".to_owned(), json!(next_ms));
    }
    charge.set("amount_refunded", refunded);
    charge.set("refunded", is_last);
    tx.happened("refund", &refund, amount, charge.text("payment_intent"));
    events::tell(tx, "charge.refunded", &charge);
    events::tell(tx, "refund.created", &refund);
    tx.put(charge);
    tx.put(refund.clone());
    Ok(refund.value)
}

/// The card does not take the money back.
pub(super) fn fail(tx: &mut Tx<'_>, mut refund: Stored) {
    let amount = refund.number_of("amount");
    let booking = Booking {
        account: refund.account.clone(),
        kind: "refund_failure",
        amount,
        fee: 0,
        currency: refund.text("currency").to_owned(),
        source: refund.id.clone(),
        available_ms: tx.now_ms,
    };
    let booked = balance::book(tx, booking);
    refund.set("failure_balance_transaction", booked);
    refund.set("failure_reason", "lost_or_stolen_card");
    refund.set("status", "failed");
    refund.hidden.remove("next_ms");
    events::tell(tx, "refund.updated", &refund);
    events::tell(tx, "refund.failed", &refund);
    tx.put(refund);
}
