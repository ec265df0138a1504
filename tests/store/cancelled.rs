//! A client's word that it is not wanted any more: what it ends, and that nothing is sent once it is there.

use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::outcome::OutcomeClass;
use payfleet_core::provider::CallOutcome;
use payfleet_store::{Next, Opened, Store, StoreError};
use payfleet_tests::servers::database;
use payfleet_tests::store::{audit, claim, claim_again, intent, job, mint, open, payout, store};
use sqlx::{Connection, PgConnection};

fn cancelled() -> Event {
    Event::Cancelled { by: "client".to_owned() }
}

fn soon(_: &State) -> Next {
    Next::After { ms: 0 }
}

fn is_cancelled(state: &State) -> bool {
    *state == State::Failed { reason: "cancelled".to_owned() }
}

#[tokio::test]
async fn what_comes_between_the_claim_and_the_intent_is_heard_before_anything_is_sent() {
    let store = store().await;
    let new = mint("k", "bus-1", "5");
    let mut claimed = claim(&store, &new, "w").await;
    store.deliver(new.id(), "wish:1", &cancelled()).await.unwrap();
    let intent = intent(&claimed);
    let refused = store.open_intent(&mut claimed, &intent, &job("w")).await;
    assert!(matches!(refused, Err(StoreError::EventsWait { .. })), "{refused:?}");
    let next = claim_again(&store, new.id(), "w").await;
    assert!(is_cancelled(&next.operation.state) && next.intent.is_none(), "{next:?}");
    assert_eq!(audit(&store).await, []);
}

/// The event is committed while the intent waits for the row's lock: its writer's first look was too early.
#[tokio::test]
async fn what_is_committed_while_the_intent_waits_for_its_turn_is_heard_too() {
    let url = database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let new = payout("k");
    let mut claimed = claim(&store, &new, "w").await;
    let mut client = PgConnection::connect(&url).await.unwrap();
    let mut wish = client.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM operations FOR UPDATE").execute(&mut *wish).await.unwrap();
    let inbox = "INSERT INTO inbox (operation_id, event_key, event) VALUES ($1, 'wish:1', $2)";
    let event = serde_json::to_value(cancelled()).unwrap();
    sqlx::query(inbox).bind(new.id().as_uuid()).bind(event).execute(&mut *wish).await.unwrap();
    let intent = intent(&claimed);
    let (job, mut looking) = (job("w"), PgConnection::connect(&url).await.unwrap());
    let waits = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut looking).await.unwrap() == 0 {}
        wish.commit().await.unwrap();
    };
    let (refused, ()) = tokio::join!(store.open_intent(&mut claimed, &intent, &job), waits);
    assert!(matches!(refused, Err(StoreError::EventsWait { .. })), "{refused:?}");
    let view = store.operation(new.id()).await.unwrap().unwrap();
    assert_eq!(view.state, State::Requested);
}

#[tokio::test]
async fn what_is_tried_again_and_has_had_no_effect_ends_and_gives_its_share_back() {
    let store = store().await;
    let new = mint("first", "bus-1", "60");
    let mut claimed = claim(&store, &new, "w").await;
    open(&store, &mut claimed, "w").await;
    let outcome = CallOutcome::Failed {
        class: OutcomeClass::Retryable,
        code: "http_503".to_owned(),
        message: "not now".to_owned(),
    };
    store.record(&mut claimed, &job("w"), &Event::Called { intent: 1, outcome }, None, &soon).await.unwrap();
    let mut other = claim(&store, &mint("second", "bus-1", "60"), "w").await;
    assert_eq!(open(&store, &mut other, "w").await, Opened::TooLittleLeft { left: 40.into() });

    store.deliver(new.id(), "wish:1", &cancelled()).await.unwrap();
    let ended = claim_again(&store, new.id(), "w").await;
    assert!(is_cancelled(&ended.operation.state) && ended.intent.is_none(), "{ended:?}");
    assert_eq!(open(&store, &mut other, "w").await, Opened::Open, "what it held is free");
    assert_eq!(audit(&store).await, []);
}

#[tokio::test]
async fn what_may_have_happened_is_not_ended_by_a_wish() {
    let store = store().await;
    let new = mint("k", "bus-1", "5");
    let mut claimed = claim(&store, &new, "w").await;
    open(&store, &mut claimed, "w").await;
    store.deliver(new.id(), "wish:1", &cancelled()).await.unwrap();
    let next = claim_again(&store, new.id(), "w").await;
    assert_eq!(next.operation.state, State::InDoubt { intent: 1 });
}
