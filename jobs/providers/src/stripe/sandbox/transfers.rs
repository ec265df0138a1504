//! Transfers to connected accounts, and what comes back of them.

use serde_json::{Value, json};

use super::balance::{self, Booking};
use super::book::{Book, Stored, member};
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{events, fees, intents, lists};
use crate::sandbox::Filling;
use crate::stripe::REFERENCE;
use crate::stripe::amount::Purpose;

pub(super) fn create(tx: &mut Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&[
        "amount",
        "currency",
        "destination",
        "transfer_group",
        "source_transaction",
        "source_type",
        "description",
        "metadata",
    ])?;
    let (minor, currency) = intents::money(params, Purpose::Payment)?;
    let destination = tx.find("account", params.need("destination")?)?;
    if member(destination.at("capabilities"), "transfers").as_str() != Some("active") {
        let message = "Your destination account needs to have at least one of the following capabilities \
                       enabled: transfers.";
        return Err(Refused::state("insufficient_capabilities_for_transfer", message));
    }
    let amount = tx.really(minor);
    let available_ms = if let Some(charge) = params.text("source_transaction") {
        from_charge(tx, charge, minor, &currency)?
    } else {
        balance::covers(tx, None, minor, &currency)?;
        tx.now_ms
    };
    let mut transfer = make(tx, params, amount, &currency, &destination.id);
    transfer.hidden.insert("available_ms".to_owned(), json!(available_ms));
    send(tx, &mut transfer, available_ms);
    Ok(transfer.value)
}

/// When a transfer out of this charge becomes available; refused where the charge has not as much left.
fn from_charge(tx: &Tx<'_>, id: &str, minor: i64, currency: &str) -> Result<i64, Refused> {
    let charge = tx.find("charge", id)?;
    let of_it = |stored: &&&Stored| stored.text("source_transaction") == id;
    let sent: i64 = tx
        .of(None, "transfer")
        .iter()
        .filter(of_it)
        .map(|transfer| transfer.number_of("amount").saturating_sub(transfer.number_of("amount_reversed")))
        .sum();
    let left = charge.number_of("amount_captured").saturating_sub(sent);
    if charge.text("currency") != currency || minor > left {
        let message = "The transfer exceeds what is left of the source transaction.";
        return Err(Refused::state("transfer_source_balance_parameters_mismatch", message));
    }
    Ok(charge.hidden_number("available_ms"))
}

fn make(tx: &mut Tx<'_>, params: &Params, amount: i64, currency: &str, destination: &str) -> Stored {
    let members = json!({
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": null,
        "currency": currency,
        "description": params.text("description"),
        "destination": destination,
        "destination_payment": null,
        "metadata": params.metadata(None),
        "reversed": false,
        "source_transaction": params.text("source_transaction"),
        "source_type": params.text("source_type").unwrap_or("card"),
        "transfer_group": params.text("transfer_group"),
    });
    tx.make("tr", "transfer", members)
}

/// Made-up transfers to the account that they are about. They are not written down.
pub(super) fn fill(book: &mut Book, filling: &Filling) {
    for (number, at) in filling.records() {
        let mut tx = Tx::new(book, at.unix_ms());
        let mut transfer = make(&mut tx, &Params::default(), 150, "usd", &filling.about);
        let reference = Filling::reference(number);
        transfer.set("metadata", json!({ REFERENCE: reference }));
        tx.happened("transfer", &transfer, 150, &filling.about);
        tx.put(transfer);
        let changes = std::mem::take(&mut tx.changes);
        book.keep(changes);
    }
}

/// Books both sides.
fn send(tx: &mut Tx<'_>, transfer: &mut Stored, available_ms: i64) {
    let amount = transfer.number_of("amount");
    let (currency, destination) =
        (transfer.text("currency").to_owned(), transfer.text("destination").to_owned());
    let url = format!("/v1/transfers/{}/reversals", transfer.id);
    transfer.set("reversals", json!({ "object": "list", "data": [], "has_more": false, "url": url }));
    let ours = Booking {
        account: None,
        kind: "transfer",
        amount: amount.saturating_neg(),
        fee: 0,
        currency: currency.clone(),
        source: transfer.id.clone(),
        available_ms: tx.now_ms,
    };
    let booked = balance::book(tx, ours);
    let theirs = Booking {
        account: Some(destination.clone()),
        kind: "payment",
        amount,
        fee: 0,
        currency,
        source: transfer.id.clone(),
        available_ms,
    };
    let received = balance::book(tx, theirs);
    transfer.set("balance_transaction", booked);
    transfer.set("destination_payment", received.replacen("txn_", "py_", 1));
    tx.happened("transfer", transfer, amount, &destination);
    events::tell(tx, "transfer.created", transfer);
    tx.put(transfer.clone());
}

/// What a payment with `transfer_data` sends on by itself: all of it, of which the platform takes its fee.
pub(super) fn on_charge(tx: &mut Tx<'_>, intent: &Stored, charge: &Stored, captured: i64) {
    let Some(destination) = member(intent.at("transfer_data"), "destination").as_str() else { return };
    let nothing = Params::default();
    let mut transfer = make(tx, &nothing, captured, intent.text("currency"), destination);
    transfer.set("source_transaction", charge.id.as_str());
    transfer.set("transfer_group", intent.at("transfer_group").clone());
    transfer.set("metadata", intent.at("metadata").clone());
    send(tx, &mut transfer, charge.hidden_number("available_ms"));
    let fee = intent.at("application_fee_amount").as_i64().unwrap_or_default().min(captured);
    fees::collect(tx, charge, destination, transfer.text("destination_payment"), fee);
}

pub(super) fn reverse(tx: &mut Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["amount", "description", "metadata", "refund_application_fee"])?;
    let transfer = tx.find("transfer", id)?;
    let left = transfer.number_of("amount").saturating_sub(transfer.number_of("amount_reversed"));
    let asked = params.integer("amount")?.unwrap_or(left);
    if !(1..=left).contains(&asked) {
        let message = format!("Reversal amount ({asked}) is greater than unreversed amount ({left}).");
        return Err(Refused::state("amount_too_large", &message));
    }
    balance::covers(tx, Some(transfer.text("destination")), asked, transfer.text("currency"))?;
    let amount = tx.really(asked);
    Ok(take_back(tx, transfer, amount, &params.metadata(None), None).value)
}

/// Takes back of what `charge` sent on as much as `refunded` is of what was captured; the rest with the
/// last refund. Refused where nothing was sent on, or it is not there any more.
pub(super) fn take_back_of(
    tx: &mut Tx<'_>,
    charge: &Stored,
    refunded: i64,
    is_last: bool,
    helped: i64,
    refund: &str,
) -> Result<Stored, Refused> {
    let of_it = |stored: &&&Stored| stored.text("source_transaction") == charge.id;
    let transfer = tx.of(None, "transfer").iter().find(of_it).map(|transfer| (*transfer).clone());
    let transfer = transfer.ok_or_else(|| {
        Refused::parameter("parameter_invalid", "reverse_transfer", "The charge has no transfer.")
    })?;
    let sent = transfer.number_of("amount");
    let left = sent.saturating_sub(transfer.number_of("amount_reversed"));
    let part = fees::part(sent, refunded, charge.number_of("amount_captured"));
    let amount = if is_last { left } else { part.min(left) };
    let needed = amount.saturating_sub(helped);
    balance::covers(tx, Some(transfer.text("destination")), needed, transfer.text("currency"))?;
    Ok(take_back(tx, transfer, amount, &json!({}), Some(refund)))
}

fn take_back(
    tx: &mut Tx<'_>,
    mut transfer: Stored,
    amount: i64,
    metadata: &Value,
    refund: Option<&str>,
) -> Stored {
    let (currency, destination) =
        (transfer.text("currency").to_owned(), transfer.text("destination").to_owned());
    let members = json!({
        "amount": amount,
        "balance_transaction": null,
        "currency": currency,
        "destination_payment_refund": null,
        "metadata": metadata,
        "source_refund": refund,
        "transfer": transfer.id,
    });
    let mut reversal = tx.make("trr", "transfer_reversal", members);
    let mut book = |account: Option<String>, kind: &'static str, amount: i64| {
        let (currency, source) = (currency.clone(), reversal.id.clone());
        let available_ms = tx.now_ms;
        balance::book(tx, Booking { account, kind, amount, fee: 0, currency, source, available_ms })
    };
    let ours = book(None, "transfer_refund", amount);
    let theirs = book(Some(destination), "payment_refund", amount.saturating_neg());
    reversal.set("balance_transaction", ours);
    reversal.set("destination_payment_refund", theirs.replacen("txn_", "pyr_", 1));
    let reversed = transfer.number_of("amount_reversed").saturating_add(amount);
    let is_whole = reversed >= transfer.number_of("amount");
    transfer.set("amount_reversed", reversed);
    transfer.set("reversed", is_whole);
    if let Some(shown) = transfer.value.pointer_mut("/reversals/data").and_then(Value::as_array_mut) {
        shown.insert(0, reversal.value.clone());
    }
    let of = transfer.id.clone();
    tx.happened("transfer_reversal", &reversal, amount, &of);
    events::tell(tx, if is_whole { "transfer.reversed" } else { "transfer.updated" }, &transfer);
    tx.put(transfer);
    tx.put(reversal.clone());
    reversal
}

pub(super) fn reversals(tx: &Tx<'_>, id: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["limit", "starting_after", "ending_before"])?;
    tx.find("transfer", id)?;
    let of_it = |stored: &&Stored| stored.text("transfer") == id;
    let found = tx.of(None, "transfer_reversal").into_iter().filter(of_it).collect();
    lists::page(found, &format!("/v1/transfers/{id}/reversals"), params)
}
