//! The shares of one asset never pass 100 %.

use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::outcome::OutcomeClass;
use payfleet_core::provider::CallOutcome;
use payfleet_process::spawn;
use payfleet_store::{Next, Opened, Store};
use payfleet_tests::store::{claim, job, mint, open, store};

async fn mint_of(store: &Store, key: &str, percent: &str) -> Opened {
    let mut claimed = claim(store, &mint(key, "bus-1", percent), key).await;
    open(store, &mut claimed, key).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_concurrent_mints_never_promise_more_than_all_of_an_asset() {
    let store = store().await;
    let mints: Vec<_> = (0..50)
        .map(|index| {
            let store = store.clone();
            spawn("mint", async move { mint_of(&store, &format!("mint-{index}"), "7").await })
        })
        .collect();
    let mut opened = 0;
    for mint in mints {
        opened += usize::from(mint.await.unwrap() == Opened::Open);
    }
    assert_eq!(opened, 14, "14 x 7 % = 98 %; a fifteenth would pass 100 %");
}

#[tokio::test]
async fn a_refused_mint_gives_its_share_back() {
    let store = store().await;
    let mut claimed = claim(&store, &mint("a", "bus-1", "60"), "w").await;
    assert_eq!(open(&store, &mut claimed, "w").await, Opened::Open);
    assert_eq!(mint_of(&store, "b", "60").await, Opened::TooLittleLeft { left: 40.into() });

    let outcome = CallOutcome::Failed {
        class: OutcomeClass::Terminal,
        code: "http_422".to_owned(),
        message: "refused".to_owned(),
    };
    let never = |_: &State| Next::Never;
    let event = Event::Called { intent: 1, outcome };
    store.record(&mut claimed, &job("w"), &event, None, &never).await.unwrap();
    assert!(matches!(claimed.operation.state, State::Failed { .. }));
    assert_eq!(mint_of(&store, "c", "60").await, Opened::Open);
}
