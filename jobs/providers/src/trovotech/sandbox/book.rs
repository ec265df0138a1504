//! The sandbox's tokens and wallets, written down before they are answered. Whether a token's
//! transaction is in the ledger is a function of its age, so a restart changes nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use payfleet_core::Timestamp;
use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::distributions::{Distribute, Holder, Payout, Telemetry};
use super::ledger::{Entry, Ledger};
use crate::sandbox::{Fault, Happened, Journal, Notice};

/// `POST /token/mint`.
#[derive(Deserialize)]
pub(super) struct Mint {
    issuer_id: String,
    asset_type: String,
    asset_metadata: Metadata,
    investor_wallet: String,
    fraction_owned: Box<RawValue>,
    invest_amount: Box<RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(rename = "type")]
    model: String,
}

/// `POST /wallet/create`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Investor {
    investor_email: String,
    #[serde(default)]
    investor_name: String,
}

/// Why there is no new token.
pub(super) enum Refusal {
    /// It would not be right.
    Invalid(&'static str),
    /// It could not be written down.
    NoRecord,
}

/// One token, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Token {
    number: usize,
    reference: String,
    wallet: String,
    /// What it is a share of: the asset's name and model, which is all a request names it by.
    asset: String,
    percent: Decimal,
    invested: Decimal,
    created_ms: i64,
    /// Whether its transaction succeeds.
    succeeds: bool,
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
        let percent = decimal(&mint.fraction_owned).filter(|percent| *percent > Decimal::ZERO);
        let percent = percent.ok_or(Refusal::Invalid("fraction_owned must be above 0"))?;
        let invested = decimal(&mint.invest_amount).ok_or(Refusal::Invalid("invest_amount"))?;
        if mint.issuer_id.is_empty() || mint.asset_type.is_empty() || mint.investor_wallet.is_empty() {
            return Err(Refusal::Invalid("issuer_id, asset_type and investor_wallet are required"));
        }
        let asset = format!("{} {}", mint.asset_metadata.name, mint.asset_metadata.model);
        let owned = self.tokens.iter().filter(|token| token.succeeds && token.asset == asset);
        let owned = owned.fold(percent, |sum, token| sum.saturating_add(token.percent));
        if owned > Decimal::ONE_HUNDRED {
            return Err(Refusal::Invalid("insufficient remaining ownership"));
        }
        let wrong = fault == Some(&Fault::WrongAmount);
        let token = Token {
            number: self.tokens.len(),
            reference: reference.to_owned(),
            wallet: mint.investor_wallet,
            asset,
            percent,
            invested: if wrong { invested.saturating_add(Decimal::ONE) } else { invested },
            created_ms: now.unix_ms(),
            succeeds: !matches!(fault, Some(Fault::Ends(_))),
        };
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
        self.tokens.iter().map(Token::listed).collect()
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
        let happened = |token: &Token| Happened {
            reference: token.reference.clone(),
            kind: "mint",
            amount: token.percent.normalize().to_string(),
            asset: token.asset.clone(),
            destination: token.wallet.clone(),
            at: token.created_ms,
            id: token.id(),
            status: match (token.is_in_ledger(self.settle_after_ms, now), token.succeeds) {
                (false, _) => "submitted",
                (true, true) => "minted",
                (true, false) => "failed",
            }
            .to_owned(),
        };
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

impl Token {
    fn id(&self) -> String {
        format!("TKN_{:06}", self.number)
    }

    fn transaction(&self) -> String {
        hash_of(&format!("transaction {}", self.number))
    }

    fn is_in_ledger(&self, settle_after_ms: i64, now: Timestamp) -> bool {
        now.unix_ms().saturating_sub(self.created_ms) >= settle_after_ms
    }

    fn answer(&self) -> Value {
        json!({
            "token_id": self.id(),
            "chain": "bantu",
            "metadata_hash": hash_of(&self.asset),
            "trustee_ref": format!("TR-{}", self.number),
            "tx_hash": self.transaction(),
        })
    }

    fn listed(&self) -> Value {
        json!({
            "tokenId": self.id(),
            "assetModel": self.asset,
            "fractionOwned": number(self.percent),
            "investmentAmount": number(self.invested),
            "currentValue": number(self.invested),
            "totalReturns": 0,
            "chain": "bantu",
            "metadataHash": hash_of(&self.asset),
            "trusteeRef": format!("TR-{}", self.number),
            "txHash": self.transaction(),
            "mintedAt": time_of(self.created_ms),
        })
    }

    fn event(&self) -> String {
        let mut data = self.answer();
        if let Some(members) = data.as_object_mut() {
            members.insert("investor_wallet".to_owned(), json!(self.wallet));
            members.insert("fraction_owned".to_owned(), number(self.percent));
            members.insert("investment_amount".to_owned(), number(self.invested));
            members.insert("minted_at".to_owned(), json!(time_of(self.created_ms)));
        }
        json!({ "event_type": "token.minted", "data": data }).to_string()
    }
}

impl Investor {
    /// One wallet an investor.
    fn address(&self) -> String {
        let key: [u8; 32] = Sha256::digest(format!("wallet {}", self.investor_email)).into();
        stellar_strkey::ed25519::PublicKey(key).to_string().as_str().to_owned()
    }

    fn event(&self) -> String {
        let trustee_ref = hash_of(&self.address()).get(..12).map(str::to_owned);
        let data = json!({
            "wallet_address": self.address(),
            "trustee_ref": trustee_ref,
            "user_email": self.investor_email,
        });
        json!({ "event_type": "wallet.created", "data": data }).to_string()
    }
}

fn wallet(address: &str) -> Value {
    json!({ "wallet_address": address, "balance": 0, "trustee_ref": hash_of(address).get(..12) })
}

pub(super) fn hash_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

pub(super) fn time_of(ms: i64) -> String {
    let seconds = Timestamp::from_unix_ms(ms).unix_s().saturating_mul(1000);
    OffsetDateTime::from(Timestamp::from_unix_ms(seconds)).format(&Rfc3339).unwrap_or_default()
}

/// A JSON number, exactly.
fn decimal(raw: &RawValue) -> Option<Decimal> {
    parse_plain_decimal(raw.get()).ok()
}

/// The amount as a JSON number: exact to fifteen digits, which is more than a sandbox is asked for.
pub(super) fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.normalize().to_string()).unwrap_or(Value::Null)
}
