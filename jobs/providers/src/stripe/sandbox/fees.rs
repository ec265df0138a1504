//! Application fees: what a platform keeps of a payment that it passes on, and what of it goes back.

use serde_json::{Value, json};

use super::balance::{self, Booking};
use super::book::Stored;
use super::events;
use super::tx::Tx;

/// Takes `amount` from the connected account `of` for what `charge` sent there as `payment`.
pub(super) fn collect(tx: &mut Tx<'_>, charge: &Stored, of: &str, payment: &str, amount: i64) {
    if amount == 0 {
        return;
    }
    let members = json!({
        "account": of,
        "amount": amount,
        "amount_refunded": 0,
        "application": "ca_sandbox",
        "balance_transaction": null,
        "charge": payment,
        "currency": charge.text("currency"),
        "fee_source": { "type": "charge", "charge": payment },
        "originating_transaction": charge.id,
        "refunded": false,
    });
    let mut fee = tx.make_for(None, "fee", "application_fee", members);
    let url = format!("/v1/application_fees/{}/refunds", fee.id);
    fee.set("refunds", json!({ "object": "list", "data": [], "has_more": false, "url": url }));
    let available_ms = charge.hidden_number("available_ms");
    let booked = book(tx, None, "application_fee", amount, &fee, available_ms);
    fee.set("balance_transaction", booked);
    book(tx, Some(of), "application_fee", amount.saturating_neg(), &fee, tx.now_ms);
    events::tell(tx, "application_fee.created", &fee);
    tx.put(fee);
}

/// The fee that was taken for `charge`, and as much of it as `refunded` is of what was captured; the rest
/// with the last refund. `None` where none is left.
pub(super) fn due_back(tx: &Tx<'_>, charge: &Stored, refunded: i64, is_last: bool) -> Option<(Stored, i64)> {
    let of_it = |fee: &&&Stored| fee.text("originating_transaction") == charge.id;
    let fee = tx.of(None, "application_fee").iter().find(of_it).map(|fee| (*fee).clone())?;
    let left = fee.number_of("amount").saturating_sub(fee.number_of("amount_refunded"));
    let share = part(fee.number_of("amount"), refunded, charge.number_of("amount_captured")).min(left);
    let amount = if is_last { left } else { share };
    (amount > 0).then_some((fee, amount))
}

/// Gives `amount` of a fee back to the account that it was taken from.
pub(super) fn give_back(tx: &mut Tx<'_>, mut fee: Stored, amount: i64) {
    let members = json!({
        "amount": amount,
        "balance_transaction": null,
        "currency": fee.text("currency"),
        "fee": fee.id,
        "metadata": {},
    });
    let mut back = tx.make_for(None, "fr", "fee_refund", members);
    let account = fee.text("account").to_owned();
    let booked = book(tx, None, "application_fee_refund", amount.saturating_neg(), &fee, tx.now_ms);
    back.set("balance_transaction", booked);
    book(tx, Some(&account), "application_fee_refund", amount, &fee, tx.now_ms);
    let refunded = fee.number_of("amount_refunded").saturating_add(amount);
    fee.set("amount_refunded", refunded);
    fee.set("refunded", refunded >= fee.number_of("amount"));
    if let Some(shown) = fee.value.pointer_mut("/refunds/data").and_then(Value::as_array_mut) {
        shown.insert(0, back.value.clone());
    }
    events::tell(tx, "application_fee.refunded", &fee);
    tx.put(fee);
    tx.put(back);
}

/// As much of `whole` as `some` is of `all`, rounded down.
pub(super) fn part(whole: i64, some: i64, all: i64) -> i64 {
    let product = i128::from(whole).saturating_mul(i128::from(some));
    i64::try_from(product.checked_div(i128::from(all)).unwrap_or_default()).unwrap_or(whole)
}

fn book(
    tx: &mut Tx<'_>,
    account: Option<&str>,
    kind: &'static str,
    amount: i64,
    fee: &Stored,
    available_ms: i64,
) -> String {
    let booking = Booking {
        account: account.map(str::to_owned),
        kind,
        amount,
        fee: 0,
        currency: fee.text("currency").to_owned(),
        source: fee.id.clone(),
        available_ms,
    };
    balance::book(tx, booking)
}
