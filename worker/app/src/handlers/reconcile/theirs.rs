//! The provider's record, and what it has of the connected accounts that we know.

use std::collections::{BTreeMap, BTreeSet};

use payfleet_core::OperationId;
use payfleet_core::kinds::reconcile::{Listed, judge};
use payfleet_core::provider::{Provider, UNAUTHORIZED};
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::{Client, ProviderError};
use payfleet_store::{ComparedPage, OpenRun, Step};
use serde::{Deserialize, Serialize};

use super::patience::Patience;
use super::{Handlers, Place, Stop, at, beginning, place};

/// How many accounts are read of Postgres at a time.
const ACCOUNTS: i64 = 100;

/// Where in the records of connected accounts a run is.
#[derive(Clone, Default, Serialize, Deserialize)]
struct InAccounts {
    /// The last account that was read to its end, by the operation that made it.
    done: Option<OperationId>,
    /// The one that is being read, and where in its record.
    reading: Option<(OperationId, Option<String>)>,
}

impl Handlers {
    pub(super) async fn theirs(&self, client: &Client, run: &mut OpenRun) -> Result<(), Stop> {
        let after = place::<String>(run);
        let has_accounts = run.reconcile.provider == Provider::Stripe;
        let behind = beginning(if has_accounts { Step::Accounts } else { Step::Ours });
        self.read(client, run, None, after, behind, |place| at(Step::Theirs, &place)).await
    }

    pub(super) async fn accounts(&self, client: &Client, run: &mut OpenRun) -> Result<(), Stop> {
        let mut place = place::<InAccounts>(run).unwrap_or_default();
        loop {
            let accounts = self.store.connected_accounts(run, place.done, ACCOUNTS).await?;
            if accounts.is_empty() {
                return self.save(run, &ComparedPage::default(), Some(beginning(Step::Ours))).await;
            }
            for (id, account) in accounts {
                let after = place.reading.take().filter(|(reading, _)| *reading == id);
                let done = place.done;
                place.done = Some(id);
                let behind = at(Step::Accounts, &place);
                let within = |after: Option<&str>| {
                    let reading = Some((id, after.map(str::to_owned)));
                    at(Step::Accounts, &InAccounts { done, reading })
                };
                let after = after.and_then(|(_, after)| after);
                self.read(client, run, Some(&account), after, behind, within).await?;
            }
        }
    }

    /// Reads one record to its end. `within` says where the run is in the middle of it, `behind` what
    /// comes after it.
    async fn read(
        &self,
        client: &Client,
        run: &mut OpenRun,
        account: Option<&str>,
        after: Option<String>,
        behind: Place,
        within: impl Fn(Option<&str>) -> Place,
    ) -> Result<(), Stop> {
        let mut listing = client.listing((run.reconcile.from, run.reconcile.to), account, after);
        while !listing.is_over() {
            let mut patience = Patience::default();
            let entries = loop {
                match listing.next_page().await {
                    Ok(entries) => break entries,
                    Err(error) => patience.bear(error).await.map_err(of_list)?,
                }
            };
            if entries.is_empty() && !listing.is_over() {
                continue;
            }
            let page = self.compare(run, &entries).await?;
            let next = if listing.is_over() { behind.clone() } else { within(listing.place()) };
            self.save(run, &page, Some(next)).await?;
        }
        Ok(())
    }

    async fn compare(&self, run: &OpenRun, entries: &[Listed]) -> Result<ComparedPage, Stop> {
        let named = self.store.named_by(run, entries).await?;
        let ids: Vec<String> = entries.iter().map(|entry| entry.report.provider_ref.clone()).collect();
        let operations: Vec<OperationId> = named.iter().flatten().map(|held| held.operation).collect();
        let met = self.store.met_before(run, &ids, &operations).await?;
        let mut known_as: BTreeMap<OperationId, BTreeSet<&str>> = BTreeMap::new();
        for (id, operation) in &met {
            if let Some(operation) = operation {
                known_as.entry(*operation).or_default().insert(id);
            }
        }
        let (mut page, mut on_page) = (ComparedPage::default(), BTreeSet::new());
        for (entry, ours) in entries.iter().zip(&named) {
            let id = entry.report.provider_ref.as_str();
            if met.contains_key(id) || !on_page.insert(id) {
                continue;
            }
            let is_of_window = run.reconcile.covers(entry.at);
            let mut found = judge(entry, ours, |held| {
                known_as.get(&held.operation).is_some_and(|ids| ids.iter().any(|known| *known != id))
            });
            if is_of_window {
                page.listed.push(entry.report.money);
                page.seen.push((id.to_owned(), ours.first().map(|held| held.operation)));
            } else {
                // Another window's run says what else there is to say of it.
                found.retain(|found| found.remedy.is_some());
            }
            for held in ours {
                known_as.entry(held.operation).or_default().insert(id);
                self.remedy(run, &found, held, &entry.report).await?;
            }
            page.found.append(&mut found);
        }
        Ok(page)
    }
}

/// A list that is refused for good is refused for its window.
fn of_list(error: ProviderError) -> Stop {
    if error.class() == OutcomeClass::Terminal && error.code() != UNAUTHORIZED {
        return Stop::Impossible(format!("the provider does not list this window: {error}"));
    }
    error.into()
}
