//! Dead letters and the operations they are about.

use payfleet_core::Clock;
use payfleet_core::Timestamp;
use payfleet_core::job::{DeadJob, Failure, Job, NewJob, Origin};
use payfleet_process::SystemClock;
use payfleet_tests::store::{claim, payout, store};

fn dead(operation: payfleet_core::OperationId, code: &str, died_at: Timestamp) -> DeadJob {
    let subject = payfleet_worker::jobs::Subject {
        id: operation,
        kind: payfleet_core::kinds::OperationKind::Payout,
        tenant: payfleet_core::TenantId::default(),
    };
    let envelope: NewJob =
        payfleet_worker::jobs::wake_up(&subject, 1, std::time::Duration::ZERO, Origin::FollowUp).unwrap();
    let failure = Failure {
        class: "crash_loop".to_owned(),
        code: code.to_owned(),
        message: "it ended its worker".to_owned(),
    };
    let job = Job { envelope, attempt: 1, deliveries: 4, enqueued_at: died_at, history: Vec::new() };
    DeadJob { job, died_at, failure }
}

#[tokio::test]
async fn an_operation_whose_job_died_is_parked_with_it_and_not_revived_for_ever() {
    let store = store().await;
    let new = payout("k");
    claim(&store, &new, "a").await;
    store.archive(&dead(new.id(), "crash_loop", SystemClock.now().plus_ms(5_000))).await.unwrap();
    let view = store.operation(new.id()).await.unwrap().unwrap();
    assert_eq!(view.parked.as_deref(), Some("job_died"));
    assert!(store.overdue(0, 10).await.unwrap().is_empty());
    assert!(store.has_dead_letter(new.id()).await.unwrap());
}

#[tokio::test]
async fn an_old_death_or_one_of_another_request_does_not_park_an_operation_that_lives() {
    let store = store().await;
    let new = payout("k");
    claim(&store, &new, "a").await;
    let now = SystemClock.now();
    store.archive(&dead(new.id(), "crash_loop", now.plus_ms(-60_000))).await.unwrap();
    store.archive(&dead(new.id(), payfleet_store::IDEMPOTENCY_CONFLICT, now.plus_ms(5_000))).await.unwrap();
    assert_eq!(store.operation(new.id()).await.unwrap().unwrap().parked, None);
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
