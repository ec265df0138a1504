//! Disputes: a payer's bank takes a payment back, and whoever was paid answers it or lets it be. Made by
//! paying with `pm_card_createDispute`; won by the evidence `winning_evidence`, as in Stripe's test mode.

use serde_json::{Value, json};

use super::balance::{self, Booking};
use super::book::{Effect, Stored};
use super::events;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;

/// What a dispute costs, however it ends, in minor units.
const FEE: i64 = 1_500;
/// How long it can be answered.
const ANSWER_S: i64 = 7 * 24 * 3_600;

/// The bank takes all of `charge` back.
pub(super) fn open(tx: &mut Tx<'_>, charge: &mut Stored) {
    let amount = charge.number_of("amount_captured");
    let due_by = tx.now_s().saturating_add(ANSWER_S);
    let members = json!({
        "amount": amount,
        "balance_transactions": [],
        "charge": charge.id,
        "currency": charge.text("currency"),
        "evidence": {},
        "evidence_details": {
            "due_by": due_by, "has_evidence": false, "past_due": false, "submission_count": 0,
        },
        "is_charge_refundable": false,
        "metadata": {},
        "payment_intent": charge.at("payment_intent"),
        "reason": "fraudulent",
        "status": "needs_response",
    });
    let mut dispute = tx.make_for(charge.account.clone(), "du", "dispute", members);
    charge.set("disputed", true);
    book(tx, &mut dispute, amount.saturating_neg(), FEE);
    tx.changes.effects.push(Effect {
        kind: "dispute".to_owned(),
        // Nobody here asked for it.
        reference: String::new(),
        minor: amount,
        currency: dispute.text("currency").to_owned(),
        destination: charge.text("payment_intent").to_owned(),
        at_ms: tx.now_ms,
        id: dispute.id.clone(),
    });
    events::tell(tx, "charge.dispute.created", &dispute);
    events::tell(tx, "charge.dispute.funds_withdrawn", &dispute);
    tx.put(dispute);
}

/// `POST /v1/disputes/{id}`: evidence, which with `submit` decides it.
pub(super) fn answer(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["evidence", "submit", "metadata"])?;
    let mut dispute = undecided(tx, id)?;
    let text = params.text("evidence[uncategorized_text]").unwrap_or_default().to_owned();
    dispute.set("evidence", json!({ "uncategorized_text": text }));
    if params.text("submit") == Some("false") {
        tx.put(dispute.clone());
        return Ok(dispute.value);
    }
    Ok(end(tx, dispute, text == "winning_evidence"))
}

/// `POST /v1/disputes/{id}/close`: lost, by choice.
pub(super) fn close(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&[])?;
    let dispute = undecided(tx, id)?;
    Ok(end(tx, dispute, false))
}

fn undecided(tx: &Tx<'_>, id: &str) -> Result<Stored, Refused> {
    let dispute = tx.find("dispute", id)?;
    if dispute.text("status") == "needs_response" {
        Ok(dispute)
    } else {
        Err(Refused::state("dispute_already_closed", "This dispute is already closed."))
    }
}

fn end(tx: &mut Tx<'_>, mut dispute: Stored, is_won: bool) -> Value {
    dispute.set("status", if is_won { "won" } else { "lost" });
    if is_won {
        let amount = dispute.number_of("amount");
        book(tx, &mut dispute, amount, 0);
        events::tell(tx, "charge.dispute.funds_reinstated", &dispute);
    }
    events::tell(tx, "charge.dispute.closed", &dispute);
    tx.put(dispute.clone());
    dispute.value
}

/// Books what a dispute moves, and shows it in the dispute.
fn book(tx: &mut Tx<'_>, dispute: &mut Stored, amount: i64, fee: i64) {
    let booking = Booking {
        account: dispute.account.clone(),
        kind: "adjustment",
        amount,
        fee,
        currency: dispute.text("currency").to_owned(),
        source: dispute.id.clone(),
        available_ms: tx.now_ms,
    };
    let booked = balance::book(tx, booking);
    let booked = tx.get(&booked).map(|booked| booked.value.clone());
    if let Some(shown) = dispute.value.pointer_mut("/balance_transactions").and_then(Value::as_array_mut) {
        shown.extend(booked);
    }
}
