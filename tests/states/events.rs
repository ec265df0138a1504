//! Every event there is, in every case that `apply` tells apart: whose intent it speaks of, and what
//! the provider says.

use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::outcome::OutcomeClass;
use payfleet_core::provider::{BALANCE_INSUFFICIENT, CallOutcome, Finding, Progress, Report, UNAUTHORIZED};
use payfleet_core::{Money, Timestamp};

/// The intent that is open in the states that have one.
pub(crate) const OPEN: i32 = 1;
const ANOTHER: i32 = 2;

/// The provider's id in the states that have one.
pub(crate) const PROVIDER_REF: &str = "ref-1";

/// The events in the order of a payment's life.
pub(crate) const NAMES: [&str; 18] = [
    "intent_opened",
    "refused",
    "called",
    "left_open",
    "evidence",
    "probed",
    "polled",
    "hinted",
    "holders_added",
    "divided",
    "gathered",
    "deposited",
    "expired",
    "cancelled",
    "confirmed_by_hand",
    "denied_by_hand",
    "owed",
    "ticked",
];

/// Which of the events of one name it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct When {
    /// What it says, in words; empty where it says nothing but its name.
    pub(crate) what: &'static str,
    /// It speaks of an intent that is not the open one.
    pub(crate) another_intent: bool,
}

/// An event, and which one of its name.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The event.
    pub(crate) event: Event,
    /// What tells it from the others of its name.
    pub(crate) when: When,
}

fn case(event: Event, what: &'static str) -> Case {
    Case { event, when: When { what, another_intent: false } }
}

/// Every case of every event.
pub(crate) fn all(kind: OperationKind) -> Vec<Case> {
    NAMES.into_iter().flat_map(|name| cases(name, kind)).collect()
}

fn cases(name: &str, kind: OperationKind) -> Vec<Case> {
    match name {
        "intent_opened" => of_intents(&[("", ())], |intent, ()| Event::IntentOpened { intent }),
        "refused" => vec![case(Event::Refused { reason: "our own rule".to_owned() }, "")],
        "called" => of_intents(&outcomes(kind), |intent, outcome| Event::Called { intent, outcome }),
        "left_open" => of_intents(&[("", ())], |intent, ()| Event::LeftOpen { intent }),
        "evidence" => {
            let late = |decides| move |intent, outcome| Event::Evidence { intent, outcome, decides };
            let mut cases = of_intents(&outcomes(kind), late(false));
            cases.extend(of_intents(&last_words(), late(true)));
            cases
        }
        "probed" => of_intents(&findings(kind), |intent, finding| Event::Probed { intent, finding }),
        "polled" => of_report(kind, |report| Event::Polled { report }),
        "holders_added" => vec![case(Event::HoldersAdded { holders: Vec::new(), count: 0 }, "")],
        "divided" => vec![case(Event::Divided { parts: 2, paid: 2 }, "")],
        "gathered" => vec![
            case(gathered(2, 0), "all were paid"),
            case(gathered(1, 1), "one was paid, one failed"),
            case(gathered(0, 2), "none was paid"),
        ],
        "deposited" => vec![
            case(deposited("1"), "less than is missing"),
            case(deposited("15.5"), "what is asked"),
            case(deposited("20"), "more than is asked"),
        ],
        "expired" => vec![case(Event::Expired, "")],
        "cancelled" => vec![case(Event::Cancelled { by: "client".to_owned() }, "")],
        "confirmed_by_hand" => {
            let (author, reason) = ("operator".to_owned(), "seen on the provider's page".to_owned());
            let provider_ref = Some(PROVIDER_REF.to_owned());
            vec![case(Event::ConfirmedByHand { author, reason, provider_ref }, "")]
        }
        "denied_by_hand" => {
            let (author, reason) = ("operator".to_owned(), "the provider's support says so".to_owned());
            vec![case(Event::DeniedByHand { author, reason }, "")]
        }
        "owed" => vec![case(Event::Owed { money: usdt("7") }, "")],
        "ticked" => {
            let ticked = |paid| Event::Ticked { at: Timestamp::from_unix_ms(1_790_000_000_000), paid };
            vec![case(ticked(None), "it begins"), case(ticked(Some(usdt("7"))), "it has paid")]
        }
        "hinted" => of_report(kind, |report| Event::Hinted { report }),
        _ => panic!("no event is called {name}"),
    }
}

/// Stops compiling when an event is added, which `NAMES` and `cases` must then learn.
const _: fn(&Event) = |event| match event {
    Event::IntentOpened { .. }
    | Event::Refused { .. }
    | Event::Called { .. }
    | Event::LeftOpen { .. }
    | Event::Evidence { .. }
    | Event::Probed { .. }
    | Event::Polled { .. }
    | Event::Hinted { .. }
    | Event::Divided { .. }
    | Event::Gathered { .. }
    | Event::Deposited { .. }
    | Event::Expired
    | Event::Cancelled { .. }
    | Event::Owed { .. }
    | Event::Ticked { .. }
    | Event::ConfirmedByHand { .. }
    | Event::DeniedByHand { .. }
    | Event::HoldersAdded { .. } => (),
};

fn usdt(amount: &str) -> Money {
    Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap()
}

fn deposited(amount: &str) -> Event {
    Event::Deposited { transaction: "tx-1".to_owned(), money: usdt(amount) }
}

fn gathered(settled: u32, failed: u32) -> Event {
    let moved = Money::new(settled.into(), "USDT".parse().unwrap()).unwrap();
    Event::Gathered { moved, settled, failed }
}

/// `event` with each of `tellings`, of the open intent and of another.
fn of_intents<T: Clone>(tellings: &[(&'static str, T)], event: impl Fn(i32, T) -> Event) -> Vec<Case> {
    let of = |intent: i32| tellings.iter().map(move |(what, telling)| (intent, *what, telling.clone()));
    let case_of = |(intent, what, telling)| Case {
        event: event(intent, telling),
        when: When { what, another_intent: intent == ANOTHER },
    };
    of(OPEN).chain(of(ANOTHER)).map(case_of).collect()
}

/// How a call can end.
fn outcomes(kind: OperationKind) -> Vec<(&'static str, CallOutcome)> {
    let accepted = reports(kind).into_iter().map(|(what, report)| (what, CallOutcome::Accepted { report }));
    let failures = [
        failed("error: retryable", OutcomeClass::Retryable, "code"),
        failed("error: refused for now", OutcomeClass::Retryable, BALANCE_INSUFFICIENT),
        failed("error: rate limited", OutcomeClass::RateLimited { retry_after_ms: None }, "code"),
        failed("error: terminal", OutcomeClass::Terminal, "code"),
        failed("error: credentials refused", OutcomeClass::Terminal, UNAUTHORIZED),
        failed("error: ambiguous", OutcomeClass::Ambiguous, "code"),
    ];
    accepted.chain(failures).collect()
}

/// How a call can end without a yes, whose intent was not sent again and is never sent to find out.
fn last_words() -> [(&'static str, CallOutcome); 5] {
    [
        failed("last word: retryable", OutcomeClass::Retryable, "code"),
        failed("last word: rate limited", OutcomeClass::RateLimited { retry_after_ms: None }, "code"),
        failed("last word: terminal", OutcomeClass::Terminal, "code"),
        failed("last word: credentials refused", OutcomeClass::Terminal, UNAUTHORIZED),
        failed("last word: ambiguous", OutcomeClass::Ambiguous, "code"),
    ]
}

fn failed(what: &'static str, class: OutcomeClass, code: &str) -> (&'static str, CallOutcome) {
    let message = "the provider's words".to_owned();
    (what, CallOutcome::Failed { class, code: code.to_owned(), message })
}

/// What a probe can find.
fn findings(kind: OperationKind) -> Vec<(&'static str, Finding)> {
    let mut findings: Vec<(&'static str, Finding)> =
        reports(kind).into_iter().map(|(what, report)| (what, Finding::Found { report })).collect();
    let refused = |code: &str| Finding::Refused { code: code.to_owned(), message: "no".to_owned() };
    findings.push(("refused", refused("code")));
    findings.push(("refused for now", refused(BALANCE_INSUFFICIENT)));
    findings.push(("still unknown", Finding::StillUnknown { reason: "timeout".to_owned() }));
    findings
}

fn of_report(kind: OperationKind, event: impl Fn(Report) -> Event) -> Vec<Case> {
    reports(kind).into_iter().map(|(what, report)| case(event(report), what)).collect()
}

/// What a provider can say. What differs from what was asked depends on what a kind compares: both
/// compare where it went or how much it was.
fn reports(kind: OperationKind) -> Vec<(&'static str, Report)> {
    let failed = Progress::Failed { reason: "cancelled there".to_owned() };
    let differs = match kind {
        OperationKind::Payout => "another amount, network or address than asked",
        OperationKind::Transfer | OperationKind::Refund => "another amount than asked",
        OperationKind::Payment => "another amount than asked, or more of it",
        OperationKind::Mint => "another wallet than asked",
        OperationKind::Distribution => "another amount than asked",
        OperationKind::Wallet
        | OperationKind::PayoutSchedule
        | OperationKind::Order
        | OperationKind::Telemetry
        | OperationKind::Account
        | OperationKind::AccountLink
        | OperationKind::Customer
        | OperationKind::PaymentMethod
        | OperationKind::PaymentChange => "another amount or destination, which is not compared",
    };
    let elsewhere = Report {
        destination: Some("elsewhere".to_owned()),
        money: Some(Money::parse_positive("99999", "USDT".parse().unwrap()).unwrap()),
        ..report(Progress::Succeeded)
    };
    let unrelated = Report { provider_ref: "ref-2".to_owned(), ..report(Progress::Succeeded) };
    vec![
        ("pending", report(Progress::Pending)),
        ("succeeded", report(Progress::Succeeded)),
        ("failed", report(failed)),
        ("unknown status", report(Progress::Unknown)),
        (differs, elsewhere),
        ("succeeded under another provider id", unrelated),
    ]
}

fn report(progress: Progress) -> Report {
    Report::of(PROVIDER_REF, progress, "raw")
}
