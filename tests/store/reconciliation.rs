//! Reconciliation runs: every page is written once, whoever writes it.

use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, JobId, Timestamp};
use payfleet_store::{ComparedPage, Step};
use payfleet_tests::store::store;
use serde_json::json;

#[tokio::test]
async fn a_page_of_a_run_that_another_worker_has_gone_on_with_is_refused_whole() {
    let store = store().await;
    let reconcile = Reconcile {
        provider: Provider::Heleket,
        account: AccountId::default(),
        from: Timestamp::from_unix_ms(0),
        to: Timestamp::from_unix_ms(60_000),
    };
    let open = async || store.open_run(JobId::named("run", &[]), &reconcile).await.unwrap();
    let (mut first, mut second) = (open().await, open().await);
    assert_eq!(first.id, second.id);
    let page =
        ComparedPage { seen: vec![("a".to_owned(), None)], listed: vec![None], ..ComparedPage::default() };
    let next = Some((Step::Theirs, Some(json!("behind a"))));
    assert!(store.save_page(&mut first, &page, next).await.unwrap());
    assert!(!store.save_page(&mut second, &page, None).await.unwrap());
    let mut third = open().await;
    assert_eq!((third.step, &third.cursor, third.is_over), (Step::Theirs, &Some(json!("behind a")), false));
    let met = store.met_before(&third, &["a".to_owned(), "b".to_owned()], &[]).await.unwrap();
    assert_eq!(met.into_keys().collect::<Vec<_>>(), ["a"]);
    assert!(store.save_page(&mut third, &page, None).await.unwrap());
    assert!(!store.save_page(&mut first, &page, None).await.unwrap());
    let run = store.runs(1).await.unwrap().remove(0);
    assert_eq!((run.listed, run.held, run.differences, run.finished), (Some(2), Some(0), Some(0), true));
    assert!(open().await.is_over);
    assert_eq!(store.met_before(&third, &["a".to_owned()], &[]).await.unwrap().len(), 0);
}
