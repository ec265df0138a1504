//! Every (state, event) pair, and every order of the events a provider can send.
#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::arithmetic_side_effects,
    reason = "tests count and filter"
)]

use std::collections::BTreeMap;

use super::*;
use crate::kinds::payout::Destination;
use crate::outcome::OutcomeClass;
use crate::provider::{CallOutcome, Finding, Progress, Report};

fn operation(state: State) -> Operation {
    let request = Request::Payout(crate::kinds::payout::Payout {
        money: Money::parse_positive("15.5", "USDT".parse().unwrap()).unwrap(),
        to: Destination::Crypto {
            network: Network::Tron,
            address: "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm".to_owned(),
        },
        reference: None,
        origin: crate::kinds::payout::Origin::Manual,
    });
    let tenant = TenantId::default();
    let id = OperationId::derive(&tenant, "/v1/payouts", "k");
    Operation { id, tenant, account: AccountId::default(), request, address: None, subject: None, state }
}

fn settled() -> State {
    State::Settled { provider_ref: "u1".to_owned(), tx_hash: None, moved: None, facts: BTreeMap::new() }
}

fn report(progress: Progress) -> Report {
    Report::of("u1", progress, "raw")
}

use crate::Money;
use crate::address::Network;

fn progresses() -> Vec<Progress> {
    let failed = Progress::Failed { reason: "cancelled there".to_owned() };
    vec![Progress::Pending, Progress::Succeeded, failed, Progress::Unknown]
}

fn states() -> Vec<State> {
    let provider_ref = "u1".to_owned();
    vec![
        State::Requested,
        State::Submitting { intent: 1 },
        State::Retrying { intent: 1 },
        State::InDoubt { intent: 1 },
        State::Accepted {
            provider_ref: provider_ref.clone(),
            tx_hash: None,
            facts: BTreeMap::new(),
            received: None,
        },
        State::Quarantined { provider_ref: provider_ref.clone(), difference: "amount".to_owned() },
        settled(),
        State::Returned { provider_ref, reason: "account_closed".to_owned() },
        State::Failed { reason: "refused".to_owned() },
    ]
}

fn outcomes() -> Vec<CallOutcome> {
    let classes = [
        OutcomeClass::Retryable,
        OutcomeClass::RateLimited { retry_after_ms: None },
        OutcomeClass::Terminal,
        OutcomeClass::Ambiguous,
    ];
    let failed = classes.map(|class| CallOutcome::Failed {
        class,
        code: "code".to_owned(),
        message: "message".to_owned(),
    });
    let accepted =
        progresses().into_iter().map(|progress| CallOutcome::Accepted { report: report(progress) });
    accepted.chain(failed).collect()
}

fn events() -> Vec<Event> {
    let mut events = vec![
        Event::IntentOpened { intent: 1 },
        Event::Refused { reason: "rule".to_owned() },
        Event::LeftOpen { intent: 1 },
        Event::Probed { intent: 1, finding: Finding::StillUnknown { reason: "timeout".to_owned() } },
    ];
    for outcome in outcomes() {
        events.push(Event::Called { intent: 1, outcome: outcome.clone() });
        events.push(Event::Evidence { intent: 1, outcome: outcome.clone(), decides: true });
        events.push(Event::Evidence { intent: 1, outcome: outcome.clone(), decides: false });
        events.push(Event::Evidence { intent: 2, outcome, decides: false });
    }
    for progress in progresses() {
        events
            .push(Event::Probed { intent: 1, finding: Finding::Found { report: report(progress.clone()) } });
        events.push(Event::Polled { report: report(progress.clone()) });
        events.push(Event::Hinted { report: report(progress) });
    }
    events
}

#[test]
fn no_event_leaves_a_final_state() {
    for state in states().into_iter().filter(State::is_final) {
        for event in events() {
            if let Ok(applied) = operation(state.clone()).apply(&event) {
                assert_eq!(applied.state, state, "{event:?}");
                assert_eq!(applied.outcome.movement, None, "{event:?}");
            }
        }
    }
}

#[test]
fn money_is_posted_exactly_when_the_state_becomes_settled() {
    for state in states() {
        for event in events() {
            let Ok(applied) = operation(state.clone()).apply(&event) else { continue };
            let settles =
                matches!(applied.state, State::Settled { .. }) && !matches!(state, State::Settled { .. });
            assert_eq!(applied.outcome.movement.is_some(), settles, "{state:?} {event:?}");
        }
    }
}

#[test]
fn a_webhook_alone_never_changes_a_state() {
    for state in states() {
        for progress in progresses() {
            let hint = Event::Hinted { report: report(progress) };
            assert_eq!(operation(state.clone()).apply(&hint).unwrap().state, state);
        }
    }
}

#[test]
fn unknown_never_becomes_failed() {
    for state in [State::Submitting { intent: 1 }, State::InDoubt { intent: 1 }] {
        for event in events() {
            let Ok(applied) = operation(state.clone()).apply(&event) else { continue };
            if !matches!(applied.state, State::Failed { .. }) {
                continue;
            }
            let documented = match &event {
                Event::Called { outcome, .. } | Event::Evidence { outcome, .. } => match outcome {
                    CallOutcome::Accepted { report } => matches!(report.progress, Progress::Failed { .. }),
                    CallOutcome::Failed { class, .. } => *class == OutcomeClass::Terminal,
                },
                Event::Probed { finding: Finding::Found { report }, .. } => {
                    matches!(report.progress, Progress::Failed { .. })
                }
                _ => false,
            };
            assert!(documented, "{state:?} failed by {event:?}");
        }
    }
}

#[test]
fn every_order_of_polls_and_hints_ends_settled_with_one_movement() {
    let events = [
        Event::Hinted { report: report(Progress::Pending) },
        Event::Hinted { report: report(Progress::Succeeded) },
        Event::Polled { report: report(Progress::Pending) },
        Event::Polled { report: report(Progress::Succeeded) },
        Event::Polled { report: report(Progress::Succeeded) },
    ];
    let accepted = State::Accepted {
        provider_ref: "u1".to_owned(),
        tx_hash: None,
        facts: BTreeMap::new(),
        received: None,
    };
    permutations(&mut (0..events.len()).collect(), 0, &mut |order| {
        let mut operation = operation(accepted.clone());
        let mut movements = 0;
        for &index in order {
            let applied = operation.apply(&events[index]).unwrap();
            movements += usize::from(applied.outcome.movement.is_some());
            operation.state = applied.state;
        }
        assert!(matches!(operation.state, State::Settled { .. }), "{order:?}");
        assert_eq!(movements, 1, "{order:?}");
    });
}

fn permutations(items: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == items.len() {
        visit(items);
    }
    for index in from..items.len() {
        items.swap(from, index);
        permutations(items, from + 1, visit);
        items.swap(from, index);
    }
}

#[test]
fn another_amount_network_or_destination_is_quarantined_not_settled() {
    let other = Money::parse_positive("15.51", "USDT".parse().unwrap()).unwrap();
    let differing = [
        Report { money: Some(other), ..report(Progress::Succeeded) },
        Report { network: Some("ETH".to_owned()), ..report(Progress::Succeeded) },
        Report { destination: Some("TXYZ".to_owned()), ..report(Progress::Succeeded) },
    ];
    for report in differing {
        let accepted = operation(State::Accepted {
            provider_ref: "u1".to_owned(),
            tx_hash: None,
            facts: BTreeMap::new(),
            received: None,
        });
        let applied = accepted.apply(&Event::Polled { report }).unwrap();
        assert!(matches!(applied.state, State::Quarantined { .. }));
        assert!(applied.outcome.discrepancy.is_some());
        assert_eq!(applied.outcome.movement, None);
    }
}

#[test]
fn refused_credentials_do_not_fail_the_operation() {
    let outcome = CallOutcome::Failed {
        class: OutcomeClass::Terminal,
        code: crate::provider::UNAUTHORIZED.to_owned(),
        message: "Invalid Sign.".to_owned(),
    };
    let submitting = operation(State::Submitting { intent: 1 });
    let applied = submitting.apply(&Event::Called { intent: 1, outcome }).unwrap();
    assert_eq!(applied.state, State::Retrying { intent: 1 });
}

#[test]
fn a_claimer_of_an_open_intent_resolves_it_before_anything_else() {
    let left_open = operation(State::Submitting { intent: 1 }).apply(&Event::LeftOpen { intent: 1 }).unwrap();
    assert_eq!(left_open.state, State::InDoubt { intent: 1 });
    assert!(matches!(operation(left_open.state).plan(), Plan::Resolve { intent: 1, .. }));
}

#[test]
fn a_late_refusal_of_an_older_attempt_decides_nothing() {
    for state in
        [State::Submitting { intent: 1 }, State::Retrying { intent: 1 }, State::InDoubt { intent: 1 }]
    {
        for outcome in outcomes() {
            let CallOutcome::Failed { .. } = outcome else { continue };
            let late = Event::Evidence { intent: 1, outcome, decides: false };
            assert_eq!(operation(state.clone()).apply(&late).unwrap().state, state, "{late:?}");
        }
    }
}

#[test]
fn a_late_refusal_decides_where_it_is_all_there_is_to_know() {
    let ends = |class, code: &str| {
        let (code, message) = (code.to_owned(), "no".to_owned());
        let outcome = CallOutcome::Failed { class, code, message };
        let late = Event::Evidence { intent: 1, outcome, decides: true };
        operation(State::InDoubt { intent: 1 }).apply(&late).unwrap().state
    };
    assert_eq!(ends(OutcomeClass::Terminal, "refused"), State::Failed { reason: "no".to_owned() });
    assert_eq!(ends(OutcomeClass::Retryable, "http_503"), State::Retrying { intent: 1 });
    let slow_down = OutcomeClass::RateLimited { retry_after_ms: None };
    assert_eq!(ends(slow_down, "http_429"), State::Retrying { intent: 1 });
    assert_eq!(ends(OutcomeClass::Ambiguous, "timeout"), State::InDoubt { intent: 1 });
}

#[test]
fn another_report_about_a_settled_payout_is_shown_to_a_person() {
    let settled = operation(settled());
    let elsewhere = Report { destination: Some("TXYZ".to_owned()), ..report(Progress::Succeeded) };
    let applied = settled.apply(&Event::Polled { report: elsewhere }).unwrap();
    assert!(applied.outcome.discrepancy.is_some());
}

#[test]
fn a_refusal_that_may_pass_closes_its_intent_and_the_next_one_is_opened() {
    let code = crate::provider::BALANCE_INSUFFICIENT.to_owned();
    let outcome = CallOutcome::Failed {
        class: OutcomeClass::Retryable,
        code: code.clone(),
        message: "not yet".to_owned(),
    };
    let finding = Finding::Refused { code, message: "not yet".to_owned() };
    for (state, event) in [
        (State::Submitting { intent: 1 }, Event::Called { intent: 1, outcome }),
        (State::InDoubt { intent: 1 }, Event::Probed { intent: 1, finding }),
    ] {
        let waiting = operation(operation(state).apply(&event).unwrap().state);
        assert_eq!(waiting.state, State::Retrying { intent: 2 });
        assert!(matches!(waiting.plan(), Plan::Again { intent: 2, .. }));
        // Not under the key whose answer is known.
        assert!(waiting.apply(&Event::IntentOpened { intent: 1 }).is_err());
        let opened = waiting.apply(&Event::IntentOpened { intent: 2 }).unwrap();
        assert_eq!(opened.state, State::Submitting { intent: 2 });
    }
}

#[test]
fn an_earlier_intent_that_was_taken_after_all_is_settled_or_shown_to_a_person() {
    let taken = CallOutcome::Accepted { report: report(Progress::Succeeded) };
    let late = Event::Evidence { intent: 1, outcome: taken, decides: false };
    let waiting = operation(State::Retrying { intent: 2 }).apply(&late).unwrap();
    assert!(matches!(waiting.state, State::Settled { .. }));
    for state in [State::Submitting { intent: 2 }, State::InDoubt { intent: 2 }] {
        let applied = operation(state.clone()).apply(&late).unwrap();
        assert_eq!(applied.state, state);
        assert!(applied.outcome.discrepancy.is_some() && applied.outcome.look_now);
    }
}

#[test]
fn what_only_the_client_may_have_is_in_no_record() {
    let facts = BTreeMap::from([
        ("client_secret".to_owned(), "canary".into()),
        ("payment_status".to_owned(), "succeeded".into()),
    ]);
    let told = Report { facts, ..report(Progress::Succeeded) };
    let event = Event::Called { intent: 1, outcome: CallOutcome::Accepted { report: told } };
    let state = operation(State::Submitting { intent: 1 }).apply(&event).unwrap().state;
    assert!(serde_json::to_string(&state).unwrap().contains("canary"));
    let recorded = operation(State::Submitting { intent: 1 }).apply(&event.for_the_record()).unwrap().state;
    for text in [serde_json::to_string(&event.for_the_record()), serde_json::to_string(&recorded)] {
        let text = text.unwrap();
        assert!(!text.contains("canary") && text.contains("succeeded"), "{text}");
    }
    assert_eq!(recorded, state.for_the_record());
}

/// A payment that is given up fails by that very change, whose own answer may still be looked for.
#[test]
fn what_a_change_is_about_is_known_also_after_it_has_failed() {
    use crate::kinds::collect::{Change, PaymentChange};
    let payment = OperationId::derive(&TenantId::default(), "/v1/payments", "k");
    let request = Request::PaymentChange(PaymentChange { payment, change: Change::Cancel });
    let subject = Some(Standing {
        kind: crate::kinds::OperationKind::Payment,
        tenant: TenantId::default(),
        state: State::Failed { reason: "canceled".to_owned() },
        provider_ref: Some("pi_1".to_owned()),
    });
    let change = Operation { request, subject, ..operation(State::InDoubt { intent: 1 }) };
    let Plan::Resolve { effect, .. } = change.plan() else { panic!("an open intent is resolved") };
    assert_eq!(effect.on.as_deref(), Some("pi_1"));
}
