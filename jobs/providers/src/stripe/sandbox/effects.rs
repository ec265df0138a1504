//! What really happened, for `GET /_effects`.

use super::book::Book;
use crate::sandbox::Happened;
use crate::stripe::amount::from_minor;

/// The kinds of effects there are.
const KINDS: &[&str] = &[
    "payment",
    "refund",
    "transfer",
    "transfer_reversal",
    "payout",
    "payout_reversal",
    "account",
    "account_link",
    "customer",
    "payment_method",
    "payment_change",
    "dispute",
];

pub(super) fn happened(book: &Book) -> Vec<Happened> {
    let shown = book.effects.iter().filter_map(|effect| {
        let kind = KINDS.iter().find(|kind| **kind == effect.kind)?;
        let money = from_minor(effect.minor, &effect.currency);
        let status = book.get(&effect.id).map(|stored| stored.text("status").to_owned());
        Some(Happened {
            reference: effect.reference.clone(),
            kind,
            amount: money.map(|money| money.amount().to_string()).unwrap_or_default(),
            asset: effect.currency.to_ascii_uppercase(),
            destination: effect.destination.clone(),
            at: effect.at_ms,
            id: effect.id.clone(),
            status: status.unwrap_or_default(),
        })
    });
    shown.collect()
}
