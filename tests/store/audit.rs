//! The audit names every way in which a database can lie. Each damage is done by a superuser with the
//! triggers switched off, to a small database in which nothing differs, and mended again.

use std::collections::BTreeSet;

use std::collections::BTreeMap;

use payfleet_core::ids::RequestHash;
use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::kinds::reconcile::{Difference, Found, Reconcile};
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::kinds::{NewOperation, OperationKind};
use payfleet_core::provider::{CallOutcome, Progress, Provider, Report};
use payfleet_core::{AccountId, JobId, OperationId, OutcomeClass, Timestamp};
use payfleet_store::{AuditNews, Check, ComparedPage, Finding, Next, Store, WebhookStatus};
use payfleet_tests::binaries::binary;
use payfleet_tests::servers::database;
use payfleet_tests::store::{audit, claim, claim_again, job, mint, open, payout};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

/// One operation of each fate.
struct Fates {
    settled: OperationId,
    accepted: OperationId,
    doubt: OperationId,
    minted: OperationId,
    refused: OperationId,
}

impl Fates {
    fn fill(&self, text: &str) -> String {
        let names = [
            ("{settled}", self.settled),
            ("{accepted}", self.accepted),
            ("{doubt}", self.doubt),
            ("{minted}", self.minted),
            ("{refused}", self.refused),
        ];
        names.into_iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, &id.to_string()))
    }
}

/// What is done to the database, and what the audit must name for it.
struct Damage {
    check: Check,
    subject: &'static str,
    sql: &'static str,
}

const fn damage(check: Check, subject: &'static str, sql: &'static str) -> Damage {
    Damage { check, subject, sql }
}

const DAMAGES: [Damage; 36] = [
    damage(
        Check::Unreadable,
        "operation {settled}",
        "UPDATE operations SET state_data = '{\"state\": \"paid\"}' WHERE id = '{settled}'",
    ),
    damage(
        Check::Unreadable,
        "operation {accepted}",
        "UPDATE operation_history SET event = '{\"event\": \"blessed\"}' WHERE operation_id = '{accepted}' AND version = 2",
    ),
    damage(
        Check::RequestHash,
        "operation {settled}",
        "UPDATE operations SET request = jsonb_set(request, '{money,amount}', '\"99\"') WHERE id = '{settled}'",
    ),
    damage(Check::Columns, "operation {accepted}", "UPDATE operations SET kind = 'mint' WHERE id = '{accepted}'"),
    damage(
        Check::Columns,
        "operation {accepted}",
        "UPDATE operations SET provider = 'stripe' WHERE id = '{accepted}'",
    ),
    damage(Check::Columns, "operation {doubt}", "UPDATE operations SET state = 'retrying' WHERE id = '{doubt}'"),
    damage(
        Check::WakeUp,
        "operation {accepted}",
        "UPDATE operations SET next_wake_at = NULL WHERE id = '{accepted}'",
    ),
    damage(
        Check::WakeUp,
        "operation {settled}",
        "UPDATE operations SET next_wake_at = now() WHERE id = '{settled}'",
    ),
    damage(
        Check::WakeUp,
        "operation {refused}",
        "UPDATE operations SET parked = 'in_doubt' WHERE id = '{refused}'",
    ),
    damage(
        Check::History,
        "operation {accepted}",
        "DELETE FROM operation_history WHERE operation_id = '{accepted}' AND version = 2",
    ),
    damage(
        Check::History,
        "operation {settled}",
        "DELETE FROM operation_history WHERE operation_id = '{settled}'",
    ),
    damage(Check::History, "operation {settled}", "UPDATE operations SET version = 1 WHERE id = '{settled}'"),
    damage(
        Check::Replay,
        "operation {accepted}",
        "UPDATE operations SET state_data = jsonb_set(state_data, '{provider_ref}', '\"other\"') WHERE id = '{accepted}'",
    ),
    damage(
        Check::Replay,
        "operation {accepted}",
        "UPDATE operation_history SET event = '{\"event\": \"left_open\", \"intent\": 1}'
         WHERE operation_id = '{accepted}' AND version = 3",
    ),
    damage(
        Check::Replay,
        "operation {refused}",
        "UPDATE operation_history SET event = '{\"event\": \"intent_opened\", \"intent\": 1}'
         WHERE operation_id = '{refused}'",
    ),
    damage(
        Check::MovementMissing,
        "operation {settled}",
        "DELETE FROM postings USING movements m WHERE m.id = movement_id AND m.operation_id = '{settled}';
         DELETE FROM movements WHERE operation_id = '{settled}'",
    ),
    damage(
        Check::MovementStray,
        "movement",
        "INSERT INTO movements (operation_id, event) VALUES ('{accepted}', 'settled');
         INSERT INTO postings SELECT max(id), 1, 'a', 'USDT', 5 FROM movements;
         INSERT INTO postings SELECT max(id), 2, 'b', 'USDT', -5 FROM movements",
    ),
    damage(
        Check::MovementStray,
        "movement",
        "ALTER TABLE movements DROP CONSTRAINT movements_once;
         INSERT INTO movements (operation_id, event) VALUES ('{settled}', 'settled');
         INSERT INTO postings SELECT (SELECT max(id) FROM movements), line, account, unit, amount
         FROM postings JOIN movements m ON m.id = movement_id WHERE operation_id = '{settled}'",
    ),
    damage(
        Check::MovementDiffers,
        "movement",
        "UPDATE postings SET amount = amount * 2 FROM movements m WHERE m.id = movement_id AND operation_id = '{settled}'",
    ),
    damage(
        Check::MovementDiffers,
        "movement",
        "UPDATE postings SET account = 'payouts:other' FROM movements m
         WHERE m.id = movement_id AND operation_id = '{settled}' AND line = 2",
    ),
    damage(Check::Unbalanced, "movement", "UPDATE postings SET amount = amount + 1 WHERE line = 1"),
    damage(Check::Unbalanced, "movement", "UPDATE postings SET amount = 'NaN' WHERE line = 1"),
    damage(Check::Unbalanced, "movement", "DELETE FROM postings"),
    damage(
        Check::Intent,
        "operation {doubt}",
        "DROP INDEX intents_one_open;
         INSERT INTO intents (operation_id, number, action, provider, account, provider_key, reference, request_hash)
         SELECT operation_id, 2, action, provider, account, provider_key, 'another', request_hash
         FROM intents WHERE operation_id = '{doubt}'",
    ),
    damage(
        Check::Intent,
        "operation {accepted}",
        "UPDATE intents SET closed_at = NULL WHERE operation_id = '{accepted}'",
    ),
    damage(Check::Intent, "operation {doubt}", "UPDATE intents SET closed_at = now() WHERE operation_id = '{doubt}'"),
    damage(
        Check::IntentKey,
        "operation {doubt}",
        "UPDATE intents SET provider_key = repeat('0', 64) WHERE operation_id = '{doubt}'",
    ),
    damage(
        Check::Reservation,
        "operation {minted}",
        "DELETE FROM reservations WHERE operation_id = '{minted}'",
    ),
    damage(
        Check::Reservation,
        "operation {refused}",
        "UPDATE reservations SET released_at = NULL WHERE operation_id = '{refused}'",
    ),
    damage(
        Check::Reservation,
        "operation {minted}",
        "UPDATE reservations SET amount = 1 WHERE operation_id = '{minted}'",
    ),
    damage(Check::Pool, "pool share:bus-1", "UPDATE pools SET reserved = 10"),
    damage(
        Check::Pool,
        "account shares:issued:default",
        "UPDATE postings SET amount = amount * 3 WHERE unit = 'share:bus-1'",
    ),
    damage(
        Check::Evidence,
        "operation {doubt}",
        "UPDATE operations SET next_wake_at = NULL, parked = 'in_doubt' WHERE id = '{doubt}';
         INSERT INTO inbox (operation_id, event_key, event) VALUES ('{doubt}', 'evidence:1:2', '{\"event\": \"evidence\"}')",
    ),
    damage(Check::Webhook, "webhook event", "DELETE FROM inbox WHERE event_key LIKE 'webhook:%'"),
    damage(Check::Run, "reconciliation run", "DELETE FROM discrepancies WHERE run_id IS NOT NULL"),
    damage(Check::Orphan, "posting", "DELETE FROM movements"),
];

/// What else belongs to an operation that is gone.
const ORPHANS: [&str; 6] = ["movement", "intent", "inbox", "reservation", "history", "attempt"];

/// What a damage may touch.
const TABLES: [&str; 12] = [
    "operations",
    "intents",
    "inbox",
    "pools",
    "reservations",
    "operation_history",
    "intent_attempts",
    "movements",
    "postings",
    "webhook_events",
    "discrepancies",
    "reconciliation_runs",
];

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
    assert!(printed.contains("5 operations") && printed.contains("nothing differs"), "{printed}");

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
    assert_eq!((summary.operations, summary.findings), (1205, 0));
    assert_eq!(seen, [(500, 1205), (1000, 1205), (1205, 1205)]);
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

/// A database with one operation of each fate, in which nothing differs.
async fn whole() -> (String, Fates) {
    let url = database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let fates = Fates {
        settled: called(&store, &payout("settled"), &accepted("u1", Progress::Succeeded)).await,
        accepted: called(&store, &payout("accepted"), &accepted("u2", Progress::Pending)).await,
        doubt: doubtful(&store, &payout("doubt")).await,
        minted: called(&store, &mint("minted", "bus-1", "40"), &accepted("m1", Progress::Succeeded)).await,
        refused: called(&store, &mint("refused", "bus-1", "20"), &refusal()).await,
    };
    webhook(&store, fates.accepted).await;
    reconciliation(&store).await;
    assert_eq!(audit(&store).await, [], "nothing differs before the damage");
    store.close().await;
    (url, fates)
}

fn accepted(provider_ref: &str, progress: Progress) -> CallOutcome {
    CallOutcome::Accepted { report: report(provider_ref, progress) }
}

fn report(provider_ref: &str, progress: Progress) -> Report {
    Report {
        provider_ref: provider_ref.to_owned(),
        progress,
        raw_status: "raw".to_owned(),
        money: None,
        destination: None,
        network: None,
        tx_hash: None,
        fee: None,
        facts: BTreeMap::new(),
    }
}

fn refusal() -> CallOutcome {
    CallOutcome::Failed {
        class: OutcomeClass::Terminal,
        code: "http_422".to_owned(),
        message: "refused".to_owned(),
    }
}

/// An operation whose one call ended with `outcome`.
async fn called(store: &Store, new: &NewOperation, outcome: &CallOutcome) -> OperationId {
    let mut claimed = claim(store, new, "w").await;
    open(store, &mut claimed, "w").await;
    let next = |state: &State| if state.is_final() { Next::Never } else { Next::After { ms: 60_000 } };
    let event = Event::Called { intent: 1, outcome: outcome.clone() };
    let attempt = payfleet_store::Attempt {
        intent: 1,
        purpose: payfleet_store::Purpose::Call,
        class: "accepted".to_owned(),
        code: String::new(),
        message: String::new(),
        http_status: Some(200),
        request_id: None,
        duration_ms: 1,
    };
    store.record(&mut claimed, &job("w"), &event, Some(&attempt), &next).await.unwrap();
    new.id()
}

async fn doubtful(store: &Store, new: &NewOperation) -> OperationId {
    let mut claimed = claim(store, new, "dies").await;
    open(store, &mut claimed, "dies").await;
    claim_again(store, new.id(), "finds it").await;
    new.id()
}

async fn webhook(store: &Store, operation: OperationId) {
    let event = WebhookEvent {
        provider: Provider::Heleket,
        event_key: "event-1".to_owned(),
        body_base64: String::new(),
        received_at: Timestamp::from_unix_ms(1_790_000_000_000),
    };
    let received = store.receive_webhook(&event, "payout", b"{}").await.unwrap();
    let hash = RequestHash::of(b"{}").to_hex();
    let hint = Event::Hinted { report: report("u2", Progress::Pending) };
    store.deliver(operation, &format!("webhook:event-1:{}", &hash[..16]), &hint).await.unwrap();
    store.mark_webhook(received.id, &WebhookStatus::Processed { operation }).await.unwrap();
    claim_again(store, operation, "w").await;
    assert_eq!(store.operation(operation).await.unwrap().unwrap().kind, OperationKind::Payout);
}

async fn reconciliation(store: &Store) {
    let reconcile = Reconcile {
        provider: Provider::Heleket,
        account: AccountId::default(),
        from: Timestamp::from_unix_ms(0),
        to: Timestamp::from_unix_ms(1),
    };
    let mut run = store.open_run(JobId::named("run", &[]), &reconcile).await.unwrap();
    let found = Found {
        difference: Difference::MissingHere,
        remedy: None,
        operation: None,
        provider_ref: Some("u9".to_owned()),
        theirs: None,
        ours: None,
    };
    let page = ComparedPage { listed: vec![None], found: vec![found], ..ComparedPage::default() };
    assert!(store.save_page(&mut run, &page, None).await.unwrap());
}
