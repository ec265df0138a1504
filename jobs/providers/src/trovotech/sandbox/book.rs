//! What the sandbox keeps: tokens, wallets, distributions, readings and the ledger, written down before
//! they are answered. Whether a token's transaction is in the ledger is a function of its age, so a
//! restart changes nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use payfleet_core::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::distributions::{Distribute, Holder, Payout, Telemetry};
use super::ledger::{Entry, Ledger};
use super::tokens::{Mint, Token};
use super::wallets::{Investor, wallet};
use crate::sandbox::{Fault, Filling, Happened, Journal, Notice};

/// Why there is no new token.
pub(super) enum Refusal {
    /// It would not be right.
    Invalid(&'static str),
    /// It could not be written down.
    NoRecord,
}

/// A line of the record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Token(Token),
    Wallet(Investor),
    Payout(Payout),
    Reading { asset_id: String, reading: serde_json::Map<String, Value> },
    Transaction(Entry),
    Delivered { notice: String },
}

/// Everything there is.
pub(super) struct Book {
    journal: Journal,
    settle_after_ms: i64,
    tokens: Vec<Token>,
    by_transaction: HashMap<String, usize>,
    /// Investors by their wallet's address.
    wallets: HashMap<String, Investor>,
    payouts: Vec<Payout>,
    /// How many readings there are.
    readings: usize,
    pub(super) ledger: Ledger,
    /// Tokens whose minting is not told yet.
    open: Vec<usize>,
    /// Wallets that are not told of yet.
    new_wallets: Vec<String>,
    /// Payouts before this one are told.
    first_open_payout: usize,
    told: HashSet<String>,
    /// Tokens that are not listed any more.
    forgotten: HashSet<String>,
}

impl Book {
    pub(super) fn open(dir: &Path, settle_after_ms: i64) -> anyhow::Result<Self> {
        let (journal, lines) = Journal::open(dir, "trovotech.jsonl")?;
        let mut book = Self {
            journal,
            settle_after_ms,
            tokens: Vec::new(),
            by_transaction: HashMap::new(),
            wallets: HashMap::new(),
            payouts: Vec::new(),
            readings: 0,
            ledger: Ledger::default(),
            new_wallets: Vec::new(),
            first_open_payout: 0,
            open: Vec::new(),
            told: HashSet::new(),
            forgotten: HashSet::new(),
        };
        for line in lines {
            match line {
                Line::Token(token) => book.keep(token),
                Line::Wallet(investor) => {
                    book.new_wallets.push(investor.address());
                    book.wallets.insert(investor.address(), investor);
                }
                Line::Payout(payout) => book.payouts.push(payout),
                Line::Reading { .. } => book.readings = book.readings.saturating_add(1),
                Line::Transaction(entry) => book.ledger.keep(entry),
                Line::Delivered { notice } => {
                    book.told.insert(notice);
                }
            }
        }
        Ok(book)
    }

    fn keep(&mut self, token: Token) {
        self.by_transaction.insert(token.transaction(), token.number);
        self.open.push(token.number);
        self.tokens.push(token);
    }

    /// Mints a token, always a new one, unless the asset would be owned by more than 100 %.
    pub(super) fn mint(
        &mut self,
        mint: Mint,
        reference: &str,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let (wrong, succeeds) = (fault == Some(&Fault::WrongAmount), !matches!(fault, Some(Fault::Ends(_))));
        let token = mint.token(self.tokens.len(), reference, wrong, succeeds, now)?;
        let owned = self.tokens.iter().filter(|other| other.succeeds && other.asset == token.asset);
        let owned = owned.fold(token.percent, |sum, other| sum.saturating_add(other.percent));
        if owned > Decimal::ONE_HUNDRED {
            return Err(Refusal::Invalid("insufficient remaining ownership"));
        }
        let line = Line::Token(token.clone());
        self.journal.append(&line).map_err(|_| Refusal::NoRecord)?;
        let answer = token.answer();
        self.keep(token);
        Ok(answer)
    }

    /// The investor's wallet, and whether it is new.
    pub(super) fn create_wallet(&mut self, investor: Investor) -> anyhow::Result<(Value, bool)> {
        let address = investor.address();
        let is_new = !self.wallets.contains_key(&address);
        if is_new {
            self.journal.append(&Line::Wallet(investor.clone()))?;
            self.new_wallets.push(address.clone());
            self.wallets.insert(address.clone(), investor);
        }
        Ok((wallet(&address), is_new))
    }

    pub(super) fn wallet(&self, address: &str) -> Option<Value> {
        self.wallets.contains_key(address).then(|| wallet(address))
    }

    /// Splits a revenue, always anew.
    pub(super) fn distribute(
        &mut self,
        asked: Distribute,
        reference: &str,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let holder = |id: &str| {
            let token = self.tokens.iter().find(|token| token.id() == id)?;
            let (token_id, wallet) = (token.id(), token.wallet.clone());
            Some(Holder { token_id, wallet, percent: token.percent })
        };
        let (wrong, succeeds) = (fault == Some(&Fault::WrongAmount), !matches!(fault, Some(Fault::Ends(_))));
        let number = self.payouts.len();
        let payout = asked.split(number, reference, holder, wrong, succeeds, now.unix_ms())?;
        self.journal.append(&Line::Payout(payout.clone())).map_err(|_| Refusal::NoRecord)?;
        let answer = payout.answer();
        self.payouts.push(payout);
        Ok(answer)
    }

    /// Keeps a reading, and says where.
    pub(super) fn read(&mut self, telemetry: Telemetry) -> anyhow::Result<Value> {
        let Telemetry { asset_id, telemetry_data: reading } = telemetry;
        let uri = format!("bantu://telemetry/{asset_id}/{}", self.readings);
        self.journal.append(&Line::Reading { asset_id, reading })?;
        self.readings = self.readings.saturating_add(1);
        Ok(json!({ "uri": uri }))
    }

    /// Takes a transaction into the ledger.
    pub(super) fn enter(&mut self, entry: Entry) -> anyhow::Result<()> {
        self.journal.append(&Line::Transaction(entry.clone()))?;
        self.ledger.keep(entry);
        Ok(())
    }

    pub(super) fn tokens(&self) -> Value {
        let listed = self.tokens.iter().filter(|token| !self.forgotten.contains(&token.id()));
        listed.map(Token::listed).collect()
    }

    pub(super) fn forget(&mut self, id: &str) -> bool {
        let is_there = self.tokens.iter().any(|token| token.id() == id);
        if is_there {
            self.forgotten.insert(id.to_owned());
        }
        is_there
    }

    /// Made-up tokens, minted long since. They are not written down.
    pub(super) fn fill(&mut self, filling: &Filling) {
        for (number, at) in filling.records() {
            let token = Token::filled(self.tokens.len(), &Filling::reference(number), at);
            self.keep(token);
            self.open.pop();
        }
    }

    /// The transaction, once it is in the ledger.
    pub(super) fn transaction(&self, hash: &str, now: Timestamp) -> Option<Value> {
        if let Some(entry) = self.ledger.show(hash) {
            return Some(entry);
        }
        let is_due = |created_ms: i64| now.unix_ms().saturating_sub(created_ms) >= self.settle_after_ms;
        if let Some(payout) = self.payouts.iter().find(|payout| payout.transaction() == hash) {
            let shown = json!({ "hash": hash, "successful": payout.succeeds(), "ledger": 0 });
            return is_due(payout.created_ms).then_some(shown);
        }
        let token = self.tokens.get(*self.by_transaction.get(hash)?)?;
        let closed = token.is_in_ledger(self.settle_after_ms, now);
        closed.then(|| json!({ "hash": hash, "successful": token.succeeds, "ledger": token.number }))
    }

    pub(super) fn effects(&self, now: Timestamp) -> Vec<Happened> {
        let happened = |token: &Token| token.effect(token.is_in_ledger(self.settle_after_ms, now));
        let mut effects: Vec<Happened> = self.tokens.iter().map(happened).collect();
        for payout in &self.payouts {
            let is_due = now.unix_ms().saturating_sub(payout.created_ms) >= self.settle_after_ms;
            effects.extend(payout.effects(match (is_due, payout.succeeds()) {
                (false, _) => "submitted",
                (true, true) => "completed",
                (true, false) => "failed",
            }));
        }
        effects.extend(self.ledger.effects());
        effects.sort_by_key(|effect| effect.at);
        effects
    }

    /// `token.minted`, once for each token that is in the ledger.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Notice> {
        let Self { tokens, open, told, settle_after_ms, .. } = self;
        let mut notices = Vec::new();
        open.retain(|number| {
            let Some(token) = tokens.get(*number) else { return false };
            if !token.is_in_ledger(*settle_after_ms, now) {
                return true;
            }
            if token.succeeds && told.insert(token.id()) {
                notices.push(Notice { id: token.id(), url: None, payload: token.event() });
            }
            false
        });
        for address in self.new_wallets.drain(..) {
            if let Some(payload) = self.wallets.get(&address).map(Investor::event)
                && told.insert(address.clone())
            {
                notices.push(Notice { id: address, url: None, payload });
            }
        }
        // Equally long under way, so they end in the order in which they began.
        while let Some(payout) = self.payouts.get(self.first_open_payout)
            && now.unix_ms().saturating_sub(payout.created_ms) >= *settle_after_ms
        {
            self.first_open_payout = self.first_open_payout.saturating_add(1);
            if told.insert(payout.id()) {
                notices.push(Notice { id: payout.id(), url: None, payload: payout.event() });
            }
        }
        notices
    }

    pub(super) fn delivered(&mut self, notice: &str) -> anyhow::Result<()> {
        self.journal.append(&Line::Delivered { notice: notice.to_owned() })
    }
}
