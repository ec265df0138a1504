//! The audit names every way in which a database can lie. Each damage is done by a superuser with the
//! triggers switched off, to a small database in which nothing differs, and mended again.

use std::collections::BTreeSet;

use payfleet_store::{AuditNews, Check, Finding, Store};
use payfleet_tests::binaries::binary;
use payfleet_tests::store::audit;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use crate::damages::{DAMAGES, Damage, ORPHANS, TABLES};
use crate::fates::whole;

#[tokio::test]
async fn every_damage_is_named() {
    let (url, fates) = whole().await;
    keep(&url).await;
    let mut named = BTreeSet::new();
    for Damage { check, subject, sql } in DAMAGES {
        let found = findings_after(&url, &fates.fill(sql)).await;
        let subject = fates.fill(subject);
        assert!(
            found.iter().any(|one| one.check == check && one.subject.starts_with(&subject)),
            "{} of {subject} is not named after {sql}: {found:#?}",
            check.as_str()
        );
        named.insert(check);
        mend(&url).await;
    }
    assert_eq!(named, Check::ALL.into_iter().collect(), "each check has a damage that it names");
    assert_eq!(findings_after(&url, "SELECT 1").await, [], "nothing differs once all is mended");
}

#[tokio::test]
async fn what_is_left_of_an_operation_that_is_gone_is_named() {
    let (url, fates) = whole().await;
    let sql = "DELETE FROM operations; DELETE FROM intents WHERE operation_id = '{settled}'";
    let found = findings_after(&url, &fates.fill(sql)).await;
    for table in ORPHANS {
        let names = |one: &Finding| one.check == Check::Orphan && one.subject.starts_with(table);
        assert!(found.iter().any(names), "{table}: {found:#?}");
    }
}

#[tokio::test]
async fn the_command_tells_by_its_exit_code_whether_something_differs() {
    let (url, fates) = whole().await;
    let (code, printed) = command(&url, &["audit"]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("13 operations") && printed.contains("nothing differs"), "{printed}");

    run(&url, &fates.fill("UPDATE operations SET next_wake_at = NULL WHERE id = '{accepted}'")).await;
    let (code, printed) = command(&url, &["audit", "--json"]).await;
    assert_eq!(code, Some(3), "{printed}");
    let lines: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["check"], "wake_up");
    assert_eq!(lines[0]["subject"], fates.fill("operation {accepted}"));
    assert_eq!((&lines[1]["ok"], &lines[1]["summary"]["findings"]), (&false.into(), &1.into()));

    let (code, _) = command("postgres://payfleet@127.0.0.1:1/nowhere", &["audit"]).await;
    assert_eq!(code, Some(1), "a database that cannot be read is not called whole");
}

#[tokio::test]
async fn more_operations_than_a_page_are_all_audited() {
    let (url, fates) = whole().await;
    let more =
        "INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account,
            state, state_data, version, next_wake_at)
        SELECT gen_random_uuid(), tenant, kind, 'copy-' || n, request_hash, request, provider, account,
            'requested', '{\"state\": \"requested\"}', 0, now()
        FROM operations, generate_series(1, 1200) n WHERE id = '{settled}'";
    run(&url, &fates.fill(more)).await;
    let store = Store::connect_lazy(&url, 1).unwrap();
    let mut seen = Vec::new();
    let mut keep = |news: AuditNews<'_>| {
        if let AuditNews::Checked { operations, of } = news {
            seen.push((operations, of));
        }
    };
    let summary = store.audit(&mut keep).await.unwrap();
    assert_eq!((summary.operations, summary.findings), (1213, 0));
    assert_eq!(seen, [(500, 1213), (1000, 1213), (1213, 1213)]);
}

async fn findings_after(url: &str, sql: &str) -> Vec<Finding> {
    run(url, sql).await;
    let store = Store::connect_lazy(url, 1).unwrap();
    let found = audit(&store).await;
    store.close().await;
    found
}

/// As a superuser, with every trigger switched off.
async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = format!("SET session_replication_role = replica; {sql}");
    raw_sql(AssertSqlSafe(sql.clone()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e}"));
    connection.close().await.unwrap();
}

async fn keep(url: &str) {
    let copies = TABLES.map(|table| format!("CREATE TABLE kept.{table} AS TABLE {table};"));
    run(url, &format!("CREATE SCHEMA kept; {}", copies.concat())).await;
}

async fn mend(url: &str) {
    let back = TABLES
        .map(|table| format!("INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept.{table};"));
    run(url, &format!("TRUNCATE {} CASCADE; {}", TABLES.join(", "), back.concat())).await;
}

async fn command(url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(binary("payfleet"));
    let output = command.args(arguments).env("DATABASE_URL", url).output().await.expect("payfleet runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}
