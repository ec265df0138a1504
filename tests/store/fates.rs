//! A small database with one operation of each fate, in which nothing differs.

use std::collections::BTreeMap;

use payfleet_core::address::Network;
use payfleet_core::ids::RequestHash;
use payfleet_core::kinds::distribution::{Distribution, Holder, Payee, Splitter};
use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::kinds::order::Order;
use payfleet_core::kinds::payout::Destination;
use payfleet_core::kinds::payout_schedule::PayoutSchedule;
use payfleet_core::kinds::reconcile::{Difference, Found, Reconcile};
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::kinds::{NewOperation, OperationKind, Request};
use payfleet_core::provider::{CallOutcome, Progress, Provider, Report};
use payfleet_core::{AccountId, JobId, Money, OperationId, OutcomeClass, Timestamp};
use payfleet_store::{ComparedPage, Counts, Next, SeenDeposit, Store, WebhookStatus};
use payfleet_tests::servers::database;
use payfleet_tests::store::{ADDRESS, audit, claim, claim_again, job, mint, open, operation, payout};

/// One operation of each fate.
pub(crate) struct Fates {
    pub(crate) settled: OperationId,
    pub(crate) accepted: OperationId,
    pub(crate) doubt: OperationId,
    pub(crate) minted: OperationId,
    pub(crate) refused: OperationId,
    pub(crate) divided: OperationId,
    pub(crate) order: OperationId,
    pub(crate) schedule: OperationId,
}

impl Fates {
    pub(crate) fn fill(&self, text: &str) -> String {
        let names = [
            ("{settled}", self.settled),
            ("{accepted}", self.accepted),
            ("{doubt}", self.doubt),
            ("{minted}", self.minted),
            ("{refused}", self.refused),
            ("{divided}", self.divided),
            ("{order}", self.order),
            ("{schedule}", self.schedule),
        ];
        names.into_iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, &id.to_string()))
    }
}

/// A database with one operation of each fate, in which nothing differs.
pub(crate) async fn whole() -> (String, Fates) {
    let url = database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let fates = Fates {
        settled: called(&store, &payout("settled"), &accepted("u1", Progress::Succeeded)).await,
        accepted: called(&store, &payout("accepted"), &accepted("u2", Progress::Pending)).await,
        doubt: doubtful(&store, &payout("doubt")).await,
        minted: called(&store, &mint("minted", "bus-1", "40"), &accepted("m1", Progress::Succeeded)).await,
        refused: called(&store, &mint("refused", "bus-1", "20"), &refusal()).await,
        divided: divided(&store).await,
        order: paid_order(&store).await,
        schedule: scheduled(&store).await,
    };
    webhook(&store, fates.accepted).await;
    reconciliation(&store).await;
    assert_eq!(audit(&store).await, [], "nothing differs before the damage");
    store.close().await;
    (url, fates)
}

fn accepted(provider_ref: &str, progress: Progress) -> CallOutcome {
    CallOutcome::Accepted { report: report(provider_ref, progress) }
}

fn report(provider_ref: &str, progress: Progress) -> Report {
    Report {
        provider_ref: provider_ref.to_owned(),
        progress,
        raw_status: "raw".to_owned(),
        money: None,
        destination: None,
        network: None,
        tx_hash: None,
        fee: None,
        facts: BTreeMap::new(),
    }
}

fn refusal() -> CallOutcome {
    CallOutcome::Failed {
        class: OutcomeClass::Terminal,
        code: "http_422".to_owned(),
        message: "refused".to_owned(),
    }
}

/// An operation whose one call ended with `outcome`.
async fn called(store: &Store, new: &NewOperation, outcome: &CallOutcome) -> OperationId {
    let mut claimed = claim(store, new, "w").await;
    open(store, &mut claimed, "w").await;
    let next = |state: &State| if state.is_final() { Next::Never } else { Next::After { ms: 60_000 } };
    let event = Event::Called { intent: 1, outcome: outcome.clone() };
    let attempt = payfleet_store::Attempt {
        intent: 1,
        purpose: payfleet_store::Purpose::Call,
        class: "accepted".to_owned(),
        code: String::new(),
        message: String::new(),
        http_status: Some(200),
        request_id: None,
        duration_ms: 1,
    };
    store.record(&mut claimed, &job("w"), &event, Some(&attempt), &next).await.unwrap();
    new.id()
}

async fn doubtful(store: &Store, new: &NewOperation) -> OperationId {
    let mut claimed = claim(store, new, "dies").await;
    open(store, &mut claimed, "dies").await;
    claim_again(store, new.id(), "finds it").await;
    new.id()
}

async fn webhook(store: &Store, operation: OperationId) {
    let event = WebhookEvent {
        provider: Provider::Heleket,
        event_key: "event-1".to_owned(),
        body_base64: String::new(),
        received_at: Timestamp::from_unix_ms(1_790_000_000_000),
        secret: None,
    };
    let received = store.receive_webhook(&event, "payout", b"{}").await.unwrap();
    let hash = RequestHash::of(b"{}").to_hex();
    let hint = Event::Hinted { report: report("u2", Progress::Pending) };
    store.deliver(operation, &format!("webhook:event-1:{}", &hash[..16]), &hint).await.unwrap();
    store.mark_webhook(received.id, &WebhookStatus::Processed { operation }).await.unwrap();
    claim_again(store, operation, "w").await;
    assert_eq!(store.operation(operation).await.unwrap().unwrap().kind, OperationKind::Payout);
}

async fn reconciliation(store: &Store) {
    let reconcile = Reconcile {
        provider: Provider::Heleket,
        account: AccountId::default(),
        from: Timestamp::from_unix_ms(0),
        to: Timestamp::from_unix_ms(1),
    };
    let mut run = store.open_run(JobId::named("run", &[]), &reconcile).await.unwrap();
    let found = Found {
        difference: Difference::MissingHere,
        remedy: None,
        operation: None,
        provider_ref: Some("u9".to_owned()),
        theirs: None,
        ours: None,
    };
    let page = ComparedPage { listed: vec![None], found: vec![found], ..ComparedPage::default() };
    assert!(store.save_page(&mut run, &page, None).await.unwrap());
}

/// Two distributions of an asset: the second takes over what was too little to be paid in the first.
async fn divided(store: &Store) -> OperationId {
    let holder = |holder: &str, weight: u32| Holder {
        holder: holder.to_owned(),
        weight: weight.into(),
        to: Payee::Crypto { network: Network::Tron, address: ADDRESS.to_owned() },
    };
    let mut last = None;
    for period in ["2026-04", "2026-05"] {
        let by = Splitter::Us {
            holders: vec![holder("most", 9), holder("least", 1)],
            minimum: Some("1.5".parse().unwrap()),
            in_all: None,
        };
        let money = Money::parse_positive("10", "USDT".parse().unwrap()).unwrap();
        let (asset_id, period) = ("ev-1".to_owned(), period.to_owned());
        let request = Request::Distribution(Distribution { asset_id, period: period.clone(), money, by });
        let new = operation(&period, request);
        let mut claimed = claim(store, &new, "w").await;
        store.divide(&mut claimed, &job("w")).await.unwrap();
        last = Some(new.id());
    }
    last.unwrap()
}

/// A schedule that has paid what is owed.
async fn scheduled(store: &Store) -> OperationId {
    let asset = "USDT".parse().unwrap();
    let new = operation(
        "schedule",
        Request::PayoutSchedule(PayoutSchedule {
            asset,
            to: Destination::Crypto { network: Network::Tron, address: ADDRESS.to_owned() },
            cron: "0 8 * * MON".to_owned(),
            zone: "UTC".to_owned(),
            share: "100".to_owned().try_into().unwrap(),
            minimum: None,
            reference: None,
        }),
    );
    let mut claimed = claim(store, &new, "w").await;
    let next = Next::After { ms: 60_000 };
    let at = Timestamp::from_unix_ms;
    assert_eq!(store.tick(&mut claimed, &job("w"), at(1), &next).await.unwrap(), None, "it only begins");
    let event = Event::Owed { money: Money::parse_positive("8", asset).unwrap() };
    store.deliver(new.id(), "owed:1", &event).await.unwrap();
    let mut claimed = claim_again(store, new.id(), "w").await;
    assert!(store.tick(&mut claimed, &job("w"), at(2), &next).await.unwrap().is_some(), "it pays");
    new.id()
}

/// An order that one transfer has paid.
async fn paid_order(store: &Store) -> OperationId {
    let money = Money::parse_positive("7", "USDT".parse().unwrap()).unwrap();
    let order = Order { money, network: Network::Tron, lifetime_s: Order::LIFETIME_S, reference: None };
    let new = operation("order", Request::Order(order));
    let mut claimed = claim(store, &new, "w").await;
    store.allot(&mut claimed, Network::Tron, &|_| Ok(ADDRESS.to_owned())).await.unwrap();
    let seen = SeenDeposit {
        network: Network::Tron,
        transaction: "tx-1".to_owned(),
        place: String::new(),
        address_key: Network::Tron.key_of(ADDRESS),
        money,
        is_coin: false,
        block: Some(7),
    };
    store.see_deposit(new.id(), &seen).await.unwrap();
    let due = store.due_deposits(Network::Tron, 7, 1).await.unwrap();
    store.count_deposit(&due[0], &|_| Some(Counts { money, is_coin: false })).await.unwrap();
    claim_again(store, new.id(), "w").await;
    new.id()
}
