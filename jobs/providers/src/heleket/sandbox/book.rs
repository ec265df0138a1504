//! The sandbox's payouts: made once per `order_id`, moved on by time alone, written down before they
//! are answered. A payout's status is a function of its age, so a restart changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use payfleet_core::Timestamp;
use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

use crate::sandbox::{Fault, Filling, Happened, Journal, Notice};

/// What it takes for any payout, on top.
pub(super) const COMMISSION: &str = "0.30000000";
/// What the merchant's wallet held of each currency at first.
const FUNDS: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
/// How many a page of the list has.
const PAGE: usize = 15;

/// What a caller asked to have paid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) amount: String,
    pub(super) currency: String,
    pub(super) order_id: String,
    pub(super) address: String,
    #[serde(default)]
    pub(super) network: String,
    url_callback: Option<String>,
}

/// One payout, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Payout {
    uuid: Uuid,
    asked: Asked,
    /// What is really paid.
    amount: Decimal,
    created_ms: i64,
    /// The status it comes to in the end.
    ends: String,
    /// Whether the next call with its order makes another one. It is still found by its order.
    #[serde(default)]
    forgotten: bool,
}

/// A transfer between the two wallets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Movement {
    pub(super) to_personal: bool,
    pub(super) currency: String,
    pub(super) amount: Decimal,
    pub(super) at_ms: i64,
}

/// A line of the record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Payout(Payout),
    Movement(Movement),
    Delivered { notice: String },
}

/// All payouts.
pub(super) struct Book {
    journal: Journal,
    settle_after_ms: i64,
    payouts: Vec<Payout>,
    movements: Vec<Movement>,
    by_order: HashMap<String, usize>,
    by_uuid: HashMap<String, usize>,
    /// Payouts that have not come to their end yet, or whose end is not told.
    open: Vec<usize>,
    /// Notices that were handed over for delivery, or delivered before a restart.
    told: HashSet<String>,
    /// Payouts that are not shown any more.
    forgotten: HashSet<usize>,
}

impl Book {
    pub(super) fn open(dir: &Path, settle_after_ms: i64) -> anyhow::Result<Self> {
        let (journal, lines) = Journal::open(dir, "heleket.jsonl")?;
        let mut book = Self {
            journal,
            settle_after_ms,
            payouts: Vec::new(),
            movements: Vec::new(),
            by_order: HashMap::new(),
            by_uuid: HashMap::new(),
            open: Vec::new(),
            told: HashSet::new(),
            forgotten: HashSet::new(),
        };
        for line in lines {
            match line {
                Line::Payout(payout) => book.keep(payout),
                Line::Movement(movement) => book.movements.push(movement),
                Line::Delivered { notice } => {
                    book.told.insert(notice);
                }
            }
        }
        Ok(book)
    }

    fn keep(&mut self, payout: Payout) {
        let number = self.payouts.len();
        self.by_order.insert(payout.asked.order_id.clone(), number);
        self.by_uuid.insert(payout.uuid.to_string(), number);
        self.open.push(number);
        self.payouts.push(payout);
    }

    /// The number of the payout of this order: a new one, or the one that exists whatever else was asked.
    pub(super) fn create(
        &mut self,
        asked: Asked,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> anyhow::Result<usize> {
        let known = self.by_order.get(&asked.order_id).copied();
        if let Some(number) = known.filter(|number| !self.has_forgotten(*number)) {
            return Ok(number);
        }
        let amount = parse_plain_decimal(&asked.amount)?;
        let payout = Payout {
            uuid: uuid_of(&asked.order_id, self.payouts.len()),
            amount: if fault == Some(&Fault::WrongAmount) {
                amount.saturating_add(Decimal::ONE)
            } else {
                amount
            },
            created_ms: now.unix_ms(),
            ends: match fault {
                Some(Fault::Ends(status)) => status.clone(),
                _ => "paid".to_owned(),
            },
            forgotten: fault == Some(&Fault::ForgetKey),
            asked,
        };
        let line = Line::Payout(payout.clone());
        self.journal.append(&line)?;
        self.keep(payout);
        Ok(self.payouts.len().saturating_sub(1))
    }

    fn has_forgotten(&self, number: usize) -> bool {
        self.payouts.get(number).is_some_and(|payout| payout.forgotten)
    }

    pub(super) fn transfer(&mut self, movement: Movement) -> anyhow::Result<()> {
        self.journal.append(&Line::Movement(movement.clone()))?;
        self.movements.push(movement);
        Ok(())
    }

    /// What one of the two wallets holds: the merchant's began with [`FUNDS`] of each currency.
    pub(super) fn held(&self, personal: bool, now: Timestamp) -> BTreeMap<String, Decimal> {
        let currencies = super::SERVICES.iter().map(|(currency, ..)| (*currency).to_owned());
        let start = if personal { Decimal::ZERO } else { FUNDS };
        let mut held: BTreeMap<String, Decimal> = currencies.map(|currency| (currency, start)).collect();
        let mut add = |currency: &str, amount: Decimal| {
            if let Some(sum) = held.get_mut(currency) {
                *sum = sum.saturating_add(amount);
            }
        };
        for movement in &self.movements {
            let incoming = movement.to_personal == personal;
            add(&movement.currency, if incoming { movement.amount } else { -movement.amount });
        }
        let commission = parse_plain_decimal(COMMISSION).unwrap_or_default();
        for payout in self.payouts.iter().filter(|_| !personal) {
            // What failed in the end came back.
            if payout.ends == "paid" || payout.status(self.settle_after_ms, now) != payout.ends {
                add(&payout.asked.currency, -payout.amount.saturating_add(commission));
            }
        }
        held
    }

    pub(super) fn find(&self, order_id: Option<&str>, uuid: Option<&str>) -> Option<usize> {
        match order_id {
            Some(order_id) => self.by_order.get(order_id),
            None => self.by_uuid.get(uuid?),
        }
        .copied()
        .filter(|number| !self.forgotten.contains(number))
    }

    pub(super) fn forget(&mut self, uuid: &str) -> bool {
        let number = self.by_uuid.get(uuid).copied();
        self.forgotten.extend(number);
        number.is_some()
    }

    /// Made-up payouts, paid long since. They are not written down.
    pub(super) fn fill(&mut self, filling: &Filling) {
        for (number, at) in filling.records() {
            let mut order_id = Filling::reference(number);
            order_id.truncate(32);
            let asked = Asked {
                amount: "1.5".to_owned(),
                currency: "USDT".to_owned(),
                address: "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm".to_owned(),
                network: "TRON".to_owned(),
                url_callback: None,
                order_id,
            };
            self.keep(Payout {
                uuid: uuid_of(&asked.order_id, self.payouts.len()),
                amount: Decimal::new(15, 1),
                created_ms: at.unix_ms(),
                ends: "paid".to_owned(),
                forgotten: false,
                asked,
            });
            self.open.pop();
        }
    }

    /// The payout as the API shows it; `null` for a number that is none.
    pub(super) fn show(&self, number: usize, now: Timestamp) -> Value {
        let Some(payout) = self.payouts.get(number) else { return Value::Null };
        let status = payout.status(self.settle_after_ms, now);
        let mut shown = payout.members(status);
        if let Some(members) = shown.as_object_mut() {
            members.insert("address".to_owned(), json!(payout.asked.address));
            members.insert("balance".to_owned(), json!(1000));
            members.insert("created_at".to_owned(), json!(local_time(payout.created_ms)));
            members.insert("updated_at".to_owned(), json!(local_time(now.unix_ms())));
        }
        shown
    }

    /// A page of the list, newest first.
    pub(super) fn page(&self, selection: &Selection, merchant: &str, now: Timestamp) -> Value {
        let before = selection.before.unwrap_or(usize::MAX).min(self.payouts.len());
        let older = self.payouts.iter().enumerate().take(before).rev();
        let mut matching = older.filter(|(number, payout)| {
            selection.covers(payout.created_ms) && !self.forgotten.contains(number)
        });
        let numbers: Vec<usize> = matching.by_ref().take(PAGE).map(|(number, _)| number).collect();
        let next = matching.next().and(numbers.last()).map(|last| cursor(*last));
        let items: Vec<Value> = numbers.into_iter().map(|number| self.show(number, now)).collect();
        json!({
            "merchant_uuid": merchant,
            "paginate": {
                "count": items.len(),
                "hasPages": next.is_some(),
                "nextCursor": next,
                "previousCursor": null,
                "perPage": PAGE,
            },
            "items": items,
        })
    }

    pub(super) fn effects(&self, now: Timestamp) -> Vec<Happened> {
        let happened = |payout: &Payout| Happened {
            reference: payout.asked.order_id.clone(),
            kind: "payout",
            amount: payout.amount.normalize().to_string(),
            asset: payout.asked.currency.clone(),
            destination: payout.asked.address.clone(),
            at: payout.created_ms,
            id: payout.uuid.to_string(),
            status: payout.status(self.settle_after_ms, now).to_owned(),
        };
        let moved = |movement: &Movement| Happened {
            reference: String::new(),
            kind: "transfer",
            amount: movement.amount.normalize().to_string(),
            asset: movement.currency.clone(),
            destination: if movement.to_personal { "personal" } else { "business" }.to_owned(),
            at: movement.at_ms,
            id: String::new(),
            status: "done".to_owned(),
        };
        self.payouts.iter().map(happened).chain(self.movements.iter().map(moved)).collect()
    }

    /// Each status after the first, once it is reached.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Notice> {
        let Self { payouts, open, told, settle_after_ms, .. } = self;
        let mut notices = Vec::new();
        open.retain(|number| {
            let Some(payout) = payouts.get(*number) else { return false };
            let status = payout.status(*settle_after_ms, now);
            let id = format!("{}|{status}", payout.uuid);
            if status != "process" && told.insert(id.clone()) {
                let url = payout.asked.url_callback.clone();
                notices.push(Notice { id, url, payload: payout.event(status) });
            }
            status != payout.ends
        });
        notices
    }

    pub(super) fn delivered(&mut self, notice: &str) -> anyhow::Result<()> {
        self.journal.append(&Line::Delivered { notice: notice.to_owned() })
    }
}

impl Payout {
    fn status(&self, settle_after_ms: i64, now: Timestamp) -> &str {
        let age_ms = now.unix_ms().saturating_sub(self.created_ms);
        if age_ms >= settle_after_ms {
            &self.ends
        } else if age_ms.saturating_mul(2) >= settle_after_ms {
            "check"
        } else {
            "process"
        }
    }

    /// What the API and the webhook have in common.
    fn members(&self, status: &str) -> Value {
        let commission = parse_plain_decimal(COMMISSION).unwrap_or_default();
        // The chain knows it from the moment it is broadcast; a failed one never was.
        let txid = matches!(status, "check" | "paid").then(|| transaction_of(self.uuid));
        json!({
            "uuid": self.uuid,
            "order_id": self.asked.order_id,
            "amount": written(self.amount),
            "merchant_amount": written(self.amount.saturating_add(commission)),
            "commission": COMMISSION,
            "is_final": status == self.ends,
            "status": status,
            "txid": txid,
            "currency": self.asked.currency,
            "network": self.asked.network,
            "payer_currency": self.asked.currency,
            "payer_amount": written(self.amount),
        })
    }

    fn event(&self, status: &str) -> String {
        let mut event = self.members(status);
        if let Some(members) = event.as_object_mut() {
            members.insert("type".to_owned(), json!("payout"));
            members.insert("network".to_owned(), json!(self.asked.network.to_ascii_lowercase()));
        }
        event.to_string()
    }
}

/// Which entries a page of the list is taken from.
pub(super) struct Selection {
    from_ms: i64,
    to_ms: i64,
    /// Only payouts with a smaller number.
    before: Option<usize>,
}

impl Selection {
    /// `None` where one of the three cannot be read.
    pub(super) fn read(from: Option<&str>, to: Option<&str>, cursor: Option<&str>) -> Option<Self> {
        let time = |text: Option<&str>, open: i64| match text {
            Some(text) => filter_time(text),
            None => Some(open),
        };
        let before = match cursor {
            Some(cursor) => Some(number_of(cursor)?),
            None => None,
        };
        Some(Self { from_ms: time(from, i64::MIN)?, to_ms: time(to, i64::MAX)?, before })
    }

    fn covers(&self, created_ms: i64) -> bool {
        (self.from_ms..=self.to_ms).contains(&created_ms)
    }
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    id: usize,
}

fn cursor(last: usize) -> String {
    URL_SAFE_NO_PAD.encode(json!(Cursor { id: last }).to_string())
}

fn number_of(cursor: &str) -> Option<usize> {
    let Cursor { id } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    Some(id)
}

/// A filter's time, read at +03:00, in Unix milliseconds.
fn filter_time(text: &str) -> Option<i64> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let local = PrimitiveDateTime::parse(text, &format).ok()?;
    Some(Timestamp::from(local.assume_offset(offset!(+3))).unix_ms())
}

/// A time as the API writes it: whole seconds at +03:00.
fn local_time(ms: i64) -> String {
    let seconds = Timestamp::from_unix_ms(ms).unix_s().saturating_mul(1000);
    let at = OffsetDateTime::from(Timestamp::from_unix_ms(seconds)).to_offset(offset!(+3));
    at.format(&Rfc3339).unwrap_or_default()
}

/// At least eight decimals.
fn written(amount: Decimal) -> String {
    let mut amount = amount;
    amount.rescale(amount.scale().max(8));
    amount.to_string()
}

fn uuid_of(order_id: &str, number: usize) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(format!("payout {order_id} {number}")).into();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(digest.split_at(16).0);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn transaction_of(uuid: Uuid) -> String {
    hex::encode(Sha256::digest(format!("transaction {uuid}")))
}
