//! Fleet-wide circuit breakers: when they open, how they find back, what operators force.

use std::time::Duration;

use payfleet_core::Timestamp;
use payfleet_queue::Error;
use payfleet_queue::limits::{
    Admission, Breaker, BreakerPolicy, Circuit, ForcedBreaker, Pass, Transition, Verdict,
};

use crate::world::{World, after_start};

const SECOND: Duration = Duration::from_secs(1);

fn breaker(world: &World) -> Breaker {
    world.queue.breaker("mail-api:send", BreakerPolicy::default()).unwrap()
}

async fn admitted(breaker: &Breaker) -> Pass {
    match breaker.admit().await.unwrap() {
        Admission::Admitted(pass) => pass,
        Admission::Open { wait, .. } => panic!("it is open for {wait:?}"),
    }
}

async fn refused(breaker: &Breaker) -> (Timestamp, Duration) {
    match breaker.admit().await.unwrap() {
        Admission::Admitted(pass) => panic!("{pass:?}"),
        Admission::Open { until, wait } => (until.unwrap(), wait.unwrap()),
    }
}

async fn call(breaker: &Breaker, verdict: Verdict) -> Option<Transition> {
    let pass = admitted(breaker).await;
    breaker.report(pass, verdict, "no answer").await.unwrap()
}

async fn open(breaker: &Breaker) {
    while call(breaker, Verdict::Failure).await.is_none() {}
}

#[tokio::test]
async fn it_opens_when_half_of_enough_calls_have_failed() {
    let world = World::new().await;
    let breaker = breaker(&world);
    for _ in 0..5 {
        assert_eq!(call(&breaker, Verdict::Success).await, None);
    }
    for _ in 0..4 {
        assert_eq!(call(&breaker, Verdict::Failure).await, None);
    }
    assert_eq!(call(&breaker, Verdict::Neither).await, None);
    assert_eq!(call(&breaker, Verdict::Failure).await, Some(Transition::Opened));
    assert_eq!(refused(&breaker).await, (after_start(SECOND * 5), SECOND * 5));
    let state = breaker.state().await.unwrap();
    assert_eq!(state.circuit, Circuit::Open { until: after_start(SECOND * 5) });
    let note = state.note.unwrap();
    assert_eq!(note.since, after_start(Duration::ZERO));
    assert_eq!(note.reason, "5 of 10 calls failed, the last: no answer");
    assert_eq!(world.queue.breakers().await.unwrap(), [breaker.state().await.unwrap()]);
}

#[tokio::test]
async fn a_few_failures_or_old_ones_do_not_open_it() {
    let mut world = World::new().await;
    let breaker = breaker(&world);
    for _ in 0..9 {
        call(&breaker, Verdict::Failure).await;
    }
    world.advance(SECOND * 11).await;
    for _ in 0..9 {
        assert_eq!(call(&breaker, Verdict::Failure).await, None);
    }
    let state = breaker.state().await.unwrap();
    assert_eq!((state.circuit, state.failures), (Circuit::Closed, 9));
}

#[tokio::test]
async fn half_open_it_lets_one_probe_at_a_time_through_and_closes_when_enough_succeed() {
    let mut world = World::new().await;
    let breaker = breaker(&world);
    open(&breaker).await;
    world.advance(SECOND * 5).await;
    let probe = admitted(&breaker).await;
    assert_eq!(refused(&breaker).await.1, SECOND, "another has to wait for the probe");
    assert_eq!(breaker.state().await.unwrap().circuit, Circuit::HalfOpen);
    assert_eq!(breaker.report(probe, Verdict::Success, "").await.unwrap(), None);
    assert_eq!(call(&breaker, Verdict::Success).await, Some(Transition::Closed));
    assert_eq!(breaker.state().await.unwrap().circuit, Circuit::Closed);
    let (_one, _two) = (admitted(&breaker).await, admitted(&breaker).await);
}

#[tokio::test]
async fn each_opening_soon_after_another_lasts_longer_up_to_a_limit() {
    let mut world = World::new().await;
    let breaker = breaker(&world);
    open(&breaker).await;
    for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(refused(&breaker).await.1, SECOND * seconds);
        world.advance(SECOND * seconds).await;
        assert_eq!(call(&breaker, Verdict::Failure).await, Some(Transition::Opened));
    }
    world.advance(SECOND * 300).await;
    call(&breaker, Verdict::Success).await;
    assert_eq!(call(&breaker, Verdict::Success).await, Some(Transition::Closed));
    open(&breaker).await;
    assert_eq!(refused(&breaker).await.1, SECOND * 300, "it was closed only for a moment");
    world.advance(SECOND * 300).await;
    call(&breaker, Verdict::Success).await;
    call(&breaker, Verdict::Success).await;
    world.advance(SECOND * 300).await;
    open(&breaker).await;
    assert_eq!(refused(&breaker).await.1, SECOND * 5, "it had been well for long");
}

#[tokio::test]
async fn a_probe_that_never_reports_is_given_up_and_its_late_word_counts_no_more() {
    let mut world = World::new().await;
    let breaker = breaker(&world);
    open(&breaker).await;
    world.advance(SECOND * 5).await;
    let lost = admitted(&breaker).await;
    world.advance(SECOND * 60).await;
    let next = admitted(&breaker).await;
    assert_eq!(breaker.report(lost, Verdict::Failure, "late").await.unwrap(), None);
    assert_eq!(breaker.state().await.unwrap().circuit, Circuit::HalfOpen);
    // A probe that was not made leaves its place to another.
    assert_eq!(breaker.report(next, Verdict::Neither, "").await.unwrap(), None);
    assert_eq!(call(&breaker, Verdict::Success).await, None);
}

#[tokio::test]
async fn calls_let_through_before_it_opened_decide_nothing_afterwards() {
    let mut world = World::new().await;
    let breaker = breaker(&world);
    let before = [admitted(&breaker).await, admitted(&breaker).await];
    open(&breaker).await;
    world.advance(SECOND * 5).await;
    let _probe = admitted(&breaker).await;
    for (pass, verdict) in before.into_iter().zip([Verdict::Success, Verdict::Failure]) {
        assert_eq!(breaker.report(pass, verdict, "late").await.unwrap(), None);
    }
    assert_eq!(breaker.state().await.unwrap().circuit, Circuit::HalfOpen);
}

#[tokio::test]
async fn an_operator_forces_it_open_or_closed() {
    let world = World::new().await;
    let breaker = breaker(&world);
    breaker.force(Some(ForcedBreaker::Open), "their maintenance").await.unwrap();
    assert_eq!(breaker.admit().await.unwrap(), Admission::Open { until: None, wait: None });
    let forced = breaker.state().await.unwrap().forced.unwrap();
    assert_eq!((forced.to, forced.note.reason.as_str()), (ForcedBreaker::Open, "their maintenance"));

    breaker.force(None, "").await.unwrap();
    open(&breaker).await;
    breaker.force(Some(ForcedBreaker::Closed), "we know better").await.unwrap();
    let _pass = admitted(&breaker).await;
    breaker.force(None, "").await.unwrap();
    refused(&breaker).await;
}

#[tokio::test]
async fn what_cannot_be_a_policy_is_refused_and_names_the_field() {
    let world = World::new().await;
    let field = |change: fn(&mut BreakerPolicy)| {
        let mut policy = BreakerPolicy::default();
        change(&mut policy);
        match world.queue.breaker("x", policy) {
            Err(Error::InvalidArgument { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(field(|p| p.window = Duration::ZERO), "window");
    assert_eq!(field(|p| p.min_volume = 0), "min_volume");
    assert_eq!(field(|p| p.failure_percent = 101), "failure_percent");
    assert_eq!(field(|p| p.open = Duration::from_hours(1)), "open");
    assert_eq!(field(|p| p.probe = Duration::ZERO), "probe");
    assert_eq!(field(|p| p.probes = 0), "probes");
}
