//! Movements as they are held against those that the history calls for.

use std::collections::BTreeMap;

use payfleet_core::ledger::Movement;
use rust_decimal::Decimal;

use super::facts::Held;
use super::{Check, Desk};

/// Every movement balances, and there are exactly those of `expected`.
pub(super) fn check(operation: &str, held: &[Held], expected: &[Movement], desk: &mut Desk<'_>) {
    let mut left: Vec<&Movement> = expected.iter().collect();
    for movement in held {
        let Some(at) = left.iter().position(|one| one.event() == movement.event) else {
            let detail = format!("no event of {operation} calls for movement {:?}", movement.event);
            desk.found(Check::MovementStray, subject(movement), detail);
            continue;
        };
        let due = left.remove(at);
        if !agree(movement, due) {
            let detail = format!("{operation} should post {}, not {}", due_words(due), held_words(movement));
            desk.found(Check::MovementDiffers, subject(movement), detail);
        }
    }
    for due in left {
        let detail = format!("movement {:?} is missing: {}", due.event(), due_words(due));
        desk.found(Check::MovementMissing, operation, detail);
    }
}

/// Every movement posts something, and sums to zero per unit.
pub(super) fn balances(held: &[Held], desk: &mut Desk<'_>) {
    for movement in held {
        let mut sums: BTreeMap<&str, Option<Decimal>> = BTreeMap::new();
        for (_, unit, amount) in &movement.postings {
            let sum = sums.entry(unit).or_insert(Some(Decimal::ZERO));
            // An amount that is no number, or too large for one, is no balance either.
            *sum = sum.zip(amount.parse::<Decimal>().ok()).and_then(|(sum, more)| sum.checked_add(more));
        }
        if sums.is_empty() {
            desk.found(Check::Unbalanced, subject(movement), "has no postings");
        }
        for (unit, sum) in sums.into_iter().filter(|(_, sum)| !sum.is_some_and(|sum| sum.is_zero())) {
            let sum = sum.map_or_else(|| "no number".to_owned(), |sum| sum.normalize().to_string());
            desk.found(Check::Unbalanced, subject(movement), format!("sums to {sum} in {unit}"));
        }
    }
}

fn subject(movement: &Held) -> String {
    format!("movement {}", movement.id)
}

fn agree(held: &Held, due: &Movement) -> bool {
    let same = |(account, unit, amount): &(String, String, String), due: &payfleet_core::ledger::Posting| {
        *account == due.account && *unit == due.unit && amount.parse() == Ok(due.amount)
    };
    held.postings.len() == due.postings().len()
        && held.postings.iter().zip(due.postings()).all(|(held, due)| same(held, due))
}

fn due_words(due: &Movement) -> String {
    words(due.postings().iter().map(|one| (one.account.as_str(), one.unit.as_str(), one.amount.to_string())))
}

fn held_words(held: &Held) -> String {
    words(
        held.postings.iter().map(|(account, unit, amount)| (account.as_str(), unit.as_str(), amount.clone())),
    )
}

fn words<'a>(postings: impl Iterator<Item = (&'a str, &'a str, String)>) -> String {
    let lines: Vec<String> =
        postings.map(|(account, unit, amount)| format!("{account} {amount} {unit}")).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
}
