//! Everything the sandbox knows: objects by id, answers by key, what happened and what was told.
//!
//! A call changes nothing until it is committed, and a commit is one line of the record, written before
//! the call is answered: a killed sandbox has done a call wholly or not at all.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::sandbox::Journal;

/// One object of the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) id: String,
    /// The connected account it belongs to; `None` is the platform.
    pub(super) account: Option<String>,
    /// Its place among all objects, from 1.
    pub(super) number: u64,
    pub(super) created_ms: i64,
    /// As the API shows it.
    pub(super) value: Value,
    /// What the API does not show.
    #[serde(default)]
    pub(super) hidden: Map<String, Value>,
}

impl Stored {
    /// A member; null where there is none.
    pub(super) fn at(&self, name: &str) -> &Value {
        member(&self.value, name)
    }

    pub(super) fn kind(&self) -> &str {
        self.at("object").as_str().unwrap_or_default()
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.at(name).as_str().unwrap_or_default()
    }

    pub(super) fn number_of(&self, name: &str) -> i64 {
        self.at(name).as_i64().unwrap_or_default()
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        insert(&mut self.value, name, value);
    }

    pub(super) fn hidden_text(&self, name: &str) -> &str {
        self.hidden.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn hidden_number(&self, name: &str) -> i64 {
        self.hidden.get(name).and_then(Value::as_i64).unwrap_or_default()
    }
}

/// A member of an object; null where there is none.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// Sets a member of an object.
pub(super) fn insert(value: &mut Value, name: &str, member: impl Into<Value>) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member.into());
    }
}

/// The stored answer of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    /// Account and key.
    pub(super) key: String,
    /// Of method, path and parameters.
    pub(super) fingerprint: String,
    pub(super) at_ms: i64,
    pub(super) request_id: String,
    pub(super) status: u16,
    pub(super) body: Value,
}

/// A movement of money, or something that was made or changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Effect {
    pub(super) kind: String,
    pub(super) reference: String,
    pub(super) minor: i64,
    pub(super) currency: String,
    pub(super) destination: String,
    pub(super) at_ms: i64,
    pub(super) id: String,
}

/// What one call changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Changes {
    #[serde(default)]
    pub(super) objects: BTreeMap<String, Stored>,
    #[serde(default)]
    pub(super) answered: Option<Answered>,
    #[serde(default)]
    pub(super) effects: Vec<Effect>,
    /// A notice that was delivered.
    #[serde(default)]
    pub(super) told: Option<String>,
}

/// The record and what it comes to.
pub(super) struct Book {
    journal: Journal,
    pub(super) settle_after_ms: i64,
    objects: BTreeMap<String, Stored>,
    /// By account and kind, oldest first.
    lists: BTreeMap<(Option<String>, String), Vec<String>>,
    answered: BTreeMap<String, Answered>,
    pub(super) effects: Vec<Effect>,
    told: HashSet<String>,
    /// Events of which no notice has been handed over in this process.
    pub(super) untold: Vec<String>,
    /// Objects that time still changes.
    pub(super) live: BTreeSet<String>,
    requests: u64,
    /// Objects that are not shown any more.
    forgotten: HashSet<String>,
}

impl Book {
    pub(super) fn open(dir: &Path, settle_after_ms: i64) -> anyhow::Result<Self> {
        let (journal, lines) = Journal::open(dir, "stripe.jsonl")?;
        let mut book = Self {
            journal,
            settle_after_ms,
            objects: BTreeMap::new(),
            lists: BTreeMap::new(),
            answered: BTreeMap::new(),
            effects: Vec::new(),
            told: HashSet::new(),
            untold: Vec::new(),
            live: BTreeSet::new(),
            requests: 0,
            forgotten: HashSet::new(),
        };
        for line in lines {
            book.keep(line);
        }
        Ok(book)
    }

    /// Writes `changes` down, then makes them.
    pub(super) fn commit(&mut self, changes: Changes) -> anyhow::Result<()> {
        self.journal.append(&changes)?;
        self.keep(changes);
        Ok(())
    }

    /// As [`Self::commit`], of what is made up: it is not written down.
    pub(super) fn keep(&mut self, changes: Changes) {
        let mut objects: Vec<Stored> = changes.objects.into_values().collect();
        objects.sort_by_key(|stored| stored.number);
        for stored in objects {
            let (id, kind) = (stored.id.clone(), stored.kind().to_owned());
            if stored.hidden.contains_key("next_ms") {
                self.live.insert(id.clone());
            } else {
                self.live.remove(&id);
            }
            let list = (stored.account.clone(), kind.clone());
            if self.objects.insert(id.clone(), stored).is_none() {
                self.lists.entry(list).or_default().push(id.clone());
                if kind == "event" {
                    self.untold.push(id);
                }
            }
        }
        if let Some(answered) = changes.answered {
            self.answered.insert(answered.key.clone(), answered);
        }
        self.effects.extend(changes.effects);
        self.told.extend(changes.told);
    }

    pub(super) fn told(&mut self, notice: &str) -> anyhow::Result<()> {
        self.commit(Changes { told: Some(notice.to_owned()), ..Changes::default() })
    }

    pub(super) fn was_told(&self, notice: &str) -> bool {
        self.told.contains(notice)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Stored> {
        self.objects.get(id)
    }

    pub(super) fn forget(&mut self, id: &str) -> bool {
        let is_there = self.objects.contains_key(id);
        if is_there {
            self.forgotten.insert(id.to_owned());
        }
        is_there
    }

    pub(super) fn has_forgotten(&self, id: &str) -> bool {
        self.forgotten.contains(id)
    }

    /// The objects of one account and kind, oldest first.
    pub(super) fn of(&self, account: Option<&str>, kind: &str) -> impl DoubleEndedIterator<Item = &Stored> {
        let list = self.lists.get(&(account.map(str::to_owned), kind.to_owned()));
        let shown = list.into_iter().flatten().filter(|id| !self.forgotten.contains(*id));
        shown.filter_map(|id| self.objects.get(id))
    }

    /// The same, newest first, from behind the one called `after`.
    pub(super) fn newest_first(
        &self,
        account: Option<&str>,
        kind: &str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &Stored> + use<'_> {
        let list = self.lists.get(&(account.map(str::to_owned), kind.to_owned()));
        let ids = list.map(Vec::as_slice).unwrap_or_default();
        let end = after.map_or(ids.len(), |after| ids.iter().rposition(|id| id == after).unwrap_or(0));
        let older = ids.iter().take(end).rev().filter(|id| !self.forgotten.contains(*id));
        older.filter_map(|id| self.objects.get(id))
    }

    /// How many objects there are; never fewer than before.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.objects.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn answered(&self, key: &str) -> Option<&Answered> {
        self.answered.get(key)
    }

    /// A number for a request, unique in this process.
    pub(super) fn next_request(&mut self) -> u64 {
        self.requests = self.requests.saturating_add(1);
        self.requests
    }

    /// The secret of the endpoint that a notice (`event|endpoint`) is for.
    pub(super) fn endpoint_secret(&self, notice: &str) -> Option<String> {
        let endpoint = self.get(notice.split_once('|')?.1)?;
        Some(endpoint.hidden_text("secret").to_owned())
    }
}
