//! The account of a demo: what each side says happened, and what is wrong with that.

use std::collections::BTreeMap;
use std::time::Duration;

use payfleet_core::OperationId;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::provider::Provider;
use payfleet_store::{AccountBalance, AuditNews, Finding, OperationCount, RunSummary, Store, WebhookCount};
use serde::Serialize;

use super::fleet::Fleet;
use crate::commands::show;

/// How many reconciliation runs are read back.
const RUNS: i64 = 100;

/// What the demo asked for.
pub(super) struct Asked {
    pub(super) operations: Vec<OperationId>,
    /// How many records were to be compared.
    pub(super) reconciled: usize,
}

/// What became of it.
#[derive(Serialize)]
pub(super) struct Report {
    ok: bool,
    problems: Vec<String>,
    elapsed_ms: u128,
    operations: Vec<OperationCount>,
    webhooks: Vec<WebhookCount>,
    /// What really happened at the providers, by provider and kind.
    effects: BTreeMap<Provider, BTreeMap<String, usize>>,
    ledger: Ledger,
    dead_letters: usize,
    discrepancies: i64,
    reconciliation: Vec<RunSummary>,
}

#[derive(Serialize)]
struct Ledger {
    /// Over all accounts, by unit: zero, or money came from nowhere.
    sums: BTreeMap<String, String>,
    balances: Vec<AccountBalance>,
    /// What `payfleet audit` would name.
    audit: Vec<Finding>,
}

impl Report {
    pub(super) async fn make(fleet: &Fleet, asked: &Asked, elapsed: Duration) -> anyhow::Result<Self> {
        let store = fleet.store();
        let mut effects = BTreeMap::new();
        for provider in [Provider::Heleket, Provider::TrovoTech] {
            let kinds: &mut BTreeMap<String, usize> = effects.entry(provider).or_default();
            for effect in fleet.sandboxes().effects(provider).await? {
                *kinds.entry(effect.kind).or_default() += 1;
            }
        }
        let balances = store.balances().await?;
        let sums = sums(&balances);
        let mut report = Self {
            ok: false,
            problems: unsettled(fleet, asked).await?,
            elapsed_ms: elapsed.as_millis(),
            operations: store.operation_counts().await?,
            webhooks: store.webhook_counts().await?,
            effects,
            ledger: Ledger { sums, balances, audit: audit(store).await? },
            dead_letters: store.dead_letters(1000, true).await?.len(),
            discrepancies: store.open_discrepancies().await?,
            reconciliation: store.runs(RUNS).await?,
        };
        report.judge(asked, store.forgotten().await?);
        report.ok = report.problems.is_empty();
        Ok(report)
    }

    /// What is not as it should be; empty when all is well.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    fn judge(&mut self, asked: &Asked, forgotten: i64) {
        let finished = self.reconciliation.iter().filter(|run| run.finished).count();
        let differing = self.reconciliation.iter().filter(|run| run.differences.unwrap_or(0) > 0).count();
        let unheard: Vec<&str> = Provider::ALL
            .into_iter()
            .map(Provider::as_str)
            .filter(|name| !self.webhooks.iter().any(|count| count.provider == *name))
            .collect();
        let unhandled =
            self.webhooks.iter().filter(|count| !matches!(count.status.as_str(), "processed" | "ignored"));
        let checks = [
            (self.ledger.sums.values().any(|sum| sum != "0"), "the ledger does not sum to zero".to_owned()),
            (!self.ledger.audit.is_empty(), format!("the audit found {}", self.ledger.audit.len())),
            (self.dead_letters > 0, format!("{} dead letters", self.dead_letters)),
            (self.discrepancies > 0, format!("{} open discrepancies", self.discrepancies)),
            (forgotten > 0, format!("{forgotten} operations that nothing will wake")),
            (!unheard.is_empty(), format!("no webhook came from {}", unheard.join(", "))),
            (unhandled.count() > 0, "webhooks that were not handled".to_owned()),
            (finished < asked.reconciled, "not every reconciliation finished".to_owned()),
            (differing > 0, format!("{differing} reconciliations found differences")),
        ];
        self.problems.extend(checks.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, text)| text));
        for (kind, provider) in [("payout", Provider::Heleket), ("mint", Provider::TrovoTech)] {
            self.problems.extend(self.double_or_missing(kind, provider));
        }
    }

    /// As many effects at the provider as settled operations here, no more and no fewer.
    fn double_or_missing(&self, kind: &str, provider: Provider) -> Option<String> {
        let is_settled = |count: &&OperationCount| count.kind == kind && count.state == "settled";
        let settled: i64 = self.operations.iter().filter(is_settled).map(|count| count.count).sum();
        let effects = self.effects.get(&provider).and_then(|kinds| kinds.get(kind)).copied().unwrap_or(0);
        let agree = i64::try_from(effects) == Ok(settled);
        (!agree).then(|| format!("{settled} {kind}s are settled, but {provider} knows of {effects}"))
    }

    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            return show::json(self);
        }
        let operations = self
            .operations
            .iter()
            .map(|one| vec![one.kind.clone(), one.state.clone(), one.count.to_string()]);
        println!("{}\n", show::table(&["OPERATION", "STATE", "COUNT"], &operations.collect::<Vec<_>>()));
        let webhooks = self
            .webhooks
            .iter()
            .map(|one| vec![one.provider.clone(), one.status.clone(), one.count.to_string()]);
        println!("{}\n", show::table(&["WEBHOOKS OF", "STATUS", "COUNT"], &webhooks.collect::<Vec<_>>()));
        let effects = self.effects.iter().flat_map(|(provider, kinds)| {
            kinds.iter().map(move |(kind, count)| vec![provider.to_string(), kind.clone(), count.to_string()])
        });
        println!("{}\n", show::table(&["EFFECTS AT", "KIND", "COUNT"], &effects.collect::<Vec<_>>()));
        let balances = self
            .ledger
            .balances
            .iter()
            .map(|one| vec![one.account.clone(), one.unit.clone(), one.balance.normalize().to_string()]);
        println!("{}\n", show::table(&["ACCOUNT", "UNIT", "BALANCE"], &balances.collect::<Vec<_>>()));
        let number = |n: Option<i32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let runs = self.reconciliation.iter().map(|run| {
            vec![run.provider.clone(), number(run.listed), number(run.held), number(run.differences)]
        });
        println!(
            "{}\n",
            show::table(&["RECONCILED", "THEIRS", "OURS", "DIFFERENCES"], &runs.collect::<Vec<_>>())
        );
        println!("dead letters: {}, discrepancies: {}", self.dead_letters, self.discrepancies);
        if self.ok {
            println!("Everything settled and the ledger balances ({} ms).", self.elapsed_ms);
        }
        Ok(())
    }
}

/// What the audit finds.
async fn audit(store: &Store) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut keep = |news: AuditNews<'_>| {
        if let AuditNews::Found(finding) = news {
            findings.push(finding.clone());
        }
    };
    store.audit(&mut keep).await?;
    Ok(findings)
}

/// How many reconciliation runs are over.
pub(super) async fn finished_runs(fleet: &Fleet) -> anyhow::Result<usize> {
    Ok(fleet.store().runs(RUNS).await?.iter().filter(|run| run.finished).count())
}

/// The operations that were asked for and are not settled, in words.
async fn unsettled(fleet: &Fleet, asked: &Asked) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for id in &asked.operations {
        match fleet.store().operation(*id).await? {
            None => problems.push(format!("operation {id} never reached Postgres")),
            Some(operation) if matches!(operation.state, State::Settled { .. }) => {}
            Some(operation) => {
                let (kind, state) = (operation.kind.as_str(), operation.state.name());
                let why = operation.parked_reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                problems.push(format!("{kind} {id} is {state}{why}"));
            }
        }
    }
    Ok(problems)
}

fn sums(balances: &[AccountBalance]) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, rust_decimal::Decimal> = BTreeMap::new();
    for balance in balances {
        *sums.entry(balance.unit.clone()).or_default() += balance.balance;
    }
    sums.into_iter().map(|(unit, sum)| (unit, sum.normalize().to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_taken_by_unit_over_all_accounts() {
        let balance = |unit: &str, amount: i64| AccountBalance {
            account: format!("account of {amount}"),
            unit: unit.to_owned(),
            balance: rust_decimal::Decimal::new(amount, 2),
        };
        let sums = sums(&[balance("USDT", 150), balance("USDT", -150), balance("share:van", 100)]);
        assert_eq!(
            sums,
            BTreeMap::from([("USDT".to_owned(), "0".to_owned()), ("share:van".to_owned(), "1".to_owned())])
        );
    }
}
