//! Tatum's record is of webhooks: what it has told us, or tried to. A deposit that none has reached us of
//! is written down as if one had, and counts when its chain has made it final.

use std::collections::BTreeSet;

use payfleet_core::kinds::reconcile::{Difference, Found, Remedy, Side};
use payfleet_core::{Money, OperationId, Timestamp};
use payfleet_providers::tatum::{Chain, Client, ExecutedWebhook, Stage, Transfer, read_transfer};
use payfleet_store::{ComparedPage, DepositName, DepositPage, DepositPlace, KnownDeposit, OpenRun, Step};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::patience::Patience;
use super::{Handlers, Stop, at, beginning, place};
use crate::handlers::deposit::seen;

/// Deposits read together.
const PAGE: i64 = 200;
/// How long a deposit waits for its chain before somebody should look.
const PATIENCE_MS: u64 = 24 * 3_600_000;

/// How far the list of webhooks has been read.
#[derive(Clone, Default, Serialize, Deserialize)]
struct InTheirs {
    offset: u64,
    /// Of the oldest that was read.
    oldest: Option<Timestamp>,
}

/// How far our deposits have been read.
#[derive(Clone, Serialize, Deserialize)]
struct InOurs {
    /// Of the oldest webhook in the list, where the list does not reach back to the window's beginning.
    begins: Option<Timestamp>,
    /// Whether it does.
    is_whole: bool,
    after: Option<DepositPlace>,
}

/// A transfer to an address of ours, as the list tells of it.
struct Told {
    name: DepositName,
    transfer: Transfer,
}

impl Handlers {
    pub(super) async fn their_webhooks(&self, run: &mut OpenRun) -> Result<(), Stop> {
        let Some(tatum) = self.clients.tatum() else { return Err(Stop::Taken) };
        let mut so_far = place::<InTheirs>(run).unwrap_or_default();
        loop {
            let mut patience = Patience::default();
            let (webhooks, is_last) = loop {
                match tatum.executed_page(so_far.offset).await {
                    Ok(page) => break page,
                    Err(error) => patience.bear(error).await?,
                }
            };
            let count = u64::try_from(webhooks.len()).unwrap_or(u64::MAX);
            so_far.offset = so_far.offset.saturating_add(count);
            so_far.oldest = webhooks.iter().map(|webhook| webhook.at).chain(so_far.oldest).min();
            let page = self.compare_webhooks(run, &webhooks).await?;
            let is_whole = so_far.oldest.is_some_and(|oldest| oldest < run.reconcile.from);
            let is_over = is_whole || is_last;
            let ours = InOurs { begins: so_far.oldest, is_whole, after: None };
            let next = if is_over { at(Step::Ours, &ours) } else { at(Step::Theirs, &so_far) };
            self.save(run, &page, Some(next)).await?;
            if is_over {
                return Ok(());
            }
        }
    }

    async fn compare_webhooks(
        &self,
        run: &OpenRun,
        webhooks: &[ExecutedWebhook],
    ) -> Result<ComparedPage, Stop> {
        // The newest first: what is told last of a transfer is what holds.
        let told: Vec<Told> = webhooks
            .iter()
            .filter(|webhook| run.reconcile.covers(Some(webhook.at)))
            .filter_map(|webhook| {
                let transfer = read_transfer(&webhook.body).ok()?;
                let name = self.deposit_name(&transfer).ok()?;
                Some(Told { name, transfer })
            })
            .collect();
        let names: Vec<DepositName> = told.iter().map(|told| told.name.clone()).collect();
        let entries: Vec<String> = names.iter().map(DepositName::entry).collect();
        let met = self.store.met_before(run, &entries, &[]).await?;
        let known = self.store.deposits_named(&names).await?;
        let (mut page, mut on_page) = (ComparedPage::default(), BTreeSet::new());
        for ((told, entry), (order, known)) in told.iter().zip(entries).zip(known) {
            // What is paid to an address that no order has is none of our business.
            let Some(order) = order else { continue };
            if met.contains_key(&entry) || !on_page.insert(entry.clone()) {
                continue;
            }
            page.listed.push(told.transfer.money);
            page.seen.push((entry, Some(order)));
            page.found.extend(self.judge_deposit(told, order, known.as_ref()).await?);
        }
        Ok(page)
    }

    async fn judge_deposit(
        &self,
        told: &Told,
        order: OperationId,
        known: Option<&KnownDeposit>,
    ) -> Result<Option<Found>, Stop> {
        let found = |difference, remedy| {
            let theirs = Some(theirs(told));
            let ours = known.map(ours);
            let provider_ref = Some(told.transfer.transaction.clone());
            Some(Found { difference, remedy, operation: Some(order), provider_ref, theirs, ours })
        };
        let is_undone = told.transfer.stage == Stage::Reorg;
        Ok(match (known, told.transfer.money) {
            (None, _) if is_undone => None,
            (None, Some(money)) => {
                self.store.see_deposit(order, &seen(&told.transfer, told.name.clone(), money)).await?;
                found(Difference::MissingHere, Some(Remedy::Applied))
            }
            // Of an asset that is not ours: nothing can be written down.
            (None, None) => found(Difference::MissingHere, None),
            (Some(known), Some(money)) if known.money != money => found(Difference::Amount, None),
            (Some(known), _) if known.status == "final" && is_undone => found(Difference::Status, None),
            (Some(known), _) if known.status == "gone" && !is_undone => found(Difference::Status, None),
            (Some(_), _) => None,
        })
    }

    /// What the list has not shown is looked up on its chain before it is called missing: its webhook may
    /// have been sent long before it was taken.
    pub(super) async fn our_deposits(&self, run: &mut OpenRun) -> Result<(), Stop> {
        let Some(tatum) = self.clients.tatum() else { return Err(Stop::Taken) };
        let unknown = InOurs { begins: None, is_whole: true, after: None };
        let mut so_far = place::<InOurs>(run).unwrap_or(unknown);
        loop {
            let DepositPage { deposits, next } =
                self.store.deposits_held(run, so_far.after.as_ref(), PAGE).await?;
            let mut page = ComparedPage::default();
            for deposit in deposits {
                page.held.push(Some(deposit.money));
                let Some(chain) = Chain::of(deposit.name.network) else { continue };
                if deposit.met || deposit.status == "gone" {
                    continue;
                }
                let hash = deposit.name.transaction.as_str();
                if !is_on_chain(tatum, chain, hash).await? {
                    page.found.push(missing_there(&deposit));
                } else if !so_far.is_whole && so_far.begins.is_none_or(|begins| deposit.seen_at < begins) {
                    return Err(Stop::Impossible(no_longer_kept(run, so_far.begins)));
                }
            }
            so_far.after = next;
            let goes_on = so_far.after.is_some();
            let next = if goes_on { at(Step::Ours, &so_far) } else { beginning(Step::Stuck) };
            self.save(run, &page, Some(next)).await?;
            if !goes_on {
                return Ok(());
            }
        }
    }

    pub(super) async fn unmoved_deposits(&self, run: &mut OpenRun) -> Result<(), Stop> {
        loop {
            let unmoved = self.store.deposits_unmoved(PATIENCE_MS, PAGE).await?;
            let is_over = unmoved.is_empty();
            let stuck = unmoved.iter().map(|deposit| {
                let note = "its chain has not made it final for too long";
                let ours = Some(ours(deposit).noted(note));
                Found { difference: Difference::Stuck, ours, ..missing_there(deposit) }
            });
            let page = ComparedPage { found: stuck.collect(), ..ComparedPage::default() };
            // Of what was told of nobody is told again, so the next page begins behind it.
            self.save(run, &page, (!is_over).then(|| beginning(Step::Stuck))).await?;
            if is_over {
                return Ok(());
            }
        }
    }
}

async fn is_on_chain(tatum: &Client, chain: Chain, hash: &str) -> Result<bool, Stop> {
    let mut patience = Patience::default();
    loop {
        match tatum.transaction(chain, hash).await {
            Ok(transaction) => return Ok(transaction.is_some()),
            Err(error) => patience.bear(error).await?,
        }
    }
}

fn theirs(told: &Told) -> Side {
    let state = match told.transfer.stage {
        Stage::Mempool => "mempool",
        Stage::Confirmed => "confirmed",
        Stage::Reorg => "reorg",
    };
    side(&told.name, state, told.transfer.money)
}

fn ours(known: &KnownDeposit) -> Side {
    side(&known.name, &known.status, Some(known.money))
}

fn side(name: &DepositName, state: &str, money: Option<Money>) -> Side {
    Side { reference: name.transaction.clone(), state: state.to_owned(), money, note: None }
}

fn missing_there(deposit: &KnownDeposit) -> Found {
    Found {
        difference: Difference::MissingThere,
        remedy: None,
        operation: Some(deposit.order),
        provider_ref: Some(deposit.name.transaction.clone()),
        theirs: None,
        ours: Some(ours(deposit)),
    }
}

/// We have been told of what the list does not show any more.
fn no_longer_kept(run: &OpenRun, begins: Option<Timestamp>) -> String {
    let date = |at: Timestamp| OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default();
    let keeps =
        begins.map_or_else(|| "none at all".to_owned(), |at| format!("none from before {}", date(at)));
    format!(
        "Tatum has told us of deposits after {} and lists no webhook of that time any more ({keeps}): the window \
         cannot be compared; ask for one that begins later",
        date(run.reconcile.from)
    )
}
