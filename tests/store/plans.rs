//! Look-ups by a provider's name go by the index that is made for them, also while Postgres has no
//! statistics: of a table that is young, or of a provider that has come lately.

use std::fmt::Write as _;

use payfleet_tests::servers::database;
use sqlx::{Connection, PgConnection};

/// The statements by the names they bear, and the indexes that their plans must go by.
const LOOKUPS: &[(&str, &[&str])] = &[
    ("operations_by_reference", &["intents_reference", "operations_provider_ref"]),
    ("webhooks_match", &["intents_reference", "operations_provider_ref"]),
    ("run_named_by", &["intents_reference", "operations_provider_ref", "operations_pkey"]),
    ("run_held", &["intents_opened", "operations_pkey", "reconciliation_seen_of"]),
    ("run_deposits", &["deposits_seen", "reconciliation_seen_pkey"]),
    ("run_met_before", &["reconciliation_seen_pkey", "reconciliation_seen_of"]),
    ("webhooks_insert", &["webhook_events_once"]),
    ("deposits_named", &["deposit_addresses_once", "deposits_pkey"]),
    ("order_at", &["deposit_addresses_once"]),
    ("webhooks_orders", &["deposit_addresses_once"]),
];

#[tokio::test]
async fn lookups_go_by_their_index_without_statistics() {
    let url = database().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("SET plan_cache_mode = force_generic_plan").execute(&mut connection).await.unwrap();
    let mut wrong = String::new();
    for (name, indexes) in LOOKUPS {
        let plan = plan(&mut connection, name).await;
        let missed: Vec<&str> = indexes.iter().copied().filter(|index| !plan.contains(index)).collect();
        let reads_all = ["Seq Scan", "Hash Join", "hashed"].iter().any(|word| plan.contains(word));
        if !missed.is_empty() || reads_all {
            writeln!(wrong, "{name} should go by {}:\n{plan}\n", missed.join(", ")).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

async fn plan(connection: &mut PgConnection, name: &str) -> String {
    let (statement, parameters) = described(name);
    let prepare = format!("PREPARE {name} AS {statement}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let nulls = vec!["NULL"; parameters].join(", ");
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE {name} ({nulls})");
    let lines: Vec<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
    lines.join("\n")
}

/// The statement named `name`, as it is committed, and how many parameters it has.
fn described(name: &str) -> (String, usize) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../.sqlx");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let described: serde_json::Value = serde_json::from_str(&text).unwrap();
        let query = described["query"].as_str().unwrap();
        if query.contains(&format!("/* {name} */")) {
            return (query.to_owned(), described["describe"]["parameters"]["Left"].as_array().unwrap().len());
        }
    }
    panic!("no statement is named {name}")
}
