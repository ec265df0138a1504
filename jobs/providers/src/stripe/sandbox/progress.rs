//! What time alone changes: payouts on their way, refunds that a card gives back.

use payfleet_core::Timestamp;

use super::book::{Book, Stored};
use super::tx::Tx;
use super::{payouts, refunds};

/// Takes every step that is due by `now`, each at its own moment.
pub(super) fn advance(book: &mut Book, now: Timestamp) {
    while let Some(due) = next_due(book, now.unix_ms()) {
        let mut tx = Tx::new(book, due.hidden_number("next_ms").min(now.unix_ms()));
        tx.account.clone_from(&due.account);
        match due.kind() {
            "payout" => payouts::advance(&mut tx, due),
            _ => refunds::fail(&mut tx, due),
        }
        let changes = tx.changes;
        if book.commit(changes).is_err() {
            // The next call finds it due again, and says that nothing can be written.
            return;
        }
    }
}

fn next_due(book: &Book, now_ms: i64) -> Option<Stored> {
    let live = book.live.iter().filter_map(|id| book.get(id));
    let due = live.filter(|stored| stored.hidden_number("next_ms") <= now_ms);
    due.min_by_key(|stored| (stored.hidden_number("next_ms"), stored.number)).cloned()
}
