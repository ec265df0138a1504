//! How far receivers have been told: who may send, what is due, and what waits.

use payfleet_core::TenantId;
use payfleet_core::ids::ReceiverName;
use payfleet_core::kinds::notify::Notify;
use payfleet_store::{ClaimedNotification, NotificationClaim, NotificationEnd, Store};
use payfleet_tests::store::{claim, open, payout, store};

fn shop() -> ReceiverName {
    "shop".to_owned().try_into().unwrap()
}

async fn register(store: &Store, url: &str) {
    store.register_receiver(&shop(), &TenantId::default(), url).await.unwrap();
}

async fn due(store: &Store) -> Vec<Notify> {
    store.due_notifications(10).await.unwrap().into_iter().map(|one| one.notify).collect()
}

async fn take(store: &Store, notify: &Notify) -> ClaimedNotification {
    match store.claim_notification(notify, false).await.unwrap() {
        NotificationClaim::Claimed(claimed) => *claimed,
        other => panic!("not claimed: {other:?}"),
    }
}

#[tokio::test]
async fn a_notification_is_sent_by_one_and_a_late_word_about_an_older_attempt_changes_nothing() {
    let store = store().await;
    register(&store, "https://shop.example").await;
    claim(&store, &payout("k"), "w").await;
    let first = due(&store).await.remove(0);
    let slow = take(&store, &first).await;
    assert!(matches!(store.claim_notification(&first, false).await.unwrap(), NotificationClaim::Passed));
    assert!(due(&store).await.is_empty(), "it is being sent");

    // The slow one's time is up: the next version is sent, taken, and the slow one comes back.
    let quick = take(&store, &slow.notify).await;
    assert_eq!(quick.transition, slow.transition);
    assert_eq!(store.end_notification(&quick, &NotificationEnd::Taken, "HTTP 204").await.unwrap(), None);
    let late = store.end_notification(&slow, &NotificationEnd::Again { ms: 0 }, "no answer").await.unwrap();
    assert_eq!(late, None);
    assert!(due(&store).await.is_empty());
}

#[tokio::test]
async fn what_happens_while_an_event_is_being_sent_is_sent_next() {
    let store = store().await;
    register(&store, "https://shop.example").await;
    let mut operation = claim(&store, &payout("k"), "w").await;
    let sending = take(&store, &due(&store).await.remove(0)).await;
    open(&store, &mut operation, "w").await;
    let (next, delay) =
        store.end_notification(&sending, &NotificationEnd::Taken, "HTTP 204").await.unwrap().unwrap();
    assert_eq!(delay, 0);
    assert_eq!(due(&store).await, std::slice::from_ref(&next));
    assert_eq!(take(&store, &next).await.transition.sequence, 2);
}

#[tokio::test]
async fn a_receiver_is_told_of_what_happens_after_it_was_made_known() {
    let store = store().await;
    let mut operation = claim(&store, &payout("k"), "w").await;
    assert!(due(&store).await.is_empty());
    register(&store, "https://shop.example").await;
    assert!(due(&store).await.is_empty());
    open(&store, &mut operation, "w").await;
    assert_eq!(take(&store, &due(&store).await.remove(0)).await.transition.to, "submitting");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_asked_nothing_until_it_has_another_url_and_then_told_all() {
    let store = store().await;
    register(&store, "https://shop.example").await;
    let mut operation = claim(&store, &payout("k"), "w").await;
    let sending = take(&store, &due(&store).await.remove(0)).await;
    assert_eq!(store.end_notification(&sending, &NotificationEnd::Gone, "HTTP 410").await.unwrap(), None);
    open(&store, &mut operation, "w").await;
    register(&store, "https://shop.example").await;
    assert!(due(&store).await.is_empty());
    let waiting = Notify { version: sending.notify.version + 1, ..sending.notify };
    assert!(matches!(store.claim_notification(&waiting, false).await.unwrap(), NotificationClaim::Disabled));
    register(&store, "https://moved.example").await;
    assert_eq!(due(&store).await, std::slice::from_ref(&waiting));
    assert_eq!(take(&store, &waiting).await.transition.sequence, 1);
}

#[tokio::test]
async fn what_was_given_up_and_has_no_dead_letter_of_its_own_is_found() {
    let store = store().await;
    register(&store, "https://shop.example").await;
    claim(&store, &payout("k"), "w").await;
    let first = due(&store).await.remove(0);
    assert!(store.untold_in_silence(None, 10).await.unwrap().rows.is_empty());
    let sending = take(&store, &first).await;
    store.end_notification(&sending, &NotificationEnd::GivenUp, "HTTP 500").await.unwrap();
    let page = store.untold_in_silence(None, 10).await.unwrap();
    let (found, tenant) = &page.rows[0];
    assert_eq!((found.version, tenant), (first.version + 2, &TenantId::default()));
    assert!(store.untold_in_silence(page.next.as_ref(), 10).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn what_was_given_up_wakes_for_nothing_but_a_redrive_and_begins_anew_then() {
    let store = store().await;
    register(&store, "https://shop.example").await;
    let mut operation = claim(&store, &payout("k"), "w").await;
    let first = due(&store).await.remove(0);
    let sending = take(&store, &first).await;
    store.end_notification(&sending, &NotificationEnd::GivenUp, "HTTP 500").await.unwrap();
    open(&store, &mut operation, "w").await;
    assert!(due(&store).await.is_empty());
    // Its worker may have died before the job did, and Redis may have lost both.
    let parked = Notify { version: sending.notify.version + 1, ..first.clone() };
    for again in [&first, &parked] {
        match store.claim_notification(again, false).await.unwrap() {
            NotificationClaim::Parked { reason } => assert_eq!(reason, "HTTP 500"),
            other => panic!("nobody would tell a person: {other:?}"),
        }
    }
    match store.claim_notification(&first, true).await.unwrap() {
        NotificationClaim::Claimed(claimed) => {
            assert_eq!((claimed.transition.sequence, claimed.failed), (1, 0));
        }
        other => panic!("not claimed: {other:?}"),
    }
}
