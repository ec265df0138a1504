//! The feed: who reads on from a cursor misses nothing, however late it was committed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use payfleet_core::TenantId;
use payfleet_core::kinds::notify::Transition;
use payfleet_process::spawn;
use payfleet_store::Store;
use payfleet_tests::servers;
use payfleet_tests::store::{claim, open, payout};
use sqlx::{Connection, PgConnection};

/// Reads on from `after` to the end, as the feed is now. Returns what came and the next cursor.
async fn read_on(store: &Store, after: i64) -> (Vec<Transition>, i64) {
    let (mut seen, mut next) = (Vec::new(), after);
    loop {
        let page = store.feed(&TenantId::default(), next, 7).await.unwrap();
        seen.extend(page.transitions);
        next = page.next;
        if !page.more {
            return (seen, next);
        }
    }
}

async fn give_all(store: &Store) {
    while store.give_positions(3).await.unwrap() > 0 {}
}

#[tokio::test]
async fn a_reader_that_is_ahead_still_gets_what_was_written_before_and_committed_later() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 4).unwrap();
    let late = payout("late");
    claim(&store, &late, "w").await;
    give_all(&store).await;
    let (began, cursor) = read_on(&store, 0).await;
    assert_eq!(began.len(), 1);

    // Writes first, and does not commit yet.
    let mut slow = PgConnection::connect(&url).await.unwrap();
    let mut transaction = slow.begin().await.unwrap();
    sqlx::query(
        "WITH numbered AS (
             UPDATE operations SET transitions = transitions + 1 WHERE id = $1 RETURNING transitions, tenant)
         INSERT INTO transitions (operation_id, sequence, tenant, from_state, to_state, state_data, trace)
         SELECT $1, transitions, tenant, 'requested', 'submitting', '{}', '{}' FROM numbered",
    )
    .bind(late.id().as_uuid())
    .execute(&mut *transaction)
    .await
    .unwrap();

    // Writes second, commits first, and is read.
    let quick = payout("quick");
    claim(&store, &quick, "w").await;
    give_all(&store).await;
    let (seen, cursor) = read_on(&store, cursor).await;
    assert_eq!(seen.iter().map(|one| one.operation_id).collect::<Vec<_>>(), [quick.id()]);

    transaction.commit().await.unwrap();
    give_all(&store).await;
    let (seen, cursor) = read_on(&store, cursor).await;
    assert_eq!(seen.iter().map(|one| (one.operation_id, one.sequence)).collect::<Vec<_>>(), [(late.id(), 2)]);
    assert!(read_on(&store, cursor).await.0.is_empty());
}

#[tokio::test]
async fn with_many_writers_and_several_who_give_places_a_reader_gets_each_event_once_and_in_order() {
    const WRITERS: usize = 6;
    const EACH: usize = 15;
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 12).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let givers: Vec<_> = (0..3)
        .map(|_| {
            let (store, done) = (store.clone(), done.clone());
            spawn("giver", async move {
                while !done.load(Ordering::Relaxed) {
                    store.give_positions(2).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let reader = {
        let (store, done) = (store.clone(), done.clone());
        spawn("reader", async move {
            let (mut seen, mut cursor) = (Vec::new(), 0);
            while !done.load(Ordering::Relaxed) {
                let (more, next) = read_on(&store, cursor).await;
                seen.extend(more);
                cursor = next;
            }
            (seen, cursor)
        })
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            spawn("writer", async move {
                for index in 0..EACH {
                    let mut claimed = claim(&store, &payout(&format!("{writer}-{index}")), "w").await;
                    open(&store, &mut claimed, "w").await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for giver in givers {
        giver.await.unwrap();
    }
    let (mut seen, cursor) = reader.await.unwrap();
    give_all(&store).await;
    seen.extend(read_on(&store, cursor).await.0);

    // requested and submitting, of each operation, in this order.
    assert_eq!(seen.len(), WRITERS * EACH * 2);
    let ids: BTreeSet<String> = seen.iter().map(Transition::id).collect();
    assert_eq!(ids.len(), seen.len());
    let mut begun = BTreeSet::new();
    for one in &seen {
        assert_eq!(begun.insert(one.operation_id), one.sequence == 1, "{one:?}");
    }
}

#[tokio::test]
async fn a_tenant_reads_its_own_events_only() {
    let store = payfleet_tests::store::store().await;
    let mut other = payout("k");
    other.tenant = "acme".to_owned().try_into().unwrap();
    claim(&store, &payout("k"), "w").await;
    claim(&store, &other, "w").await;
    give_all(&store).await;
    for tenant in [TenantId::default(), other.tenant.clone()] {
        let page = store.feed(&tenant, 0, 10).await.unwrap();
        assert_eq!(page.transitions.len(), 1);
        assert_eq!(page.transitions[0].operation_id == other.id(), tenant == other.tenant);
    }
}

#[tokio::test]
async fn a_transition_gets_its_place_once_and_is_never_changed() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    claim(&store, &payout("k"), "w").await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let untouchable =
        ["UPDATE transitions SET to_state = 'settled'", "UPDATE transitions SET position = 9, sequence = 7"];
    for change in untouchable {
        assert!(sqlx::query(change).execute(&mut connection).await.is_err(), "{change}");
    }
    give_all(&store).await;
    for change in ["UPDATE transitions SET position = 9", "DELETE FROM transitions"] {
        assert!(sqlx::query(change).execute(&mut connection).await.is_err(), "{change}");
    }
}
