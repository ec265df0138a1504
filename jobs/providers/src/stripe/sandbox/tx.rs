//! One call's view of the book: what it reads includes what it has changed so far, and nothing of it is
//! there for others until it is committed.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::book::{Book, Changes, Effect, Stored, member};
use super::refused::Refused;
use crate::sandbox::Fault;
use crate::stripe::REFERENCE;

/// The amount that `WrongAmount` adds.
const WRONG_BY: i64 = 100;

/// One call.
pub(super) struct Tx<'a> {
    book: &'a Book,
    pub(super) changes: Changes,
    pub(super) now_ms: i64,
    /// The account the call acts on.
    pub(super) account: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) key: Option<String>,
    /// Where this sandbox is reached.
    pub(super) base_url: String,
    pub(super) fault: Option<Fault>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(book: &'a Book, now_ms: i64) -> Self {
        Self {
            book,
            changes: Changes::default(),
            now_ms,
            account: None,
            request_id: None,
            key: None,
            base_url: String::new(),
            fault: None,
        }
    }

    pub(super) fn now_s(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    pub(super) fn settle_after_ms(&self) -> i64 {
        self.book.settle_after_ms
    }

    /// How a test wants this call's object to end.
    pub(super) fn ends(&self) -> &str {
        match &self.fault {
            Some(Fault::Ends(word)) => word,
            _ => "",
        }
    }

    /// The amount that really moves where `asked` was asked for.
    pub(super) fn really(&self, asked: i64) -> i64 {
        if self.fault == Some(Fault::WrongAmount) { asked.saturating_add(WRONG_BY) } else { asked }
    }

    fn fresh_id(&self, prefix: &str, number: u64) -> String {
        let digest = Sha256::digest(format!("{prefix} {number} {}", self.now_ms));
        let hex = hex::encode(digest);
        format!("{prefix}_{}", hex.get(..24).unwrap_or(&hex))
    }

    fn next_number(&self) -> u64 {
        let new = self.changes.objects.values().filter(|stored| self.book.get(&stored.id).is_none()).count();
        self.book.count().saturating_add(u64::try_from(new).unwrap_or(u64::MAX)).saturating_add(1)
    }

    /// Makes an object of this call's account: `value` with an id, what it is, and when it was made.
    pub(super) fn make(&mut self, prefix: &str, kind: &str, value: Value) -> Stored {
        let account = self.account.clone();
        self.make_for(account, prefix, kind, value)
    }

    pub(super) fn make_for(
        &mut self,
        account: Option<String>,
        prefix: &str,
        kind: &str,
        value: Value,
    ) -> Stored {
        let number = self.next_number();
        let id = self.fresh_id(prefix, number);
        let mut members = Map::new();
        members.insert("id".to_owned(), json!(id));
        members.insert("object".to_owned(), json!(kind));
        members.insert("created".to_owned(), json!(self.now_s()));
        if !["refund", "balance_transaction", "account", "bank_account", "fee_refund"].contains(&kind) {
            members.insert("livemode".to_owned(), json!(false));
        }
        if let Value::Object(more) = value {
            members.extend(more);
        }
        let created_ms = self.now_ms;
        let value = Value::Object(members);
        Stored { id, account, number, created_ms, value, hidden: Map::new() }
    }

    pub(super) fn put(&mut self, stored: Stored) {
        self.changes.objects.insert(stored.id.clone(), stored);
    }

    /// Any object, whosever.
    pub(super) fn get(&self, id: &str) -> Option<&Stored> {
        self.changes.objects.get(id).or_else(|| self.book.get(id))
    }

    /// An object of this call's account and of this kind, or Stripe's 404.
    pub(super) fn find(&self, kind: &str, id: &str) -> Result<Stored, Refused> {
        let found = self.get(id).filter(|stored| stored.kind() == kind && stored.account == self.account);
        found.filter(|_| !self.book.has_forgotten(id)).cloned().ok_or_else(|| Refused::missing(kind, id))
    }

    /// The objects of an account and kind, oldest first.
    pub(super) fn of(&self, account: Option<&str>, kind: &str) -> Vec<&Stored> {
        let mut found: Vec<&Stored> = self
            .book
            .of(account, kind)
            .map(|stored| self.changes.objects.get(&stored.id).unwrap_or(stored))
            .collect();
        let is_new = |stored: &&Stored| {
            stored.account.as_deref() == account
                && stored.kind() == kind
                && self.book.get(&stored.id).is_none()
        };
        let mut new: Vec<&Stored> = self.changes.objects.values().filter(is_new).collect();
        new.sort_by_key(|stored| stored.number);
        found.extend(new);
        found
    }

    /// The objects of this call's account and kind, newest first, from behind the one called `after`. For a
    /// call that changes nothing.
    pub(super) fn newest_first(
        &self,
        kind: &str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Stored> + use<'a> {
        self.book.newest_first(self.account.as_deref(), kind, after)
    }

    /// Whether an event reached where it was sent.
    pub(super) fn was_told(&self, event: &str) -> bool {
        self.book.was_told(event)
    }

    /// Notes that something really happened, under the reference that it bears.
    pub(super) fn happened(&mut self, kind: &str, of: &Stored, minor: i64, destination: &str) {
        let ours = member(of.at("metadata"), REFERENCE).as_str().map(str::to_owned);
        let reference = ours.or_else(|| self.key.clone()).unwrap_or_default();
        self.note(kind, reference, of, minor, destination);
    }

    /// Notes that something was done to `of`, under the key of the call that did it.
    pub(super) fn done(&mut self, kind: &str, of: &Stored) {
        let reference = self.key.clone().unwrap_or_default();
        self.note(kind, reference, of, 0, "");
    }

    fn note(&mut self, kind: &str, reference: String, of: &Stored, minor: i64, destination: &str) {
        self.changes.effects.push(Effect {
            kind: kind.to_owned(),
            reference,
            minor,
            currency: of.text("currency").to_owned(),
            destination: destination.to_owned(),
            at_ms: self.now_ms,
            id: of.id.clone(),
        });
    }
}
