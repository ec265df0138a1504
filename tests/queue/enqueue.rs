//! Putting jobs in.

use payfleet_core::JobId;
use payfleet_core::job::{NewJob, Origin, QueueName, TraceContext};
use payfleet_queue::{Enqueued, Error, Outcome, Place};

use crate::world::{World, id, job_in, keyed, queue_name};

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

/// Enqueues good jobs beside a bad one, and says which field was refused.
async fn refused(world: &World, bad: NewJob) -> &'static str {
    let (other, which) = (queue_name("other"), bad.id);
    match world.queue.enqueue(&[world.job(1), job_in(&other, 3), bad]).await {
        Err(Error::InvalidJob { id, field, reason }) => {
            assert_eq!(id, which);
            assert!(!reason.is_empty());
            field
        }
        answer => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_kept_is_refused_by_the_name_of_its_field_and_nothing_is_enqueued() {
    let known = [queue_name("main"), queue_name("other")];
    let world = World::with(|config| config.queues = Some(known.clone().into())).await;
    let payload = serde_json::value::to_raw_value(&"x".repeat(256 * 1024)).unwrap();
    let long = "x".repeat(10_240);
    let lane = |lane: &str| NewJob { lane: Some(lane.to_owned()), ..world.job(2) };
    let key = |key: &str| keyed(world.job(2), key, "body");
    let kind = |kind: &str| NewJob { kind: kind.to_owned(), ..world.job(2) };
    let facts = [("note".to_owned(), "x".repeat(256 * 1024))].into();
    for (bad, field) in [
        (NewJob { payload, ..world.job(2) }, "payload"),
        (NewJob { facts, ..world.job(2) }, "payload"),
        (NewJob { queue: queue_name("mian"), ..world.job(2) }, "queue"),
        // What is negative where it comes from is huge as the unsigned number that it must be.
        (NewJob { delay_ms: -1_i64 as u64, ..world.job(2) }, "delay_ms"),
        (NewJob { max_attempts: 0, ..world.job(2) }, "max_attempts"),
        (NewJob { max_attempts: 65_536, ..world.job(2) }, "max_attempts"),
        (NewJob { priority: 3, ..world.job(2) }, "priority"),
        (lane(""), "lane"),
        (lane("a\nb"), "lane"),
        (lane("a\0b"), "lane"),
        (lane(&long), "lane"),
        (key(""), "dedupe.key"),
        (key("\u{7f}"), "dedupe.key"),
        (key(&long), "dedupe.key"),
        (kind(""), "kind"),
        (kind(&long), "kind"),
    ] {
        assert_eq!(refused(&world, bad).await, field);
    }
    let stats = world.queue.stats(&known).await.unwrap();
    assert!(stats.iter().all(|stats| stats.ready + stats.delayed == 0), "{stats:?}");
    assert!(QueueName::try_from("no such:queue").unwrap_err().to_string().contains("a-z"));
    let negative = serde_json::to_string(&world.job(2)).unwrap().replace("\"delay_ms\":0", "\"delay_ms\":-1");
    assert!(serde_json::from_str::<NewJob>(&negative).unwrap_err().to_string().contains("-1"));
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused_whole() {
    let world = World::new().await;
    let jobs: Vec<_> = (1..=10_001).map(|n| world.job(n)).collect();
    let error = world.queue.enqueue(&jobs).await.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { field: "jobs", .. }), "{error}");
    assert_eq!(world.stats().await.ready, 0);
}

#[tokio::test]
async fn lanes_and_keys_of_odd_characters_are_names_like_others() {
    let world = World::new().await;
    let odd = ["{a}:b", "@", "B1", "%s \\ \"'", "é\u{1f980}", " ", "*?[x]"];
    let job = |n: usize, lane: &str| {
        let n = u64::try_from(n).unwrap();
        NewJob { lane: Some(lane.to_owned()), ..keyed(world.job(n), lane, "body") }
    };
    let first: Vec<NewJob> = odd.iter().enumerate().map(|(n, lane)| job(n, lane)).collect();
    world.enqueue(&first).await;
    let again: Vec<NewJob> = odd.iter().enumerate().map(|(n, lane)| job(n + 100, lane)).collect();
    let existing: Vec<_> = first.iter().map(|job| Enqueued::Existing(job.id)).collect();
    assert_eq!(world.queue.enqueue(&again).await.unwrap(), existing);
    let second: Vec<NewJob> = again.into_iter().map(|job| NewJob { dedupe: None, ..job }).collect();
    world.enqueue(&second).await;
    for _ in 0..2 {
        let taken = world.take(100).await;
        let lanes: Vec<&str> = taken.iter().filter_map(|l| l.job.envelope.lane.as_deref()).collect();
        assert_eq!(lanes, odd, "one of each lane");
        for leased in &taken {
            world.settle(leased.lease, Outcome::done()).await;
        }
    }
    assert_eq!(world.stats().await.ready, 0);
}

#[tokio::test]
async fn an_unknown_job_is_not_found() {
    let world = World::new().await;
    assert_eq!(world.place(JobId::named("nothing", &[])).await, None);
}
