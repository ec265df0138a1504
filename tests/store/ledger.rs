//! What Postgres itself refuses, whatever a program tries.

use payfleet_store::Store;
use payfleet_tests::servers::database;
use payfleet_tests::store::{claim, payout};
use sqlx::{Connection, Executor, PgConnection};

async fn with_movement() -> (PgConnection, String) {
    let url = database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let id = claim(&store, &payout("k"), "w").await.operation.id;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let insert = format!("INSERT INTO movements (operation_id, event) VALUES ('{id}', 'settled')");
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(insert))).await.unwrap();
    (connection, id.to_string())
}

async fn refused(connection: &mut PgConnection, sql: &str) -> String {
    let error = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.unwrap_err();
    error.to_string()
}

const LINE: &str = "INSERT INTO postings (movement_id, line, account, unit, amount) VALUES";

#[tokio::test]
async fn an_unbalanced_movement_cannot_be_committed() {
    let (mut connection, _) = with_movement().await;
    let one_sided = format!("BEGIN; {LINE} (1, 1, 'a', 'USDT', 5); COMMIT");
    assert!(refused(&mut connection, &one_sided).await.contains("does not balance"));
    let across_units = format!("BEGIN; {LINE} (1, 1, 'a', 'USDT', 5), (1, 2, 'b', 'TRX', -5); COMMIT");
    connection.execute("ROLLBACK").await.unwrap();
    assert!(refused(&mut connection, &across_units).await.contains("does not balance"));
}

#[tokio::test]
async fn the_ledger_and_the_history_are_append_only() {
    let (mut connection, _) = with_movement().await;
    for sql in ["UPDATE movements SET event = 'x'", "DELETE FROM movements", "TRUNCATE movements CASCADE"] {
        assert!(refused(&mut connection, sql).await.contains("append-only"), "{sql}");
    }
    let history = "INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
        VALUES (gen_random_uuid(), 1, 0, 'a', 'b', '{}', gen_random_uuid(), 'w')";
    connection.execute(history).await.unwrap();
    assert!(refused(&mut connection, "DELETE FROM operation_history").await.contains("append-only"));
}

#[tokio::test]
async fn a_movement_exists_once_per_operation_and_event() {
    let (mut connection, id) = with_movement().await;
    let again = format!("INSERT INTO movements (operation_id, event) VALUES ('{id}', 'settled')");
    assert!(refused(&mut connection, &again).await.contains("movements_once"));
}
