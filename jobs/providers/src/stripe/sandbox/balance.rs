//! Balances, which are nothing but the sum of their bookings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::book::Stored;
use super::lists;
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;

/// One movement of an account's balance.
pub(super) struct Booking {
    pub(super) account: Option<String>,
    pub(super) kind: &'static str,
    /// Signed.
    pub(super) amount: i64,
    pub(super) fee: i64,
    pub(super) currency: String,
    /// What moved it.
    pub(super) source: String,
    /// From when it can be used.
    pub(super) available_ms: i64,
}

/// What a payment costs: 2.9 %, rounded, and 30 minor units.
pub(super) fn fee(amount: i64) -> i64 {
    amount.saturating_mul(29).saturating_add(500).div_euclid(1000).saturating_add(30).min(amount)
}

/// Books, and returns the booking's id.
pub(super) fn book(tx: &mut Tx<'_>, booking: Booking) -> String {
    let Booking { account, kind, amount, fee, currency, source, available_ms } = booking;
    let details = if fee == 0 {
        json!([])
    } else {
        let description = "Stripe processing fees";
        json!([{ "amount": fee, "application": null, "currency": currency, "description": description,
            "type": "stripe_fee" }])
    };
    let members = json!({
        "amount": amount,
        "available_on": available_ms.div_euclid(1000),
        "balance_type": "payments",
        "currency": currency,
        "description": null,
        "exchange_rate": null,
        "fee": fee,
        "fee_details": details,
        "net": amount.saturating_sub(fee),
        "reporting_category": kind,
        "source": source,
        "status": "pending",
        "type": kind,
    });
    let mut booked = tx.make_for(account, "txn", "balance_transaction", members);
    booked.hidden.insert("available_ms".to_owned(), json!(available_ms));
    let id = booked.id.clone();
    tx.put(booked);
    id
}

/// Money that leaves has left; money that comes counts once it is available.
fn is_available(booked: &Stored, now_ms: i64) -> bool {
    booked.number_of("net") < 0 || booked.hidden_number("available_ms") <= now_ms
}

/// What `account` can use of `currency`.
pub(super) fn available(tx: &Tx<'_>, account: Option<&str>, currency: &str) -> i64 {
    let usable = |stored: &&&Stored| stored.text("currency") == currency && is_available(stored, tx.now_ms);
    tx.of(account, "balance_transaction").iter().filter(usable).map(|booked| booked.number_of("net")).sum()
}

/// Refuses what the balance does not cover. A key remembers it.
pub(super) fn covers(tx: &Tx<'_>, account: Option<&str>, amount: i64, currency: &str) -> Result<(), Refused> {
    if available(tx, account, currency) >= amount {
        return Ok(());
    }
    let message = "You have insufficient available funds in your Stripe account.";
    Err(Refused::state("balance_insufficient", message))
}

pub(super) fn show(tx: &Tx<'_>) -> Value {
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::from([("usd", (0, 0))]);
    for booked in tx.of(tx.account.as_deref(), "balance_transaction") {
        let sum = sums.entry(booked.text("currency")).or_default();
        let part = if is_available(booked, tx.now_ms) { &mut sum.0 } else { &mut sum.1 };
        *part = part.saturating_add(booked.number_of("net"));
    }
    let listed = |part: fn(&(i64, i64)) -> i64| -> Vec<Value> {
        let entry = |(currency, sum)| json!({ "amount": part(sum), "currency": currency, "source_types": { "card": part(sum) } });
        sums.iter().map(entry).collect()
    };
    json!({
        "object": "balance",
        "available": listed(|sum| sum.0),
        "instant_available": listed(|sum| sum.0.max(0)),
        "pending": listed(|sum| sum.1),
        "livemode": false,
    })
}

fn as_of(booked: &Stored, now_ms: i64) -> Stored {
    let mut shown = booked.clone();
    shown.set("status", if is_available(booked, now_ms) { "available" } else { "pending" });
    shown
}

pub(super) fn one(tx: &Tx<'_>, id: &str) -> Result<Value, Refused> {
    Ok(as_of(&tx.find("balance_transaction", id)?, tx.now_ms).value)
}

/// With `payout`: the booking of that payout, since payouts here are made by hand.
pub(super) fn list(tx: &Tx<'_>, params: &Params) -> Result<Value, Refused> {
    params.only(&[
        "payout",
        "source",
        "type",
        "currency",
        "limit",
        "starting_after",
        "ending_before",
        "created",
    ])?;
    let source = params.text("source").or_else(|| params.text("payout"));
    let matches = |stored: &&Stored| {
        source.is_none_or(|source| stored.text("source") == source)
            && ["type", "currency"]
                .iter()
                .all(|name| params.text(name).is_none_or(|wanted| stored.text(name) == wanted))
    };
    let found = tx.of(tx.account.as_deref(), "balance_transaction").into_iter().filter(matches);
    let shown: Vec<Stored> = found.map(|booked| as_of(booked, tx.now_ms)).collect();
    lists::page(shown.iter().collect(), "/v1/balance_transactions", params)
}
