//! Deposits, until their chain has made them final.

use payfleet_core::address::Network;
use payfleet_core::provider::Provider;
use payfleet_core::{Money, OperationId};
use payfleet_store::{Counts, SeenDeposit, Standing, Store, WaitingDeposit};
use payfleet_tests::servers;
use payfleet_tests::store::{claim, order};
use sqlx::{Connection, PgConnection};

fn deposit(block: Option<u64>) -> SeenDeposit {
    SeenDeposit {
        network: Network::Tron,
        transaction: "t1".to_owned(),
        place: String::new(),
        address_key: "address".to_owned(),
        money: Money::parse_positive("10", "TRX".parse().unwrap()).unwrap(),
        is_coin: true,
        block,
    }
}

async fn placed(store: &Store) -> OperationId {
    claim(store, &order("k"), "w").await;
    order("k").id()
}

#[tokio::test]
async fn a_deposit_that_was_gone_and_is_seen_again_is_waited_for_as_if_it_were_new() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let id = placed(&store).await;
    store.see_deposit(id, &deposit(None)).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let older = "UPDATE deposits SET seen_at = seen_at - interval '25 hours'";
    sqlx::query(older).execute(&mut connection).await.unwrap();
    store.see_deposit(id, &deposit(Some(6))).await.unwrap();
    let known_ms = |due: Vec<payfleet_store::WaitingDeposit>| due.iter().map(|one| one.known_ms).max();
    let waits = known_ms(store.due_deposits(Network::Tron, 6, 10).await.unwrap());
    assert!(waits.unwrap() > 24 * 3_600_000, "the same deposit, told again, is no newer: {waits:?}");

    store.mark_deposit(&deposit(None), Standing::Gone).await.unwrap();
    assert_eq!(store.networks_waiting().await.unwrap(), []);
    store.see_deposit(id, &deposit(Some(7))).await.unwrap();
    let due = store.due_deposits(Network::Tron, 7, 10).await.unwrap();
    assert_eq!(due.iter().map(|one| one.seen.block).collect::<Vec<_>>(), [Some(7)]);
    assert!(known_ms(due).unwrap() < 3_600_000, "else it would be gone at once");
    assert!(store.has_waiting_deposits(id).await.unwrap());
}

#[tokio::test]
async fn a_deposit_that_was_final_stays_final_however_often_it_is_told() {
    let store = payfleet_tests::store::store().await;
    let id = placed(&store).await;
    store.see_deposit(id, &deposit(Some(6))).await.unwrap();
    let due = store.due_deposits(Network::Tron, 6, 10).await.unwrap();
    assert!(count(&store, &due[0]).await);
    assert!(!count(&store, &due[0]).await, "once");
    store.see_deposit(id, &deposit(Some(7))).await.unwrap();
    assert_eq!(store.networks_waiting().await.unwrap(), []);
    assert!(!store.has_waiting_deposits(id).await.unwrap());
}

/// As the chain shows it: 10 TRX in all, less what counts already.
async fn count(store: &Store, deposit: &WaitingDeposit) -> bool {
    let judge = |beside: &[Money]| {
        beside.is_empty().then_some(Counts { money: deposit.seen.money, is_coin: deposit.seen.is_coin })
    };
    store.count_deposit(deposit, &judge).await.unwrap().is_some()
}

/// Both are asked about before either is counted.
#[tokio::test]
async fn looks_that_meet_count_one_transfer_under_two_names_once() {
    let store = payfleet_tests::store::store().await;
    let id = placed(&store).await;
    let other = SeenDeposit { place: "7".to_owned(), ..deposit(Some(6)) };
    store.see_deposit(id, &deposit(Some(6))).await.unwrap();
    store.see_deposit(id, &other).await.unwrap();
    let due = store.due_deposits(Network::Tron, 6, 10).await.unwrap();
    let [one, two] = due.as_slice() else { panic!("{due:?}") };
    let counted =
        futures::join!(count(&store, one), count(&store, two), count(&store, one), count(&store, two));
    let counted = [counted.0, counted.1, counted.2, counted.3].into_iter().filter(|counted| *counted);
    assert_eq!(counted.count(), 1);
    assert_eq!(store.networks_waiting().await.unwrap(), []);
    assert_eq!(store.discrepancies(None, 10).await.unwrap().len(), 1, "the other is shown to a person");
}

#[tokio::test]
async fn two_looks_that_say_the_same_make_one_discrepancy_until_it_is_resolved() {
    let store = payfleet_tests::store::store().await;
    let tell = async |about: &str| {
        store
            .note_webhook(Provider::Tatum, "deposit_gone", Some(about), "the chain does not know it")
            .await
            .unwrap();
    };
    futures::join!(tell("t1"), tell("t1"), tell("t1"), tell("t2"));
    let open = async || store.discrepancies(None, 10).await.unwrap();
    let mut about: Vec<_> = open().await.into_iter().filter_map(|one| one.provider_ref).collect();
    about.sort();
    assert_eq!(about, ["t1", "t2"]);
    let first = open().await.into_iter().find(|one| one.provider_ref.as_deref() == Some("t1")).unwrap();
    assert!(store.resolve_discrepancy(first.id, "on-call", "looked into").await.unwrap());
    tell("t1").await;
    tell("t1").await;
    assert_eq!(open().await.len(), 2, "what comes again after it was resolved is news");
}
