//! Old months leave the database whole, as files that can be read back, or stay.

use payfleet_core::OperationId;
use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::provider::{CallOutcome, Progress, Report};
use payfleet_store::{Next, Store};
use payfleet_tests::binaries::binary;
use payfleet_tests::servers::database;
use payfleet_tests::store::{audit, claim, claim_again, job, open, payout};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, raw_sql};

const MONTHS: [&str; 4] =
    ["intent_attempts_2025_03", "operation_history_2025_03", "transitions_2025_03", "webhook_bodies_2025_03"];

/// A database with what happened in March 2025: one payout settled, and one as `live` wants it.
async fn march(live: bool) -> (String, Store, OperationId) {
    let url = database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let new = payout("old");
    let mut claimed = claim(&store, &new, "w").await;
    open(&store, &mut claimed, "w").await;
    let report = Report::of("u1", Progress::Succeeded, "paid");
    let event = Event::Called { intent: 1, outcome: CallOutcome::Accepted { report } };
    let next = |state: &State| if state.is_final() { Next::Never } else { Next::After { ms: 0 } };
    store.record(&mut claimed, &job("w"), &event, None, &next).await.unwrap();
    if live {
        claim(&store, &payout("live"), "w").await;
        let mut claimed = claim_again(&store, payout("live").id(), "w").await;
        open(&store, &mut claimed, "w").await;
    }
    assert!(store.give_positions(100).await.unwrap() > 0);
    run(
        &url,
        "SELECT ensure_month('2025-03-10'); SET session_replication_role = replica;
         UPDATE operations SET created_at = '2025-03-10';
         UPDATE operation_history SET at = '2025-03-10'::timestamptz + (at - now());
         UPDATE transitions SET at = '2025-03-10'::timestamptz + (at - now())",
    )
    .await;
    (url, store, new.id())
}

#[tokio::test]
async fn an_old_month_goes_to_a_file_and_can_be_read_back() {
    let (url, store, id) = march(false).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", to, "--json"]).await;
    assert!(ok, "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let of = |n: usize| (report["months"][n]["partition"].clone(), report["months"][n]["fate"].clone());
    for (n, month) in MONTHS.into_iter().enumerate() {
        assert_eq!(of(n), (month.into(), "archived".into()), "{report}");
    }
    assert_eq!(
        (&report["months"][1]["rows"], &report["months"][2]["rows"]),
        (&2.into(), &3.into()),
        "{report}"
    );

    // Gone from the database, whole in the file, and still once.
    assert_eq!((count(&url, "operation_history").await, count(&url, "transitions").await), (0, 0));
    let file = folder.path().join("operation_history_2025_03.csv");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("CREATE TABLE back (LIKE operation_history)").await.unwrap();
    let mut sink = connection.copy_in_raw("COPY back FROM STDIN (FORMAT csv, HEADER)").await.unwrap();
    sink.send(std::fs::read(&file).unwrap()).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    assert_eq!(claim(&store, &payout("old"), "w").await.operation.state.name(), "settled");
    assert_eq!(count(&url, "movements").await, 1);
    let view = store.operation(id).await.unwrap().unwrap();
    assert_eq!(view.state.name(), "settled");
    assert_eq!(audit(&store).await, [], "what is archived is not taken for lost");

    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", to]).await;
    assert!(ok && said.contains("no month to archive"), "{said}");
}

#[tokio::test]
async fn a_month_that_an_unfinished_operation_needs_stays() {
    let (url, _, _) = march(true).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let before = count(&url, "operation_history").await;
    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", to]).await;
    assert!(ok, "{said}");
    assert!(said.contains("held back") && said.contains(&payout("live").id().to_string()), "{said}");
    assert_eq!(count(&url, "operation_history").await, before);
    assert!(!folder.path().join("operation_history_2025_03.csv").exists());
}

#[tokio::test]
async fn a_schedule_that_stands_for_years_keeps_no_month() {
    let (url, store, _) = march(false).await;
    let stands = "SET session_replication_role = replica; UPDATE operations SET kind = 'payout_schedule', state = 'accepted'";
    run(&url, stands).await;
    let folder = tempfile::tempdir().unwrap();
    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", folder.path().to_str().unwrap()]).await;
    assert!(ok && !said.contains("held back"), "{said}");
    assert_eq!(count(&url, "operation_history").await, 0);
    store.close().await;
}

#[tokio::test]
async fn a_month_that_a_receiver_has_yet_to_be_told_of_stays() {
    let (url, _, id) = march(false).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let behind = format!(
        "INSERT INTO notifications (operation_id, receiver, written, delivered, parked_reason)
         VALUES ('{id}', 'shop', 3, 2, 'not delivered')"
    );
    run(&url, &behind).await;
    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", to]).await;
    assert!(ok && said.contains("transitions_2025_03: held back"), "{said}");
    assert_eq!((count(&url, "operation_history").await, count(&url, "transitions").await), (0, 3));

    run(&url, "UPDATE notifications SET delivered = 3, parked_reason = NULL").await;
    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", to]).await;
    assert!(ok && said.contains("transitions_2025_03: archived"), "{said}");
}

#[tokio::test]
async fn an_event_without_a_place_in_the_feed_keeps_its_month() {
    let (url, _, _) = march(false).await;
    let folder = tempfile::tempdir().unwrap();
    run(&url, "SET session_replication_role = replica; UPDATE transitions SET position = NULL").await;
    let (ok, said) =
        archive(&url, &["--before", "2025-04", "--to", folder.path().to_str().unwrap(), "--dry-run"]).await;
    assert!(ok && said.contains("transitions_2025_03: held back"), "{said}");
}

#[tokio::test]
async fn a_table_in_use_keeps_its_month_and_loses_nothing() {
    let (url, _, _) = march(false).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let mut reader = PgConnection::connect(&url).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    reading.execute("LOCK TABLE operation_history IN ACCESS SHARE MODE").await.unwrap();
    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", to]).await;
    assert!(!ok && said.contains("operation_history_2025_03 stays in the database"), "{said}");
    assert_eq!(count(&url, "operation_history").await, 2);

    reading.rollback().await.unwrap();
    let (ok, said) = archive(&url, &["--before", "2025-04", "--to", to]).await;
    assert!(ok, "{said}");
    assert_eq!(count(&url, "operation_history").await, 0);
}

#[tokio::test]
async fn bad_input_is_refused_by_name_and_changes_nothing() {
    let (url, _, _) = march(false).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let nowhere = folder.path().join("nowhere");
    for (arguments, named) in [
        (["--before", "2999-01", "--to", to], "--before 2999-01 is not over yet"),
        (["--before", "2025-13", "--to", to], "is not a month such as"),
        (["--before", "2025-04", "--to", nowhere.to_str().unwrap()], "is no folder"),
    ] {
        let (ok, said) = archive(&url, &arguments).await;
        assert!(!ok && said.contains(named), "{said}");
    }
    assert_eq!(count(&url, "operation_history").await, 2);
}

async fn archive(url: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(binary("payfleet"));
    command.arg("archive").args(arguments).env("DATABASE_URL", url);
    let output = command.output().await.expect("payfleet runs");
    let said =
        if arguments.contains(&"--json") { output.stdout } else { [output.stdout, output.stderr].concat() };
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
}

async fn count(url: &str, table: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}
