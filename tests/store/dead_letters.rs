//! Dead letters and the operations they are about.

use std::time::Duration;

use payfleet_core::job::{DeadJob, Failure, Job, NewJob, Origin};
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::provider::{Progress, Report};
use payfleet_core::{Clock, OperationId, TenantId, Timestamp};
use payfleet_process::SystemClock;
use payfleet_store::Store;
use payfleet_tests::servers;
use payfleet_tests::store::{claim, overdue, payout, store};
use payfleet_worker::jobs::{Subject, confirm, wake_up};
use sqlx::{Connection, PgConnection};

fn subject(id: OperationId, kind: OperationKind) -> Subject {
    Subject { id, kind, tenant: TenantId::default() }
}

fn dead(operation: OperationId, code: &str, died_at: Timestamp) -> DeadJob {
    dead_of(operation, OperationKind::Payout, code, died_at)
}

/// The death of a job that was to advance an operation of `kind`.
fn dead_of(operation: OperationId, kind: OperationKind, code: &str, died_at: Timestamp) -> DeadJob {
    let envelope = wake_up(&subject(operation, kind), 1, Duration::ZERO, Origin::FollowUp).unwrap();
    death(envelope, code, died_at)
}

fn death(envelope: NewJob, code: &str, died_at: Timestamp) -> DeadJob {
    let failure = Failure {
        class: "crash_loop".to_owned(),
        code: code.to_owned(),
        message: "it ended its worker".to_owned(),
    };
    let job = Job { envelope, attempt: 1, deliveries: 4, enqueued_at: died_at, history: Vec::new() };
    DeadJob { job, died_at, failure }
}

/// Does something to one operation that no worker does.
async fn alter(url: &str, sql: &'static str, operation: OperationId, with: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let altered = sqlx::query(sql).bind(operation.as_uuid()).bind(with).execute(&mut connection).await;
    assert_eq!(altered.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn an_operation_of_any_kind_whose_job_died_is_parked_with_it_and_not_revived_for_ever() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let now = SystemClock.now();
    for kind in OperationKind::ALL {
        let new = payout(kind.as_str());
        claim(&store, &new, "a").await;
        alter(&url, "UPDATE operations SET kind = $2 WHERE id = $1", new.id(), kind.as_str()).await;
        store.archive(&dead_of(new.id(), kind, "crash_loop", now.plus_ms(5_000))).await.unwrap();
        let view = store.operation(new.id()).await.unwrap().unwrap();
        assert_eq!(view.parked.as_deref(), Some("job_died"), "{kind:?}");
        assert!(store.has_dead_letter(new.id()).await.unwrap(), "{kind:?}");
    }
    assert!(overdue(&store).await.is_empty());
}

/// Jobs that only look are about an operation too, and their end is not its own.
#[tokio::test]
async fn a_death_of_a_look_or_of_another_kinds_job_parks_nothing_and_tells_nobody_of_the_operation() {
    let store = store().await;
    let new = payout("k");
    claim(&store, &new, "a").await;
    let later = SystemClock.now().plus_ms(5_000);
    let look = confirm(&subject(new.id(), OperationKind::Payout), 1, Duration::ZERO, None).unwrap();
    store.archive(&death(look, "crash_loop", later)).await.unwrap();
    assert!(!store.has_dead_letter(new.id()).await.unwrap());
    store.archive(&dead_of(new.id(), OperationKind::Mint, "crash_loop", later)).await.unwrap();
    assert_eq!(store.operation(new.id()).await.unwrap().unwrap().parked, None);
}

#[tokio::test]
async fn an_event_that_has_just_come_keeps_an_operation_awake_and_one_that_its_jobs_die_of_does_not() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let new = payout("k");
    claim(&store, &new, "a").await;
    let report = Report::of("ref-1", Progress::Pending, "raw");
    store.deliver(new.id(), "event", &Event::Hinted { report }).await.unwrap();
    let now = SystemClock.now();
    store.archive(&dead(new.id(), "crash_loop", now.plus_ms(5_000))).await.unwrap();
    assert_eq!(store.operation(new.id()).await.unwrap().unwrap().parked, None);

    let earlier = "UPDATE inbox SET received_at = now() - $2::interval WHERE operation_id = $1";
    alter(&url, earlier, new.id(), "2 minutes").await;
    store.archive(&dead(new.id(), "crash_loop", now.plus_ms(6_000))).await.unwrap();
    assert_eq!(store.operation(new.id()).await.unwrap().unwrap().parked.as_deref(), Some("job_died"));
}

#[tokio::test]
async fn an_old_death_or_one_of_another_request_does_not_park_an_operation_that_lives() {
    let store = store().await;
    let new = payout("k");
    claim(&store, &new, "a").await;
    let now = SystemClock.now();
    store.archive(&dead(new.id(), "crash_loop", now.plus_ms(-60_000))).await.unwrap();
    let of_another = payout("another");
    claim(&store, &of_another, "a").await;
    let conflict = dead(of_another.id(), payfleet_store::IDEMPOTENCY_CONFLICT, now.plus_ms(5_000));
    store.archive(&conflict).await.unwrap();
    for id in [new.id(), of_another.id()] {
        assert_eq!(store.operation(id).await.unwrap().unwrap().parked, None);
    }
    assert!(!store.has_dead_letter(of_another.id()).await.unwrap());
}

#[tokio::test]
async fn a_redrive_marks_only_the_death_it_releases() {
    let store = store().await;
    let id = payout("k").id();
    let (first, second) = (Timestamp::from_unix_ms(1_000), Timestamp::from_unix_ms(2_000));
    let letter = dead(id, "a", first);
    store.archive(&letter).await.unwrap();
    store.archive(&dead(id, "b", second)).await.unwrap();
    store.mark_redriven(letter.job.envelope.id, first).await.unwrap();
    let open = store.dead_letters(10, false).await.unwrap();
    assert_eq!(open.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["b"]);
}
