//! What is overdue, and in which order it is found.

use payfleet_core::OperationId;
use payfleet_store::{OverduePlace, Store};
use payfleet_tests::servers;
use payfleet_tests::store::{claim, payout};
use sqlx::{Connection, PgConnection};

#[tokio::test]
async fn the_overdue_are_gone_through_to_their_end_and_then_from_the_beginning() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut expected = Vec::new();
    // Two of them at the very same moment: a thousandth of a thousandth of a second tells them apart from the others.
    for (key, late) in
        [("a", "5.000003"), ("b", "5.000002"), ("c", "5.000002"), ("d", "5.000001"), ("e", "1")]
    {
        let new = payout(key);
        claim(&store, &new, "w").await;
        let due = "UPDATE operations SET next_wake_at = '2026-01-01'::timestamptz - make_interval(secs => $2::float8)
                   WHERE id = $1";
        let late: f64 = late.parse().unwrap();
        sqlx::query(due).bind(new.id().as_uuid()).bind(late).execute(&mut connection).await.unwrap();
        expected.push(new.id());
    }
    if expected[1].as_uuid() > expected[2].as_uuid() {
        expected.swap(1, 2);
    }
    let mut place = OverduePlace::default();
    let mut looks: Vec<Vec<OperationId>> = Vec::new();
    for _ in 0..4 {
        let found = store.overdue(0, 2, &mut place).await.unwrap();
        looks.push(found.iter().map(|one| one.operation.id).collect());
    }
    assert_eq!(looks, [&expected[..2], &expected[2..4], &expected[4..], &expected[..2]]);
}
