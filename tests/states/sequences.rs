//! Events in sequence: whatever comes in whatever order, an operation ends the same, money is posted
//! once, and the ledger balances.

use std::collections::{BTreeMap, BTreeSet};

use payfleet_core::Money;
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::{Event, Operation, Outcome, State};
use payfleet_core::provider::{CallOutcome, Progress, Report};
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::events::{self, OPEN, PROVIDER_REF};
use crate::pairs;

/// What a provider says of an operation of `kind` that goes as it was asked.
fn report(progress: Progress) -> Report {
    Report::of(PROVIDER_REF, progress, "raw")
}

fn hinted(progress: Progress) -> Event {
    Event::Hinted { report: report(progress) }
}

fn polled(progress: Progress) -> Event {
    Event::Polled { report: report(progress) }
}

fn called(progress: Progress) -> Event {
    Event::Called { intent: OPEN, outcome: CallOutcome::Accepted { report: report(progress) } }
}

fn late_answer(progress: Progress) -> Event {
    let outcome = CallOutcome::Accepted { report: report(progress) };
    Event::Evidence { intent: OPEN, outcome, decides: false }
}

fn deposited(transaction: usize, amount: &str) -> Event {
    let money = Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap();
    Event::Deposited { transaction: format!("tx-{transaction}"), money }
}

fn failed() -> Progress {
    Progress::Failed { reason: "cancelled there".to_owned() }
}

/// How an operation ends by `events`, and what that writes. An event that cannot happen changes nothing.
fn play<'a>(mut operation: Operation, events: impl IntoIterator<Item = &'a Event>) -> (State, Vec<Outcome>) {
    let mut outcomes = Vec::new();
    for event in events {
        if let Ok(applied) = operation.apply(event) {
            operation.state = applied.state;
            outcomes.push(applied.outcome);
        }
    }
    (operation.state, outcomes)
}

fn permutations(length: usize) -> Vec<Vec<usize>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let mut longer = Vec::new();
    for order in permutations(length - 1) {
        for place in 0..length {
            longer.push([&order[..place], &[length - 1], &order[place..]].concat());
        }
    }
    longer
}

/// The balance of every account after `outcomes`, by account and unit. A movement that does not sum to
/// zero, or comes twice, is refused as Postgres refuses it.
fn ledger(outcomes: &[Outcome]) -> BTreeMap<(String, String), Decimal> {
    let mut balances: BTreeMap<(String, String), Decimal> = BTreeMap::new();
    let mut posted = BTreeSet::new();
    for movement in outcomes.iter().filter_map(|outcome| outcome.movement.as_ref()) {
        assert!(posted.insert(movement.event().to_owned()), "{} is posted twice", movement.event());
        let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
        for posting in movement.postings() {
            *sums.entry(&posting.unit).or_default() += posting.amount;
            *balances.entry((posting.account.clone(), posting.unit.clone())).or_default() += posting.amount;
        }
        assert!(sums.values().all(Decimal::is_zero), "{movement:?}");
    }
    balances.retain(|_, balance| !balance.is_zero());
    balances
}

fn accepted() -> State {
    pairs::states().into_iter().find(|state| matches!(state, State::Accepted { .. })).unwrap()
}

/// Kinds that a provider's words move on once it has accepted them.
fn told_by_a_provider() -> impl Iterator<Item = OperationKind> {
    OperationKind::ALL.into_iter().filter(|kind| *kind != OperationKind::Order)
}

/// `events` in every order from `start`: the one end, which the first order shows.
fn assert_one_end(kind: OperationKind, start: &State, events: &[Event]) -> (State, Vec<Outcome>) {
    let first = play(pairs::operation(kind, start.clone()), events);
    let money = ledger(&first.1);
    for order in permutations(events.len()) {
        let (end, outcomes) =
            play(pairs::operation(kind, start.clone()), order.iter().map(|at| &events[*at]));
        assert_eq!(end.name(), first.0.name(), "{kind:?}: {order:?} of {events:?}");
        assert_eq!(end.moved(), first.0.moved(), "{kind:?}: {order:?} of {events:?}");
        assert_eq!(ledger(&outcomes), money, "{kind:?}: {order:?} of {events:?}");
    }
    first
}

#[test]
fn every_order_of_six_words_of_a_provider_that_succeeds_ends_settled_and_posted_once() {
    let pending = || Progress::Pending;
    let words = [
        hinted(pending()),
        hinted(Progress::Succeeded),
        polled(pending()),
        polled(Progress::Succeeded),
        polled(Progress::Succeeded),
        late_answer(pending()),
    ];
    for kind in told_by_a_provider() {
        let (end, outcomes) = assert_one_end(kind, &accepted(), &words);
        assert_eq!(end.name(), "settled", "{kind:?}");
        assert!(outcomes.iter().all(|outcome| outcome.discrepancy.is_none()), "{kind:?}: {outcomes:?}");
    }
}

#[test]
fn every_order_of_six_words_of_a_provider_that_fails_ends_failed_and_posted_never() {
    let words = [
        hinted(Progress::Pending),
        hinted(failed()),
        polled(Progress::Pending),
        polled(failed()),
        polled(failed()),
        hinted(failed()),
    ];
    for kind in told_by_a_provider() {
        let (end, outcomes) = assert_one_end(kind, &accepted(), &words);
        assert_eq!(end.name(), "failed", "{kind:?}");
        assert_eq!(ledger(&outcomes), BTreeMap::new(), "{kind:?}");
    }
}

#[test]
fn webhooks_before_during_and_after_our_own_call_change_nothing_about_its_end() {
    let own = [Event::IntentOpened { intent: OPEN }, called(Progress::Pending), polled(Progress::Succeeded)];
    let hints = [hinted(Progress::Pending), hinted(Progress::Succeeded), hinted(failed())];
    for kind in told_by_a_provider() {
        let (alone, outcomes) = play(pairs::operation(kind, State::Requested), &own);
        let money = ledger(&outcomes);
        for order in permutations(own.len() + hints.len()) {
            // What is our own comes in its order.
            let mut ours = own.iter();
            let events = order.iter().map(|at| match at.checked_sub(own.len()) {
                Some(hint) => &hints[hint],
                None => ours.next().unwrap(),
            });
            let (end, outcomes) = play(pairs::operation(kind, State::Requested), events);
            assert_eq!(end, alone, "{kind:?}: {order:?}");
            assert_eq!(ledger(&outcomes), money, "{kind:?}: {order:?}");
        }
    }
}

/// A webhook that contradicts what a poll said wins nothing: it is looked into, or a person sees it.
#[test]
fn a_contradictory_webhook_after_the_end_changes_no_state_and_is_not_forgotten() {
    for kind in told_by_a_provider() {
        for (word, against) in [(Progress::Succeeded, failed()), (failed(), Progress::Succeeded)] {
            let (end, _) = play(pairs::operation(kind, accepted()), &[polled(word)]);
            let after = pairs::operation(kind, end.clone()).apply(&hinted(against)).unwrap();
            assert_eq!(after.state, end, "{kind:?}");
            assert_eq!(after.outcome.movement, None, "{kind:?}");
            assert!(after.outcome.look_now || after.outcome.discrepancy.is_some(), "{kind:?} {end:?}");
        }
    }
}

#[test]
fn deposits_in_every_order_settle_an_order_with_all_that_came_in() {
    let deposits: Vec<Event> = (0..6).map(|number| deposited(number, "4")).collect();
    let (end, outcomes) = assert_one_end(OperationKind::Order, &accepted(), &deposits);
    assert_eq!((end.name(), end.moved().unwrap().to_string()), ("settled", "24 USDT".to_owned()));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.movement.is_some()).count(), 6);
}

/// When the time is over, or the client gives up, is part of what happened; what came in is not.
#[test]
fn what_was_deposited_is_posted_whenever_an_order_ends() {
    let events = [
        deposited(1, "4"),
        deposited(2, "15.5"),
        deposited(3, "1"),
        Event::Expired,
        Event::Cancelled { by: "client".to_owned() },
        Event::ConfirmedByHand {
            author: "operator".to_owned(),
            reason: "paid elsewhere".to_owned(),
            provider_ref: None,
        },
    ];
    let (_, outcomes) = play(pairs::operation(OperationKind::Order, accepted()), &events);
    let money = ledger(&outcomes);
    assert_eq!(money.values().copied().max(), Some("20.5".parse().unwrap()));
    for order in permutations(events.len()) {
        let (end, outcomes) =
            play(pairs::operation(OperationKind::Order, accepted()), order.iter().map(|at| &events[*at]));
        assert!(end.is_final(), "{order:?} ends as {end:?}");
        assert_eq!(ledger(&outcomes), money, "{order:?}");
    }
}

proptest! {
    /// Up to forty events of any kind, also of those that cannot happen: the ledger balances, nothing is
    /// posted twice, and what is posted is what the state says.
    #[test]
    fn the_ledger_balances_after_any_sequence_and_says_what_the_state_says(
        kind in proptest::sample::select(OperationKind::ALL.to_vec()),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let cases = events::all(kind);
        let events: Vec<Event> = places.iter().enumerate().map(|(number, place)| {
            let mut event = place.get(&cases).event.clone();
            // The inbox takes each transaction once.
            if let Event::Deposited { transaction, .. } = &mut event {
                *transaction = format!("tx-{number}");
            }
            event
        }).collect();
        let mut operation = pairs::operation(kind, State::Requested);
        let mut outcomes = Vec::new();
        for event in &events {
            let Ok(applied) = operation.apply(event) else { continue };
            let (from, to) = (operation.state.name(), applied.state.name());
            let stays = !operation.state.is_final() || from == to;
            prop_assert!(stays || to == "returned" || (from, to) == ("failed", "settled"), "{} to {}", from, to);
            operation.state = applied.state;
            outcomes.push(applied.outcome);
        }
        let money = ledger(&outcomes);
        if kind != OperationKind::Order && operation.state.name() != "settled" {
            prop_assert_eq!(money, BTreeMap::new(), "{:?}", operation.state);
        }
    }
}
