//! Everything the sandbox of Tatum keeps: chains, subscriptions, the HMAC secret, and every webhook with
//! how it fared. Written down before it is answered, so a restart forgets nothing.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use payfleet_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::chains::{Change, Ledger, Payment, Seen, units};
use crate::sandbox::{Filling, Happened, Journal, Notice};
use crate::tatum::chain::Chain;
use crate::tatum::transfer::Stage;

/// A subscription, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) chain: String,
    pub(super) address: String,
    pub(super) url: String,
    pub(super) template: String,
    pub(super) mempool: bool,
    pub(super) paused: bool,
}

/// A webhook and how it fared.
#[derive(Clone, Debug)]
struct Webhook {
    id: String,
    subscription: String,
    kind: String,
    url: String,
    data: Value,
    at_ms: i64,
    attempts: u32,
    status: Option<u16>,
    next_ms: Option<i64>,
}

/// What webhooks are signed with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hmac {
    /// The secret that the sandbox was started with.
    Own,
    /// One that was set by a call.
    Set(String),
    /// None: somebody deleted a subscription with an empty id.
    Off,
}

/// A line of the record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Subscribed(Subscription),
    Paused { id: String, paused: bool },
    Deleted { id: String },
    Hmac(Hmac),
    Chain { chain: String, change: Change, at_ms: i64 },
    Delivered { notice: String },
}

/// Everything there is.
pub(super) struct Book {
    journal: Journal,
    chains: BTreeMap<&'static str, Ledger>,
    subscriptions: Vec<Subscription>,
    hmac: Hmac,
    webhooks: Vec<Webhook>,
    waiting: Vec<Notice>,
    delivered: HashSet<String>,
}

impl Book {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let (journal, lines) = Journal::open(dir, "tatum.jsonl")?;
        let chains = Chain::ALL.into_iter().map(|chain| (chain.path(), Ledger::default())).collect();
        let mut book = Self {
            journal,
            chains,
            subscriptions: Vec::new(),
            hmac: Hmac::Own,
            webhooks: Vec::new(),
            waiting: Vec::new(),
            delivered: HashSet::new(),
        };
        for line in lines {
            book.play(line);
        }
        // What was taken before the restart is not told again.
        let Self { waiting, delivered, .. } = &mut book;
        waiting.retain(|notice| !delivered.contains(&notice.id));
        Ok(book)
    }

    fn play(&mut self, line: Line) {
        match line {
            Line::Subscribed(subscription) => self.subscriptions.push(subscription),
            Line::Paused { id, paused } => {
                for subscription in self.subscriptions.iter_mut().filter(|held| held.id == id) {
                    subscription.paused = paused;
                }
            }
            Line::Deleted { id } => self.subscriptions.retain(|subscription| subscription.id != id),
            Line::Hmac(hmac) => self.hmac = hmac,
            Line::Chain { chain, change, at_ms } => {
                let Some((chain, _)) = by_path(&chain) else { return };
                let Some(ledger) = self.chains.get_mut(chain.path()) else { return };
                for seen in ledger.apply(change) {
                    self.tell(chain, &seen, at_ms);
                }
            }
            Line::Delivered { notice } => {
                for webhook in self.webhooks.iter_mut().filter(|webhook| webhook.id == notice) {
                    (webhook.status, webhook.next_ms) = (Some(200), None);
                }
                self.delivered.insert(notice);
            }
        }
    }

    fn record(&mut self, line: Line) -> anyhow::Result<()> {
        self.journal.append(&line)?;
        self.play(line);
        Ok(())
    }

    /// Moves a chain.
    pub(super) fn change(&mut self, chain: Chain, change: Change, now: Timestamp) -> anyhow::Result<()> {
        let (chain, at_ms) = (chain.path().to_owned(), now.unix_ms());
        self.record(Line::Chain { chain, change, at_ms })
    }

    pub(super) fn ledger(&self, chain: Chain) -> Option<&Ledger> {
        self.chains.get(chain.path())
    }

    pub(super) fn subscribe(&mut self, mut subscription: Subscription) -> anyhow::Result<Option<String>> {
        let same = |held: &Subscription| {
            (&held.kind, &held.chain, &held.address, &held.url)
                == (&subscription.kind, &subscription.chain, &subscription.address, &subscription.url)
        };
        if self.subscriptions.iter().any(same) {
            return Ok(None);
        }
        let named = format!("{} {} {}", subscription.chain, subscription.address, subscription.url);
        hex::encode(Sha256::digest(named)).get(..24).unwrap_or_default().clone_into(&mut subscription.id);
        let id = subscription.id.clone();
        self.record(Line::Subscribed(subscription))?;
        Ok(Some(id))
    }

    pub(super) fn pause(&mut self, id: &str, paused: bool) -> anyhow::Result<bool> {
        let known = self.subscriptions.iter().any(|subscription| subscription.id == id);
        if known {
            self.record(Line::Paused { id: id.to_owned(), paused })?;
        }
        Ok(known)
    }

    pub(super) fn delete(&mut self, id: &str) -> anyhow::Result<bool> {
        let known = self.subscriptions.iter().any(|subscription| subscription.id == id);
        if known {
            self.record(Line::Deleted { id: id.to_owned() })?;
        }
        Ok(known)
    }

    pub(super) fn set_hmac(&mut self, hmac: Hmac) -> anyhow::Result<()> {
        self.record(Line::Hmac(hmac))
    }

    pub(super) fn hmac(&self) -> &Hmac {
        &self.hmac
    }

    pub(super) fn subscriptions(&self, address: Option<&str>, offset: usize, size: usize) -> Value {
        let fits = |held: &&Subscription| address.is_none_or(|address| address == held.address);
        let page = self.subscriptions.iter().filter(fits).skip(offset).take(size);
        page.map(Subscription::show).collect()
    }

    pub(super) fn webhooks(
        &self,
        newest_first: bool,
        failed: Option<bool>,
        offset: usize,
        size: usize,
    ) -> Value {
        let fits = |webhook: &&Webhook| failed.is_none_or(|failed| failed == webhook.failed());
        let page = |webhooks: &mut dyn Iterator<Item = &Webhook>| -> Value {
            webhooks.filter(fits).skip(offset).take(size).map(Webhook::show).collect()
        };
        if newest_first { page(&mut self.webhooks.iter().rev()) } else { page(&mut self.webhooks.iter()) }
    }

    /// Lists no webhook of a transaction any more.
    pub(super) fn forget(&mut self, transaction: &str) -> bool {
        let before = self.webhooks.len();
        let is_of = |webhook: &Webhook| {
            let event = webhook.data.get("data").unwrap_or(&webhook.data);
            event.get("txId").and_then(Value::as_str) == Some(transaction)
        };
        self.webhooks.retain(|webhook| !is_of(webhook));
        self.webhooks.len() < before
    }

    /// Made-up webhooks. They are not written down, and no chain knows what they tell of.
    pub(super) fn fill(&mut self, filling: &Filling) {
        for (number, at) in filling.records() {
            let data = json!({
                "address": filling.about,
                "amount": "1.5",
                "asset": Chain::Tron.currency(),
                "blockNumber": 1,
                "counterAddress": null,
                "txId": Filling::reference(number),
                "type": "native",
                "chain": Chain::Tron.name(crate::tatum::Mode::Mainnet),
                "subscriptionType": "ADDRESS_EVENT",
            });
            self.webhooks.push(Webhook {
                id: format!("{number:024x}"),
                subscription: format!("{:024x}", 0),
                kind: "ADDRESS_EVENT".to_owned(),
                url: String::new(),
                data,
                at_ms: at.unix_ms(),
                attempts: 1,
                status: Some(200),
                next_ms: None,
            });
        }
    }

    /// What has come about and is not told yet.
    pub(super) fn due(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn delivered(&mut self, notice: &str) -> anyhow::Result<()> {
        self.record(Line::Delivered { notice: notice.to_owned() })
    }

    /// An attempt was made; `next_ms` is when the next one is, if there is one.
    pub(super) fn attempted(&mut self, notice: &str, status: Option<u16>, next_ms: Option<i64>) {
        for webhook in self.webhooks.iter_mut().filter(|webhook| webhook.id == notice) {
            webhook.attempts = webhook.attempts.saturating_add(1);
            (webhook.status, webhook.next_ms) = (status, next_ms);
        }
    }

    pub(super) fn effects(&self) -> Vec<Happened> {
        let mut effects = Vec::new();
        for chain in Chain::ALL {
            let Some(ledger) = self.ledger(chain) else { continue };
            effects.extend(ledger.payments().map(|(payment, block)| Happened {
                reference: payment.hash.clone(),
                kind: if payment.broadcast { "broadcast" } else { "transfer" },
                amount: payment.amount.normalize().to_string(),
                asset: payment.contract.clone().unwrap_or_else(|| chain.coin().to_owned()),
                destination: payment.to.clone(),
                at: payment.at_ms,
                id: payment.hash.clone(),
                status: if block.is_some() { "confirmed" } else { "mempool" }.to_owned(),
            }));
        }
        effects.sort_by_key(|effect| effect.at);
        effects.extend(self.subscriptions.iter().map(Subscription::happened));
        effects
    }

    /// Makes the webhooks of what was seen.
    fn tell(&mut self, chain: Chain, seen: &Seen, at_ms: i64) {
        let network = chain.network();
        for subscription in self.subscriptions.iter().filter(|held| {
            !held.paused
                && (seen.stage != Stage::Mempool || held.mempool)
                && Chain::from_name(&held.chain).is_some_and(|(named, _)| named == chain)
        }) {
            let watches = |address: &str| network.same_address(address, &subscription.address);
            let incoming = watches(&seen.payment.to);
            if !incoming && !seen.payment.from.as_deref().is_some_and(watches) {
                continue;
            }
            let data = subscription.write(chain, seen, incoming, at_ms);
            // Hex digits of what makes it this one, however often it is made anew from the record.
            let number = self.webhooks.len();
            let named = format!("{number} {} {data}", subscription.id);
            let id = hex::encode(Sha256::digest(named)).get(..24).unwrap_or_default().to_owned();
            let url = Some(subscription.url.clone());
            self.waiting.push(Notice { id: id.clone(), url, payload: data.to_string() });
            self.webhooks.push(Webhook {
                id,
                subscription: subscription.id.clone(),
                kind: subscription.kind.clone(),
                url: subscription.url.clone(),
                data,
                at_ms,
                attempts: 0,
                status: None,
                next_ms: Some(at_ms),
            });
        }
    }
}

impl Subscription {
    /// It bears no reference of the caller's: the address that it watches stands in for one. When it was
    /// made is not written down.
    fn happened(&self) -> Happened {
        Happened {
            reference: self.address.clone(),
            kind: "subscription",
            amount: String::new(),
            asset: String::new(),
            destination: self.url.clone(),
            at: 0,
            id: self.id.clone(),
            status: if self.paused { "paused" } else { "active" }.to_owned(),
        }
    }

    fn show(&self) -> Value {
        json!({
            "id": self.id,
            "type": self.kind,
            "attr": { "chain": self.chain, "address": self.address, "url": self.url },
            "paused": self.paused,
            "templateId": self.template,
        })
    }

    /// The body of a webhook in this subscription's template.
    fn write(&self, chain: Chain, seen: &Seen, incoming: bool, at_ms: i64) -> Value {
        let Payment { hash, from, to, amount, contract, .. } = &seen.payment;
        let mut body = if self.template.starts_with("enriched") {
            json!({
                "kind": "transfer",
                "blockHash": seen.block.map(|block| hex::encode(Sha256::digest(block.to_be_bytes()))),
                "blockNumber": seen.block,
                "blockTimestamp": at_ms,
                "txId": hash,
                "currency": chain.currency(),
                "chain": self.chain,
                "txTimestamp": at_ms,
                "from": from,
                "to": to,
                "value": units(*amount, if contract.is_some() { 6 } else { chain.decimals() }),
                "contractAddress": contract,
                "tokenId": null,
                "logIndex": contract.as_ref().map(|_| 0),
                "subscriptionId": self.id,
                "subscriptionType": self.kind,
            })
        } else {
            let amount = amount.normalize();
            let (amount, counter) = if incoming { (amount, from.as_ref()) } else { (-amount, Some(to)) };
            json!({
                "address": self.address,
                "amount": amount.to_string(),
                "asset": contract.as_deref().unwrap_or(chain.currency()),
                "blockNumber": seen.block,
                "counterAddress": counter,
                "txId": hash,
                "type": if contract.is_some() { "token" } else { "native" },
                "tokenId": null,
                "chain": self.chain,
                "subscriptionType": self.kind,
            })
        };
        if let Some(members) = body.as_object_mut() {
            match seen.stage {
                Stage::Mempool => drop(members.insert("mempool".to_owned(), json!(true))),
                Stage::Reorg => drop(members.insert("reorg".to_owned(), json!(true))),
                Stage::Confirmed => {}
            }
        }
        if self.template.starts_with("enriched") { json!({ "data": body }) } else { body }
    }
}

impl Webhook {
    fn failed(&self) -> bool {
        !self.status.is_some_and(|status| (200..300).contains(&status))
    }

    fn show(&self) -> Value {
        json!({
            "id": self.id,
            "type": self.kind,
            "subscriptionId": self.subscription,
            "url": self.url,
            "data": self.data,
            "timestamp": self.at_ms,
            "nextTime": self.next_ms,
            "retryCount": self.attempts.saturating_sub(1),
            "failed": self.failed(),
            "response": { "code": self.status, "data": null, "networkError": self.status.is_none() },
        })
    }
}

/// The chain that is called so in the record and in control paths.
pub(super) fn by_path(name: &str) -> Option<(Chain, &'static str)> {
    Chain::ALL.into_iter().find(|chain| chain.path() == name).map(|chain| (chain, chain.path()))
}
