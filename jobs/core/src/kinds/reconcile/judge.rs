//! What an entry of the provider's and the operations it names come to.
//!
//! A remedy makes a worker look for itself, or hands it the answer to a call of ours that it never got:
//! the entry that bears the key of that call.

use super::{Difference, Found, Held, Listed, Remedy, Side};
use crate::kinds::OperationKind;
use crate::provider::{Progress, Report};

/// How `entry` differs from the operations that it names. `seen_as_another` says of an operation whether
/// this run has met it under another id of the provider's.
#[must_use]
pub fn judge(entry: &Listed, ours: &[Held], seen_as_another: impl Fn(&Held) -> bool) -> Vec<Found> {
    if ours.is_empty() {
        return vec![Found {
            difference: Difference::MissingHere,
            remedy: None,
            operation: None,
            provider_ref: Some(entry.report.provider_ref.clone()),
            theirs: Some(Side::theirs(&entry.report)),
            ours: None,
        }];
    }
    ours.iter().flat_map(|held| compare(&entry.report, held, seen_as_another(held))).collect()
}

fn compare(report: &Report, held: &Held, seen_as_another: bool) -> Vec<Found> {
    let found = |difference, remedy, note: Option<String>| Found {
        difference,
        remedy,
        operation: Some(held.operation),
        provider_ref: Some(report.provider_ref.clone()),
        theirs: Some(Side { note, ..Side::theirs(report) }),
        ours: Some(Side::ours(held)),
    };
    let is_another =
        held.provider_ref.as_deref().map_or(seen_as_another, |known| known != report.provider_ref);
    if is_another {
        let known = held.provider_ref.as_ref().map(|known| format!("ours is {known}"));
        return vec![found(Difference::DuplicateThere, None, known)];
    }
    let mut all = Vec::new();
    if let Some(difference) = held.request.difference(report) {
        let is_money = report.money.zip(held.request.money()).is_some_and(|(there, here)| there != here);
        let kind = if is_money { Difference::Amount } else { Difference::Status };
        all.push(found(kind, None, Some(difference)));
    }
    match status(report, held) {
        Standing::Agrees => {}
        Standing::Contradicts => all.push(found(Difference::Status, None, None)),
        Standing::Heals(remedy) => all.push(found(Difference::Status, Some(remedy), None)),
    }
    all
}

enum Standing {
    Agrees,
    Contradicts,
    Heals(Remedy),
}

fn status(report: &Report, held: &Held) -> Standing {
    let is_failed = matches!(report.progress, Progress::Failed { .. });
    match (held.state.as_str(), &report.progress) {
        (_, Progress::Unknown) => Standing::Contradicts,
        // Its call may be under way; whoever makes it, or finds it left open, resolves it.
        ("submitting" | "requested", _) => Standing::Agrees,
        ("in_doubt" | "retrying", _) => Standing::Heals(Remedy::Adopted),
        ("accepted", Progress::Succeeded | Progress::Failed { .. }) => Standing::Heals(Remedy::Asked),
        ("settled", _) if is_failed && held.request.may_return() => Standing::Heals(Remedy::Asked),
        ("settled", _) if is_failed => Standing::Contradicts,
        ("failed" | "returned", Progress::Succeeded) => Standing::Contradicts,
        // A payment that was refused rests where its payer could try again; nothing moves by itself.
        ("failed", Progress::Pending) if held.request.kind() == OperationKind::Payment => Standing::Agrees,
        ("failed" | "returned", Progress::Pending) => Standing::Contradicts,
        // A quarantined one is in front of a person already.
        _ => Standing::Agrees,
    }
}

/// One of ours that the provider neither lists nor answers to.
#[must_use]
pub fn missing_there(held: &Held) -> Found {
    Found {
        difference: Difference::MissingThere,
        remedy: None,
        operation: Some(held.operation),
        provider_ref: held.provider_ref.clone(),
        theirs: None,
        ours: Some(Side::ours(held)),
    }
}

/// One of ours that has not moved for too long: woken once, then a person's.
#[must_use]
pub fn stuck(held: &Held, was_woken: bool) -> Found {
    let remedy = (!was_woken).then_some(Remedy::Woken);
    let note = if was_woken { "it was woken and has not moved" } else { "it has not moved for too long" };
    let ours = Side::ours(held).noted(note);
    Found { difference: Difference::Stuck, remedy, ours: Some(ours), ..missing_there(held) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Money;
    use crate::address::Network;
    use crate::ids::{OperationId, TenantId};
    use crate::kinds::Request;
    use crate::kinds::payout::{Destination, Origin, Payout, Speed};

    fn usdt(amount: &str) -> Money {
        Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap()
    }

    fn listed(id: &str, amount: &str, progress: Progress) -> Listed {
        let report = Report { money: Some(usdt(amount)), ..Report::of(id, progress, "raw") };
        Listed { our_reference: Some("ours".to_owned()), at: None, report }
    }

    fn held(state: &str, provider_ref: Option<&str>) -> Held {
        let to = Destination::Crypto { network: Network::Tron, address: "T1".to_owned() };
        Held {
            operation: OperationId::derive(&TenantId::default(), "/v1/payouts", "a"),
            intent: 1,
            reference: "ours".to_owned(),
            provider_ref: provider_ref.map(str::to_owned),
            state: state.to_owned(),
            request: Request::Payout(Payout {
                money: usdt("5"),
                to,
                reference: None,
                origin: Origin::Manual,
            }),
        }
    }

    fn bank(held: Held) -> Held {
        let to = Destination::Bank { account: held.operation, speed: Speed::Standard };
        Held {
            request: Request::Payout(Payout {
                money: usdt("5"),
                to,
                reference: None,
                origin: Origin::Manual,
            }),
            ..held
        }
    }

    fn verdicts(entry: &Listed, ours: &[Held], again: bool) -> Vec<(Difference, Option<Remedy>)> {
        judge(entry, ours, |_| again).iter().map(|found| (found.difference, found.remedy)).collect()
    }

    fn paid() -> Progress {
        Progress::Succeeded
    }

    fn failed() -> Progress {
        Progress::Failed { reason: "raw".to_owned() }
    }

    #[test]
    fn records_that_agree_differ_in_nothing() {
        for (progress, state) in [
            (paid(), "settled"),
            (Progress::Pending, "accepted"),
            (failed(), "failed"),
            (failed(), "returned"),
            (Progress::Pending, "submitting"),
            (paid(), "quarantined"),
        ] {
            assert_eq!(
                verdicts(&listed("1", "5", progress), &[held(state, Some("1"))], false),
                [],
                "{state}"
            );
        }
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        let settled = || held("settled", Some("1"));
        assert_eq!(verdicts(&listed("1", "5", paid()), &[], false), [(Difference::MissingHere, None)]);
        assert_eq!(verdicts(&listed("1", "6", paid()), &[settled()], false), [(Difference::Amount, None)]);
        assert_eq!(verdicts(&listed("1", "5", failed()), &[settled()], false), [(Difference::Status, None)]);
        let duplicate = [(Difference::DuplicateThere, None)];
        assert_eq!(verdicts(&listed("2", "5", paid()), &[settled()], false), duplicate);
        assert_eq!(verdicts(&listed("2", "5", paid()), &[held("in_doubt", None)], true), duplicate);
        let unknown = listed("1", "5", Progress::Unknown);
        assert_eq!(verdicts(&unknown, &[held("accepted", Some("1"))], false), [(Difference::Status, None)]);
    }

    #[test]
    fn what_is_safe_heals_and_the_rest_is_for_a_person() {
        let healed = |remedy| vec![(Difference::Status, Some(remedy))];
        for state in ["in_doubt", "retrying"] {
            let ours = [held(state, None)];
            assert_eq!(verdicts(&listed("1", "5", paid()), &ours, false), healed(Remedy::Adopted), "{state}");
        }
        let accepted = [held("accepted", Some("1"))];
        assert_eq!(verdicts(&listed("1", "5", paid()), &accepted, false), healed(Remedy::Asked));
        let at_bank = [bank(held("settled", Some("1")))];
        assert_eq!(verdicts(&listed("1", "5", failed()), &at_bank, false), healed(Remedy::Asked));
        let gone = [held("failed", Some("1"))];
        assert_eq!(verdicts(&listed("1", "5", paid()), &gone, false), [(Difference::Status, None)]);
        let stuck_once = stuck(&held("accepted", Some("1")), false);
        assert_eq!((stuck_once.difference, stuck_once.remedy), (Difference::Stuck, Some(Remedy::Woken)));
        assert_eq!(stuck(&held("accepted", Some("1")), true).remedy, None);
    }

    #[test]
    fn both_records_stand_side_by_side() {
        let found = judge(&listed("1", "6", paid()), &[held("settled", Some("1"))], |_| false).remove(0);
        assert_eq!(
            found.detail(),
            "there: 1 raw of 6 USDT (asked for 5 USDT, the provider says 6 USDT); here: ours settled of 5 USDT"
        );
        assert_eq!(
            missing_there(&held("settled", None)).detail(),
            "there: nothing; here: ours settled of 5 USDT"
        );
    }
}
