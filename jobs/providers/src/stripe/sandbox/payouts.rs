//! Payouts: pending, in transit, paid by time alone; cancelled while pending; failed on demand, also
//! after they were paid.

use serde_json::{Value, json};

use super::balance::{self, Booking};
use super::book::Stored;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{events, intents};
use crate::stripe::amount::Purpose;

pub(super) fn create(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&[
        "amount",
        "currency",
        "method",
        "destination",
        "source_type",
        "statement_descriptor",
        "description",
        "metadata",
    ])?;
    let (minor, currency) = intents::money(params, Purpose::Payout)?;
    let method = params.text("method").unwrap_or("standard");
    if !["standard", "instant"].contains(&method) {
        return Err(Refused::parameter("parameter_invalid", "method", "Invalid method."));
    }
    let destination = destination(tx, params)?;
    balance::covers(tx, tx.account.as_deref(), minor, &currency)?;
    let amount = tx.really(minor);
    let mut payout = make(tx, params, amount, &currency, &destination);
    payout.set("method", method);
    let step_ms = tx.settle_after_ms().div_euclid(2);
    payout.hidden.insert("ends".to_owned(), json!(tx.ends()));
    payout.hidden.insert("next_ms".to_owned(), json!(tx.now_ms.saturating_add(step_ms)));
    let booked = move_balance(tx, &payout, "payout", amount.saturating_neg());
    payout.set("balance_transaction", booked);
    tx.happened("payout", &payout, amount, &destination);
    events::tell(tx, "payout.created", &payout);
    tx.put(payout.clone());
    Ok(payout.value)
}

/// The bank account it goes to; a connected account has one only once it is enabled.
fn destination(tx: &Tx<'_>, params: &Params) -> Result<String, Refused> {
    let Some(account) = &tx.account else {
        return Ok(params.text("destination").unwrap_or("ba_sandbox").to_owned());
    };
    let account = tx.get(account).ok_or_else(|| Refused::bad_account(account))?;
    if account.at("payouts_enabled").as_bool() != Some(true) {
        return Err(Refused::state("payouts_not_allowed", "Payouts are not enabled on this account."));
    }
    let bank = account.hidden_text("bank").to_owned();
    match params.text("destination") {
        Some(other) if other != bank => Err(Refused::missing("external account", other)),
        _ => Ok(bank),
    }
}

fn make(tx: &mut Tx<'_>, params: &Params, amount: i64, currency: &str, destination: &str) -> Stored {
    let arrives_ms = tx.now_ms.saturating_add(tx.settle_after_ms());
    let members = json!({
        "amount": amount,
        "application_fee": null,
        "application_fee_amount": null,
        "arrival_date": arrives_ms.div_euclid(1000),
        "automatic": false,
        "balance_transaction": null,
        "currency": currency,
        "description": params.text("description"),
        "destination": destination,
        "failure_balance_transaction": null,
        "failure_code": null,
        "failure_message": null,
        "metadata": params.metadata(None),
        "method": "standard",
        "original_payout": null,
        "payout_method": null,
        "reconciliation_status": "not_applicable",
        "reversed_by": null,
        "source_type": params.text("source_type").unwrap_or("card"),
        "statement_descriptor": params.text("statement_descriptor"),
        "status": "pending",
        "trace_id": null,
        "type": "bank_account",
    });
    tx.make("po", "payout", members)
}

fn move_balance(tx: &mut Tx<'_>, payout: &Stored, kind: &'static str, amount: i64) -> String {
    let booking = Booking {
        account: payout.account.clone(),
        kind,
        amount,
        fee: 0,
        currency: payout.text("currency").to_owned(),
        source: payout.id.clone(),
        available_ms: tx.now_ms,
    };
    balance::book(tx, booking)
}

pub(super) fn cancel(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&[])?;
    let mut payout = tx.find("payout", id)?;
    if payout.text("status") != "pending" {
        let message = format!("A payout with status {} cannot be canceled.", payout.text("status"));
        return Err(Refused::state("payout_not_cancelable", &message));
    }
    payout.set("status", "canceled");
    payout.hidden.remove("next_ms");
    let amount = payout.number_of("amount");
    let booked = move_balance(tx, &payout, "payout_cancel", amount);
    payout.set("failure_balance_transaction", booked);
    events::tell(tx, "payout.canceled", &payout);
    tx.put(payout.clone());
    Ok(payout.value)
}

/// A paid payout asked back: a payout of its own, of the negative amount.
pub(super) fn reverse(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["metadata"])?;
    let mut payout = tx.find("payout", id)?;
    if payout.text("status") != "paid" || !payout.at("reversed_by").is_null() {
        return Err(Refused::state("payout_not_reversible", "This payout cannot be reversed."));
    }
    let amount = payout.number_of("amount");
    let (currency, destination) = (payout.text("currency").to_owned(), payout.text("destination").to_owned());
    let mut reversal = make(tx, params, amount.saturating_neg(), &currency, &destination);
    reversal.set("original_payout", payout.id.as_str());
    reversal.set("status", "paid");
    let booked = move_balance(tx, &reversal, "payout", amount);
    reversal.set("balance_transaction", booked);
    payout.set("reversed_by", reversal.id.as_str());
    tx.happened("payout_reversal", &reversal, amount, &payout.id);
    events::tell(tx, "payout.updated", &payout);
    events::tell(tx, "payout.created", &reversal);
    tx.put(payout);
    tx.put(reversal.clone());
    Ok(reversal.value)
}

/// The next step of a payout's life.
pub(super) fn advance(tx: &mut Tx<'_>, mut payout: Stored) {
    let due_ms = payout.hidden_number("next_ms");
    let step_ms = tx.settle_after_ms().div_euclid(2);
    let ends = payout.hidden_text("ends").to_owned();
    match (payout.text("status"), ends.as_str()) {
        ("pending", _) if payout.text("method") != "instant" => {
            payout.set("status", "in_transit");
            payout.hidden.insert("next_ms".to_owned(), json!(due_ms.saturating_add(step_ms)));
            events::tell(tx, "payout.updated", &payout);
        }
        ("pending" | "in_transit", "failed") | ("paid", _) => {
            payout.hidden.remove("next_ms");
            fail(tx, &mut payout);
        }
        _ => {
            payout.set("status", "paid");
            payout.hidden.remove("next_ms");
            if ends == "paid_then_failed" {
                let next_ms = due_ms.saturating_add(tx.settle_after_ms());
                payout.hidden.insert("next_ms".to_owned(), json!(next_ms));
            }
            events::tell(tx, "payout.paid", &payout);
        }
    }
    tx.put(payout);
}

fn fail(tx: &mut Tx<'_>, payout: &mut Stored) {
    let amount = payout.number_of("amount");
    let booked = move_balance(tx, payout, "payout_failure", amount);
    payout.set("failure_balance_transaction", booked);
    payout.set("failure_code", "account_closed");
    payout.set("failure_message", "The bank account has been closed.");
    payout.set("status", "failed");
    events::tell(tx, "payout.failed", payout);
}
