//! The `reconcile` job: compares a provider's record of a window with ours.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, OperationId};
use crate::provider::{Progress, Provider, Report};
use crate::{Money, Timestamp};

/// The job's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    /// Whose record.
    pub provider: Provider,
    /// Which of our accounts there.
    pub account: AccountId,
    /// From this moment, inclusive.
    pub from: Timestamp,
    /// To this moment, exclusive.
    pub to: Timestamp,
}

/// How the two records differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The provider has it, we do not.
    MissingHere,
    /// We hold it for accepted or settled, the provider does not list it.
    MissingThere,
    /// Another amount or asset.
    Amount,
    /// Another state.
    Status,
    /// The provider lists it more than once.
    DuplicateThere,
    /// Ours has not moved for too long.
    Stuck,
}

impl Difference {
    /// Its name in tables and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::Amount => "amount",
            Self::Status => "status",
            Self::DuplicateThere => "duplicate_there",
            Self::Stuck => "stuck",
        }
    }
}

/// One entry of the provider's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Our reference as the provider keeps it, where it keeps one.
    pub our_reference: Option<String>,
    /// What it says.
    pub report: Report,
}

/// One entry of ours in the same window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which operation.
    pub operation: OperationId,
    /// Our reference as sent to the provider.
    pub reference: String,
    /// The provider's id, once it answered.
    pub provider_ref: Option<String>,
    /// The state's name.
    pub state: String,
    /// What was asked.
    pub money: Option<Money>,
}

/// One difference, with what each side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which kind.
    pub difference: Difference,
    /// Our operation, if we have one.
    pub operation: Option<OperationId>,
    /// The provider's id, if it has one.
    pub provider_ref: Option<String>,
    /// Both records in words.
    pub detail: String,
}

/// Compares the two records. `listed` may reach beyond the window on both sides, so that an entry
/// made here a moment before the window's edge and there a moment after it is found; whatever is
/// listed and not held is therefore only a candidate for `missing_here` (see [`Comparison::strangers`]).
#[must_use]
pub fn compare(listed: &[Listed], held: &[Held]) -> Comparison {
    let mut found = Vec::new();
    let mut by_ref: BTreeMap<&str, Vec<&Listed>> = BTreeMap::new();
    for entry in listed {
        by_ref.entry(entry.report.provider_ref.as_str()).or_default().push(entry);
        if let Some(reference) = entry.our_reference.as_deref() {
            by_ref.entry(reference).or_default().push(entry);
        }
    }
    for ours in held {
        let names = [Some(ours.reference.as_str()), ours.provider_ref.as_deref()];
        let mut entries: Vec<&Listed> =
            names.into_iter().flatten().filter_map(|name| by_ref.get(name)).flatten().copied().collect();
        entries.sort_by(|a, b| a.report.provider_ref.cmp(&b.report.provider_ref));
        entries.dedup_by(|a, b| std::ptr::eq(*a, *b));
        found.extend(differences(ours, &entries));
    }
    let references: BTreeSet<&str> = held.iter().map(|ours| ours.reference.as_str()).collect();
    let ids: BTreeSet<&str> = held.iter().filter_map(|ours| ours.provider_ref.as_deref()).collect();
    let known = |entry: &Listed| {
        entry.our_reference.as_deref().is_some_and(|reference| references.contains(reference))
            || ids.contains(entry.report.provider_ref.as_str())
    };
    let strangers = listed.iter().filter(|entry| !known(entry)).cloned().collect();
    Comparison { found, strangers }
}

/// What [`compare`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How entries of ours differ.
    pub found: Vec<Found>,
    /// Entries of the provider that none of ours in the window matches: `missing_here`, unless an
    /// operation outside of the window matches.
    pub strangers: Vec<Listed>,
}

/// A stranger that nobody here knows.
#[must_use]
pub fn missing_here(entry: &Listed) -> Found {
    Found {
        difference: Difference::MissingHere,
        operation: None,
        provider_ref: Some(entry.report.provider_ref.clone()),
        detail: format!("there: {}; here: nothing", described(&entry.report)),
    }
}

fn differences(ours: &Held, entries: &[&Listed]) -> Vec<Found> {
    let found = |difference, report: Option<&Report>| Found {
        difference,
        operation: Some(ours.operation),
        provider_ref: report.map(|report| report.provider_ref.clone()).or_else(|| ours.provider_ref.clone()),
        detail: format!(
            "there: {}; here: {} of {}",
            report.map_or_else(|| "nothing".to_owned(), described),
            ours.state,
            ours.money.map_or_else(|| "no amount".to_owned(), |money| money.to_string())
        ),
    };
    let has_effect = matches!(ours.state.as_str(), "accepted" | "settled" | "quarantined");
    let Some(first) = entries.first() else {
        return if has_effect { vec![found(Difference::MissingThere, None)] } else { Vec::new() };
    };
    let report = &first.report;
    let mut all = Vec::new();
    if entries.len() > 1 {
        all.push(found(Difference::DuplicateThere, Some(report)));
    }
    if report.money.zip(ours.money).is_some_and(|(there, here)| there != here) {
        all.push(found(Difference::Amount, Some(report)));
    }
    let contradicts = match report.progress {
        Progress::Succeeded => ours.state == "failed",
        Progress::Failed { .. } => ours.state == "settled",
        Progress::Pending => ours.state == "failed",
        Progress::Unknown => true,
    };
    if contradicts {
        all.push(found(Difference::Status, Some(report)));
    }
    all
}

fn described(report: &Report) -> String {
    let money = report.money.map_or_else(|| "no amount".to_owned(), |money| money.to_string());
    format!("{} {} of {money}", report.provider_ref, report.raw_status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TenantId;

    fn usdt(amount: &str) -> Money {
        Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap()
    }

    fn listed(reference: &str, id: &str, amount: &str, progress: Progress) -> Listed {
        let report = Report { money: Some(usdt(amount)), ..Report::of(id, progress, "raw") };
        Listed { our_reference: Some(reference.to_owned()), report }
    }

    fn held(reference: &str, state: &str, amount: &str) -> Held {
        Held {
            operation: OperationId::derive(&TenantId::default(), "/v1/payouts", reference),
            reference: reference.to_owned(),
            provider_ref: None,
            state: state.to_owned(),
            money: Some(usdt(amount)),
        }
    }

    fn kinds(listed: &[Listed], held: &[Held]) -> Vec<Difference> {
        compare(listed, held).found.into_iter().map(|found| found.difference).collect()
    }

    #[test]
    fn records_that_agree_differ_in_nothing() {
        let there = [listed("a", "1", "5", Progress::Succeeded), listed("b", "2", "6", Progress::Pending)];
        let here = [held("a", "settled", "5"), held("b", "accepted", "6"), held("c", "requested", "7")];
        assert_eq!(kinds(&there, &here), []);
        assert_eq!(compare(&there, &here).strangers, []);
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        let paid = || Progress::Succeeded;
        assert_eq!(kinds(&[], &[held("a", "settled", "5")]), [Difference::MissingThere]);
        assert_eq!(
            kinds(&[listed("a", "1", "6", paid())], &[held("a", "settled", "5")]),
            [Difference::Amount]
        );
        assert_eq!(
            kinds(&[listed("a", "1", "5", paid())], &[held("a", "failed", "5")]),
            [Difference::Status]
        );
        let twice = [listed("a", "1", "5", paid()), listed("a", "2", "5", paid())];
        assert_eq!(kinds(&twice, &[held("a", "settled", "5")]), [Difference::DuplicateThere]);
        assert_eq!(compare(&twice, &[]).strangers.len(), 2);
    }
}
