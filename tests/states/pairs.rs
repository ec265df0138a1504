//! Every (state, event) pair with what `apply` makes of it: the data behind a page.

use std::collections::{BTreeMap, BTreeSet};

use payfleet_core::Money;
use payfleet_core::address::Network;
use payfleet_core::ids::{AccountId, OperationId, TenantId};
use payfleet_core::kinds::account::{Account, AccountLink};
use payfleet_core::kinds::collect::{
    Capture, Change, Customer, MethodChange, Payment, PaymentChange, PaymentMethod, Refund,
};
use payfleet_core::kinds::distribution::{Distribution, Splitter};
use payfleet_core::kinds::lifecycle::{Operation, Outcome, Plan, State};
use payfleet_core::kinds::mint::{AssetMetadata, AssetType, Percent, Share};
use payfleet_core::kinds::order::Order;
use payfleet_core::kinds::payout::{Destination, Origin, Payout, Speed};
use payfleet_core::kinds::payout_schedule::PayoutSchedule;
use payfleet_core::kinds::telemetry::Telemetry;
use payfleet_core::kinds::transfer::Transfer;
use payfleet_core::kinds::wallet::Wallet;
use payfleet_core::kinds::{OperationKind, Request, Standing};

use crate::events::{self, Case, OPEN, PROVIDER_REF, When};

/// What an event does in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It cannot happen there.
    Illegal,
    /// It can.
    Legal {
        /// The state afterwards; none when it stays.
        to: Option<&'static str>,
        /// What is written beside it, in words.
        also: Vec<&'static str>,
    },
}

/// One state, one case of one event.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The state before.
    pub(crate) state: &'static str,
    /// The event's name.
    pub(crate) event: &'static str,
    /// Which case of that event.
    pub(crate) when: When,
    /// What it does.
    pub(crate) step: Step,
}

/// The states that `kind` can come into, in the order of a payment's life.
pub(crate) fn states_of(kind: OperationKind) -> Vec<State> {
    let edges = edges(&all(kind));
    let mut reached = BTreeSet::from([State::Requested.name()]);
    while let Some((_, to)) = edges.keys().find(|(from, to)| reached.contains(from) && !reached.contains(to))
    {
        reached.insert(to);
    }
    states().into_iter().filter(|state| reached.contains(state.name())).collect()
}

/// Every state there is. The match stops compiling when one is added.
pub(crate) fn states() -> Vec<State> {
    let provider_ref = || PROVIDER_REF.to_owned();
    let after = |state: &State| match state {
        State::Requested => Some(State::Submitting { intent: OPEN }),
        State::Submitting { .. } => Some(State::Retrying { intent: OPEN }),
        State::Retrying { .. } => Some(State::InDoubt { intent: OPEN }),
        State::InDoubt { .. } => Some(State::Accepted {
            provider_ref: provider_ref(),
            tx_hash: None,
            facts: BTreeMap::new(),
            received: None,
        }),
        State::Accepted { .. } => {
            Some(State::Quarantined { provider_ref: provider_ref(), difference: "amount".to_owned() })
        }
        State::Quarantined { .. } => Some(State::Settled {
            provider_ref: provider_ref(),
            tx_hash: None,
            moved: None,
            facts: BTreeMap::new(),
        }),
        State::Settled { .. } => {
            Some(State::Returned { provider_ref: provider_ref(), reason: "account_closed".to_owned() })
        }
        State::Returned { .. } => Some(State::Failed { reason: "refused".to_owned() }),
        State::Failed { .. } => None,
    };
    std::iter::successors(Some(State::Requested), after).collect()
}

/// What the executor does in `state`, in words.
pub(crate) fn plan(kind: OperationKind, state: &State) -> &'static str {
    match operation(kind, state.clone()).plan() {
        Plan::Open { .. } => "save a new intent, then call the provider",
        Plan::Again { .. } => "call again under the same intent and key",
        Plan::Resolve { .. } => "find out what became of the open intent, before anything else",
        Plan::Confirm => "ask the provider until it says something final",
        Plan::Divide => "turn it into payouts, one a holder",
        Plan::Gather => "see whether all its payouts have ended",
        Plan::Tick => "pay what is owed if a moment has come, and wait for the next",
        Plan::Allot => "derive an address for it",
        Plan::Await { .. } => "wait for what comes in, until its time is over",
        Plan::Wait { .. } => "wait until what it builds on has come far enough",
        Plan::Refuse { .. } => "our own rules forbid it: fail",
        Plan::Park { .. } => "park: only a person can go on",
        Plan::Rest => "nothing is left to do",
    }
}

/// Every pair of `kind`.
pub(crate) fn all(kind: OperationKind) -> Vec<Pair> {
    let cases = events::all(kind);
    let of_state =
        |state: State| -> Vec<Pair> { cases.iter().map(|case| pair(kind, &state, case)).collect() };
    states().into_iter().flat_map(of_state).collect()
}

/// From one state to another, by the names of the events that do it.
pub(crate) fn edges(pairs: &[Pair]) -> BTreeMap<(&'static str, &'static str), Vec<&'static str>> {
    let mut edges: BTreeMap<_, Vec<&'static str>> = BTreeMap::new();
    for pair in pairs {
        let Step::Legal { to: Some(to), .. } = &pair.step else { continue };
        let events = edges.entry((pair.state, *to)).or_default();
        if !events.contains(&pair.event) {
            events.push(pair.event);
        }
    }
    edges
}

fn pair(kind: OperationKind, state: &State, case: &Case) -> Pair {
    let step = match operation(kind, state.clone()).apply(&case.event) {
        Err(_) => Step::Illegal,
        Ok(applied) => Step::Legal {
            to: (applied.state.name() != state.name()).then(|| applied.state.name()),
            also: also(&applied.outcome),
        },
    };
    Pair { state: state.name(), event: case.event.name(), when: case.when.clone(), step }
}

fn also(outcome: &Outcome) -> Vec<&'static str> {
    let Outcome { movement, discrepancy, releases_reservation, look_now } = outcome;
    [
        (movement.is_some(), "posts a movement"),
        (discrepancy.is_some(), "records a discrepancy"),
        (*releases_reservation, "releases the reservation"),
        (*look_now, "looks at the provider now"),
    ]
    .into_iter()
    .filter_map(|(happens, words)| happens.then_some(words))
    .collect()
}

pub(crate) fn operation(kind: OperationKind, state: State) -> Operation {
    let tenant = TenantId::default();
    let id = OperationId::derive(&tenant, kind.endpoint(), "key");
    let request = request(kind);
    let subject = request.subject().map(|subject| Standing {
        kind: subject.kind,
        tenant: tenant.clone(),
        state: State::Settled {
            provider_ref: "subject-1".to_owned(),
            tx_hash: None,
            moved: request.money(),
            facts: BTreeMap::new(),
        },
        provider_ref: Some("subject-1".to_owned()),
    });
    Operation { id, tenant, account: AccountId::default(), request, address: None, subject, state }
}

/// What every operation here builds on.
fn subject() -> OperationId {
    OperationId::derive(&TenantId::default(), "/v1/subjects", "key")
}

fn request(kind: OperationKind) -> Request {
    let money = Money::parse_positive("15.5", "USDT".parse().unwrap()).unwrap();
    match kind {
        OperationKind::Payout => Request::Payout(Payout {
            money,
            to: Destination::Bank { account: subject(), speed: Speed::Standard },
            reference: None,
            origin: Origin::Manual,
        }),
        OperationKind::PayoutSchedule => Request::PayoutSchedule(PayoutSchedule {
            asset: money.asset(),
            to: Destination::Bank { account: subject(), speed: Speed::Standard },
            cron: "0 8 * * MON".to_owned(),
            zone: "UTC".to_owned(),
            share: Percent::try_from("100".to_owned()).unwrap(),
            minimum: None,
            reference: None,
        }),
        OperationKind::Distribution => Request::Distribution(Distribution {
            asset_id: "asset".to_owned(),
            period: "2026-05".to_owned(),
            money,
            by: Splitter::Us { holders: Vec::new(), minimum: None, in_all: Some(2) },
        }),
        OperationKind::Order => Request::Order(Order {
            money,
            network: Network::Tron,
            lifetime_s: Order::LIFETIME_S,
            reference: None,
        }),
        OperationKind::Transfer => {
            Request::Transfer(Transfer { money, account: subject(), group: None, origin: Origin::Manual })
        }
        OperationKind::Wallet => Request::Wallet(Wallet {
            email: "investor@example.test".to_owned(),
            name: "name".to_owned(),
            kyc_verified: true,
        }),
        OperationKind::Telemetry => Request::Telemetry(Telemetry { readings: Vec::new() }),
        OperationKind::Account => {
            Request::Account(Account { country: "US".to_owned(), email: "owner@example.test".to_owned() })
        }
        OperationKind::AccountLink => Request::AccountLink(AccountLink {
            account: subject(),
            refresh_url: "https://example.test/refresh".to_owned(),
            return_url: "https://example.test/return".to_owned(),
        }),
        OperationKind::Customer => {
            Request::Customer(Customer { email: "payer@example.test".to_owned(), name: None })
        }
        OperationKind::PaymentMethod => Request::PaymentMethod(PaymentMethod {
            customer: subject(),
            payment_method: "pm_1".to_owned(),
            change: MethodChange::Attach,
        }),
        OperationKind::Payment => Request::Payment(Payment {
            money,
            customer: None,
            payment_method: None,
            capture: Capture::Automatic,
            description: None,
        }),
        OperationKind::PaymentChange => {
            Request::PaymentChange(PaymentChange { payment: subject(), change: Change::Cancel })
        }
        OperationKind::Refund => Request::Refund(Refund { payment: subject(), money, reason: None }),
        OperationKind::Mint => Request::Mint(Share {
            asset_id: "asset".to_owned(),
            asset_type: AssetType::Battery,
            metadata: AssetMetadata {
                name: "name".to_owned(),
                model: "model".to_owned(),
                purchase_date: "2025-01-01".to_owned(),
                purchase_price: "1".to_owned(),
                lifespan_years: 1,
            },
            wallet: "wallet".to_owned(),
            percent: Percent::try_from("10".to_owned()).unwrap(),
            invested: money,
        }),
    }
}
