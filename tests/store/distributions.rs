//! Dividing a revenue: all of it or nothing, once.

use payfleet_core::address::Network;
use payfleet_core::kinds::distribution::{Distribution, Holder, Payee, Splitter};
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::{NewOperation, Request};
use payfleet_core::{AccountId, Money, OperationId, TenantId};
use payfleet_store::{Divided, StoreError};
use payfleet_tests::store::{ADDRESS, audit, claim, claim_again, job, store};
use rust_decimal::Decimal;

fn revenue(key: &str, period: &str, amount: &str, holders: usize) -> NewOperation {
    let holder = |number: usize| Holder {
        holder: format!("investor-{number}"),
        weight: Decimal::from(number % 97 + 1),
        to: Payee::Crypto { network: Network::Tron, address: ADDRESS.to_owned() },
    };
    let by = Splitter::Us { holders: (0..holders).map(holder).collect(), minimum: None, in_all: None };
    NewOperation {
        tenant: TenantId::default(),
        idempotency_key: key.to_owned(),
        account: AccountId::default(),
        request: Request::Distribution(Distribution {
            asset_id: "ev-1".to_owned(),
            period: period.to_owned(),
            money: Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap(),
            by,
        }),
    }
}

fn made(divided: Divided) -> Vec<OperationId> {
    match divided {
        Divided::Into(made) => made,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ten_thousand_holders_get_exactly_the_whole_in_one_transaction() {
    let store = store().await;
    let new = revenue("d", "2026-05", "123456.789012", 10_000);
    let mut claimed = claim(&store, &new, "a").await;
    let payouts = made(store.divide(&mut claimed, &job("a")).await.unwrap());
    assert_eq!(payouts.len(), 10_000);
    let mut sum = Decimal::ZERO;
    for id in payouts {
        let payout = store.operation(id).await.unwrap().unwrap();
        sum += payout.request.money().unwrap().amount();
    }
    assert_eq!(sum, "123456.789012".parse().unwrap());
    let gathered = store.gather(new.id()).await.unwrap();
    assert_eq!((gathered.live, gathered.settled, gathered.failed), (10_000, 0, 0));
    assert_eq!(audit(&store).await, []);
}

#[tokio::test]
async fn a_cancellation_that_comes_between_the_claim_and_the_division_pays_nobody() {
    let store = store().await;
    let new = revenue("d", "2026-05", "10", 3);
    let mut claimed = claim(&store, &new, "a").await;
    let cancelled = Event::Cancelled { by: "client".to_owned() };
    store.deliver(new.id(), "wish:1", &cancelled).await.unwrap();
    let refused = store.divide(&mut claimed, &job("a")).await;
    assert!(matches!(refused, Err(StoreError::EventsWait { .. })), "{refused:?}");
    assert_eq!(claim_again(&store, new.id(), "b").await.operation.state.name(), "failed");
    assert_eq!(store.gather(new.id()).await.unwrap().live, 0);
    assert_eq!(audit(&store).await, []);
}

#[tokio::test]
async fn who_has_lost_the_claim_divides_nothing() {
    let store = store().await;
    let new = revenue("d", "2026-05", "10", 3);
    let mut first = claim(&store, &new, "a").await;
    let mut second = claim_again(&store, new.id(), "b").await;
    let lost = store.divide(&mut first, &job("a")).await.unwrap_err();
    assert!(matches!(lost, StoreError::LostRace { .. }));
    assert_eq!(made(store.divide(&mut second, &job("b")).await.unwrap()).len(), 3);
    // Whoever comes later finds it done.
    assert_eq!(claim_again(&store, new.id(), "c").await.operation.state.name(), "accepted");
}

#[tokio::test]
async fn two_distributions_of_one_period_at_the_same_moment_pay_each_holder_once() {
    let store = store().await;
    let (one, other) = (revenue("one", "2026-05", "10", 50), revenue("other", "2026-05", "20", 50));
    let (mut first, mut second) = (claim(&store, &one, "a").await, claim(&store, &other, "b").await);
    let (a, b) = (job("a"), job("b"));
    let (first, second) = tokio::join!(store.divide(&mut first, &a), store.divide(&mut second, &b));
    let refused = [first.unwrap(), second.unwrap()]
        .into_iter()
        .filter(|divided| matches!(divided, Divided::Refused { .. }))
        .count();
    assert_eq!(refused, 1);
}
