//! Putting jobs in.

use payfleet_core::JobId;
use payfleet_core::job::{Origin, TraceContext};
use payfleet_queue::{Enqueued, Error, Place};

use crate::world::{World, id, job_in, queue_name};

#[tokio::test]
async fn a_job_comes_out_as_it_went_in() {
    let world = World::new().await;
    let mut job = world.job(7);
    job.kind = "payout".to_owned();
    job.tenant = "acme".to_owned().try_into().unwrap();
    job.facts.insert("amount".to_owned(), "12.50".to_owned());
    job.lane = Some("wallet:hot".to_owned());
    job.priority = 2;
    job.max_attempts = 9;
    job.origin = Origin::Webhook;
    job.parent = Some(id(1));
    job.trace = TraceContext { traceparent: Some("00-a-b-01".to_owned()), tracestate: None };
    job.payload =
        serde_json::value::RawValue::from_string("{\"amount\": 1.10,\n\"x\":[]}".to_owned()).unwrap();
    let sent = serde_json::to_value(&job).unwrap();

    assert_eq!(world.queue.enqueue(&[job]).await.unwrap(), [Enqueued::Created(id(7))]);
    let taken = world.take_one().await;
    assert_eq!(serde_json::to_value(&taken.job.envelope).unwrap(), sent);
    assert_eq!((taken.job.attempt, taken.job.deliveries), (1, 1));
    assert_eq!(taken.job.enqueued_at.unix_ms(), crate::world::START);
    assert!(taken.job.history.is_empty());
}

#[tokio::test]
async fn one_call_serves_several_queues_and_answers_in_the_order_given() {
    let world = World::new().await;
    let other = queue_name("other");
    let jobs = [job_in(&other, 1), world.job(2), job_in(&other, 3), world.job(2)];
    let answers = world.queue.enqueue(&jobs).await.unwrap();
    let created = Enqueued::Created;
    assert_eq!(answers, [created(id(1)), created(id(2)), created(id(3)), Enqueued::Existing(id(2))]);
    let stats = world.queue.stats(&[world.name.clone(), other]).await.unwrap();
    assert_eq!((stats[0].ready, stats[1].ready), (1, 2));
}

#[tokio::test]
async fn a_full_queue_takes_nothing_of_a_batch_that_does_not_fit() {
    let world = World::with(|config| config.max_depth = 3).await;
    world.fill(2).await;
    let error = world.queue.enqueue(&[world.job(3), world.job(4)]).await.unwrap_err();
    assert!(matches!(&error, Error::QueueFull { queue } if *queue == world.name), "{error}");
    assert!(!error.is_unavailable());
    assert_eq!(world.stats().await.ready, 2);
    assert_eq!(world.place(id(3)).await, None);
    // What is there already needs no room.
    let answers = world.queue.enqueue(&[world.job(1), world.job(3)]).await.unwrap();
    assert_eq!(answers, [Enqueued::Existing(id(1)), Enqueued::Created(id(3))]);
}

#[tokio::test]
async fn a_batch_of_thousands_is_one_step() {
    let world = World::new().await;
    world.fill(5_000).await;
    assert_eq!(world.stats().await.ready, 5_000);
    assert_eq!(world.place(id(5_000)).await, Some(Place::Ready));
}

#[tokio::test]
async fn jobs_that_cannot_be_kept_are_refused_before_anything_is_sent() {
    let world = World::new().await;
    let mut large = world.job(2);
    large.payload = serde_json::value::to_raw_value(&"x".repeat(257 * 1024)).unwrap();
    let mut urgent = world.job(2);
    urgent.priority = 3;
    for bad in [large, urgent] {
        let error = world.queue.enqueue(&[world.job(1), bad]).await.unwrap_err();
        assert!(matches!(error, Error::InvalidJob { id: which, .. } if which == id(2)), "{error}");
    }
    assert_eq!(world.stats().await.ready, 0);
}

#[tokio::test]
async fn an_unknown_job_is_not_found() {
    let world = World::new().await;
    assert_eq!(world.place(JobId::named("nothing", &[])).await, None);
}
