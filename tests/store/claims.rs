//! Who may write an operation, and what becomes of what the others knew.

use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::Customer;
use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::outcome::OutcomeClass;
use payfleet_core::provider::{CallOutcome, DoubtPolicy, Progress, Provider, Report};
use payfleet_core::{AccountId, JobId};
use payfleet_store::{Claim, ClaimRequest, Delivered, JobRef, Next, StoreError};
use payfleet_tests::store::{
    audit, claim, claim_again, intent, job, mint, open, operation, overdue, payout, payout_of, store,
};
use sqlx::Connection;

fn report(provider_ref: &str, progress: Progress) -> Report {
    Report::of(provider_ref, progress, "raw")
}

fn accepted(provider_ref: &str) -> CallOutcome {
    CallOutcome::Accepted { report: report(provider_ref, Progress::Pending) }
}

fn slow_down() -> CallOutcome {
    CallOutcome::Failed {
        class: OutcomeClass::RateLimited { retry_after_ms: None },
        code: "http_429".to_owned(),
        message: "slow down".to_owned(),
    }
}

fn soon(_: &State) -> Next {
    Next::After { ms: 0 }
}

#[tokio::test]
async fn a_claimer_of_an_open_intent_finds_doubt_and_the_key_of_the_intent() {
    let store = store().await;
    let new = payout("k");
    let mut first = claim(&store, &new, "a").await;
    open(&store, &mut first, "a").await;
    let key = first.intent.clone().unwrap().key;

    let second = claim_again(&store, new.id(), "b").await;
    assert_eq!(second.operation.state, State::InDoubt { intent: 1 });
    assert_eq!(second.intent.unwrap().key, key);
}

#[tokio::test]
async fn a_call_that_is_under_way_is_left_to_the_job_it_is_made_for() {
    let url = payfleet_tests::servers::database().await;
    let store = payfleet_store::Store::connect_lazy(&url, 2).unwrap();
    let new = mint("k", "bus-1", "5");
    let mut caller = claim(&store, &new, "caller").await;
    open(&store, &mut caller, "caller").await;
    let other = JobRef { id: JobId::named("another", &[]), ..job("other") };
    let request = ClaimRequest { id: new.id(), first: None, job: other, redrive: false };
    let hint = Event::Hinted { report: report("u1", Progress::Pending) };
    store.deliver(new.id(), "webhook:1", &hint).await.unwrap();
    assert!(matches!(store.claim(&request).await.unwrap(), Claim::Calling));

    let refused = Event::Called { intent: 1, outcome: slow_down() };
    store.record(&mut caller, &job("caller"), &refused, None, &soon).await.unwrap();
    assert_eq!(caller.operation.state, State::Retrying { intent: 1 });
    assert!(caller.events_wait, "what came during the call is not forgotten");

    // Nobody makes a call for that long.
    let mut caller = claim_again(&store, new.id(), "caller").await;
    open(&store, &mut caller, "caller").await;
    let older = "UPDATE operations SET updated_at = updated_at - interval '90 s'";
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::query(older).execute(&mut connection).await.unwrap();
    let Claim::Claimed(found) = store.claim(&request).await.unwrap() else { panic!("it is not young") };
    assert_eq!(found.operation.state, State::InDoubt { intent: 1 });
}

#[tokio::test]
async fn a_look_at_what_has_settled_is_asked_for_until_its_job_is_done() {
    let store = store().await;
    let customer = Customer { email: "payer@example.com".to_owned(), name: None };
    let new = operation("k", Request::Customer(customer));
    let mut first = claim(&store, &new, "a").await;
    open(&store, &mut first, "a").await;
    let made = CallOutcome::Accepted { report: report("cus_1", Progress::Succeeded) };
    let made = Event::Called { intent: 1, outcome: made };
    store.record(&mut first, &job("a"), &made, None, &soon).await.unwrap();
    let hint = Event::Hinted { report: report("cus_1", Progress::Succeeded) };
    store.deliver(new.id(), "webhook:1", &hint).await.unwrap();
    let asking = async |name: &str| {
        let job = JobRef { id: JobId::named(name, &[]), ..job("b") };
        let request = ClaimRequest { id: new.id(), first: None, job, redrive: false };
        let Claim::Claimed(claimed) = store.claim(&request).await.unwrap() else { panic!("not claimed") };
        claimed.look_now
    };
    assert!(asking("hint").await, "the hint is applied");
    assert!(asking("hint").await, "its worker died before the look had a job");
    assert!(!asking("another").await, "nothing is new to another job");
}

#[tokio::test]
async fn a_late_no_decides_where_nobody_else_could_find_out_and_nothing_was_sent_since() {
    let store = store().await;
    let new = mint("k", "bus-1", "5");
    let mut first = claim(&store, &new, "first").await;
    open(&store, &mut first, "first").await;
    let finds_it = claim_again(&store, new.id(), "finds it").await;
    assert_eq!(finds_it.operation.state, State::InDoubt { intent: 1 });
    store.keep_evidence(&first, 1, &slow_down(), DoubtPolicy::Operator).await.unwrap();
    let mut second = claim_again(&store, new.id(), "second").await;
    assert_eq!(second.operation.state, State::Retrying { intent: 1 });

    // The same answer under another claim, now that the intent is sent again.
    open(&store, &mut second, "second").await;
    claim_again(&store, new.id(), "finds it").await;
    first.version += 1;
    store.keep_evidence(&first, 1, &slow_down(), DoubtPolicy::Operator).await.unwrap();
    let third = claim_again(&store, new.id(), "third").await;
    assert_eq!(third.operation.state, State::InDoubt { intent: 1 }, "an older no says nothing of it");
    store.keep_evidence(&second, 1, &slow_down(), DoubtPolicy::LookUp).await.unwrap();
    let fourth = claim_again(&store, new.id(), "fourth").await;
    assert_eq!(fourth.operation.state, State::InDoubt { intent: 1 }, "it can be found out");
}

#[tokio::test]
async fn the_outcome_of_an_older_claim_changes_no_state_and_is_kept_as_evidence() {
    let store = store().await;
    let new = payout("k");
    let mut zombie = claim(&store, &new, "zombie").await;
    open(&store, &mut zombie, "zombie").await;
    let owner = claim_again(&store, new.id(), "owner").await;
    assert_eq!(owner.operation.state, State::InDoubt { intent: 1 });

    let event = Event::Called { intent: 1, outcome: accepted("u1") };
    let lost = store.record(&mut zombie, &job("zombie"), &event, None, &soon).await;
    assert!(matches!(lost, Err(StoreError::LostRace { .. })), "{lost:?}");
    store.keep_evidence(&zombie, 1, &accepted("u1"), DoubtPolicy::LookUp).await.unwrap();
    let view = store.operation(new.id()).await.unwrap().unwrap();
    assert_eq!(view.state, State::InDoubt { intent: 1 });

    let next = claim_again(&store, new.id(), "owner").await;
    assert_eq!(next.operation.state.provider_ref(), Some("u1"));
    assert!(next.intent.is_none(), "the doubt is resolved, so no intent is open");
}

#[tokio::test]
async fn another_request_under_the_same_key_changes_nothing() {
    let store = store().await;
    let new = payout_of("k", "15.5");
    claim(&store, &new, "a").await;
    let other = payout_of("k", "16.5");
    let request = ClaimRequest { id: other.id(), first: Some(&other), job: job("b"), redrive: false };
    assert!(matches!(store.claim(&request).await.unwrap(), Claim::Conflict));
    assert_eq!(store.operation(new.id()).await.unwrap().unwrap().request, new.request);
}

#[tokio::test]
async fn an_event_is_applied_once_however_often_it_is_delivered() {
    let store = store().await;
    let new = payout("k");
    let mut claimed = claim(&store, &new, "a").await;
    open(&store, &mut claimed, "a").await;
    let event = Event::Called { intent: 1, outcome: accepted("u1") };
    store.record(&mut claimed, &job("a"), &event, None, &soon).await.unwrap();

    let polled = Event::Polled { report: report("u1", Progress::Succeeded) };
    assert!(matches!(store.deliver(new.id(), "polled:paid", &polled).await.unwrap(), Delivered::New(_)));
    assert!(matches!(store.deliver(new.id(), "polled:paid", &polled).await.unwrap(), Delivered::Repeated(_)));
    let settled = claim_again(&store, new.id(), "a").await;
    assert!(matches!(settled.operation.state, State::Settled { .. }));
    let again = claim_again(&store, new.id(), "a").await;
    assert_eq!(again.operation.state, settled.operation.state);
    assert_eq!(audit(&store).await, []);
    assert_eq!(store.balances().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_parked_operation_stays_until_an_operator_or_news_moves_it() {
    let store = store().await;
    let new = payout("k");
    let mut claimed = claim(&store, &new, "a").await;
    let parked = Next::Parked {
        parked: payfleet_core::kinds::lifecycle::Parked::AttemptsExhausted,
        reason: "used up".to_owned(),
    };
    store.set_next(&mut claimed, &job("w"), &parked).await.unwrap();
    let request = |redrive| ClaimRequest { id: new.id(), first: None, job: job("b"), redrive };
    assert!(matches!(store.claim(&request(false)).await.unwrap(), Claim::Parked { .. }));
    assert_eq!(overdue(&store).await.len(), 0, "the rescuer leaves it alone");
    assert!(matches!(store.claim(&request(true)).await.unwrap(), Claim::Claimed(_)));
    assert_eq!(store.operation(new.id()).await.unwrap().unwrap().parked, None);
}

#[tokio::test]
async fn every_live_operation_has_a_next_wake_up() {
    let store = store().await;
    claim(&store, &payout("a"), "w").await;
    let mut claimed = claim(&store, &mint("b", "asset", "5"), "w").await;
    open(&store, &mut claimed, "w").await;
    let outcome = CallOutcome::Failed {
        class: OutcomeClass::Ambiguous,
        code: "timeout".to_owned(),
        message: "no answer".to_owned(),
    };
    let event = Event::Called { intent: 1, outcome };
    store.record(&mut claimed, &job("w"), &event, None, &soon).await.unwrap();
    assert_eq!(store.forgotten().await.unwrap(), 0);
}

#[tokio::test]
async fn events_are_matched_by_our_reference_or_the_providers() {
    let store = store().await;
    let new = payout("k");
    let mut claimed = claim(&store, &new, "a").await;
    open(&store, &mut claimed, "a").await;
    let account = AccountId::default();
    let ours = intent(&claimed).reference;
    let find = |ours: Option<String>, theirs: Option<String>| {
        let (store, account) = (store.clone(), account.clone());
        async move {
            store
                .find_by_reference(Provider::Heleket, &account, ours.as_deref(), theirs.as_deref())
                .await
                .unwrap()
        }
    };
    assert_eq!(find(Some(ours), None).await, [new.id()]);
    assert_eq!(find(None, Some("u1".to_owned())).await, []);
    let event = Event::Called { intent: 1, outcome: accepted("u1") };
    store.record(&mut claimed, &job("a"), &event, None, &soon).await.unwrap();
    assert_eq!(find(None, Some("u1".to_owned())).await, [new.id()]);
}

#[tokio::test]
async fn events_that_came_meanwhile_are_never_slept_over() {
    let store = store().await;
    let new = payout("k");
    let mut owner = claim(&store, &new, "owner").await;
    open(&store, &mut owner, "owner").await;
    let mut prober = claim_again(&store, new.id(), "prober").await;
    store.keep_evidence(&owner, 1, &accepted("u1"), DoubtPolicy::LookUp).await.unwrap();

    let parked = Next::Parked {
        parked: payfleet_core::kinds::lifecycle::Parked::InDoubt,
        reason: "nobody can tell".to_owned(),
    };
    store.set_next(&mut prober, &job("w"), &parked).await.unwrap();
    assert!(prober.events_wait);
    assert_eq!(store.operation(new.id()).await.unwrap().unwrap().parked, None);
    let next = claim_again(&store, new.id(), "next").await;
    assert_eq!(next.operation.state.provider_ref(), Some("u1"));
}

#[tokio::test]
async fn a_job_that_comes_before_the_backoff_has_run_waits_for_it() {
    let store = store().await;
    let new = payout("k");
    let mut claimed = claim(&store, &new, "a").await;
    open(&store, &mut claimed, "a").await;
    let outcome = CallOutcome::Failed {
        class: OutcomeClass::RateLimited { retry_after_ms: Some(3_600_000) },
        code: "http_429".to_owned(),
        message: "slow down".to_owned(),
    };
    let in_an_hour = |_: &State| Next::NotBefore { ms: 3_600_000 };
    let event = Event::Called { intent: 1, outcome };
    store.record(&mut claimed, &job("a"), &event, None, &in_an_hour).await.unwrap();
    let early = |redrive| ClaimRequest { id: new.id(), first: None, job: job("b"), redrive };
    let answer = store.claim(&early(false)).await.unwrap();
    assert!(matches!(answer, Claim::NotYet { ms } if ms > 3_500_000), "{answer:?}");
    assert!(matches!(store.claim(&early(true)).await.unwrap(), Claim::Claimed(_)));
}

#[tokio::test]
async fn a_failed_operation_is_still_found_by_the_providers_id() {
    let store = store().await;
    let new = payout("k");
    let mut claimed = claim(&store, &new, "a").await;
    open(&store, &mut claimed, "a").await;
    let event = Event::Called { intent: 1, outcome: accepted("u1") };
    store.record(&mut claimed, &job("a"), &event, None, &soon).await.unwrap();
    let failed = Event::Polled { report: report("u1", Progress::Failed { reason: "there".to_owned() }) };
    store.record(&mut claimed, &job("a"), &failed, None, &|_| Next::Never).await.unwrap();
    let found =
        store.find_by_reference(Provider::Heleket, &AccountId::default(), None, Some("u1")).await.unwrap();
    assert_eq!(found, [new.id()]);
}

#[tokio::test]
async fn text_with_the_character_nul_keeps_no_answer_from_being_written() {
    let store = store().await;
    let new = payout("k");
    let mut claimed = claim(&store, &new, "a").await;
    open(&store, &mut claimed, "a").await;
    let odd = Report { raw_status: "pa\0id".to_owned(), ..report("u1", Progress::Succeeded) };
    let event = Event::Called { intent: 1, outcome: CallOutcome::Accepted { report: odd } };
    store.record(&mut claimed, &job("a"), &event, None, &|_| Next::Never).await.unwrap();
    assert!(matches!(claimed.operation.state, State::Settled { .. }));
}

#[tokio::test]
async fn a_hint_that_moves_nothing_uses_up_the_version_it_is_recorded_under() {
    let store = store().await;
    let new = payout("k");
    let mut claimed = claim(&store, &new, "a").await;
    let parked = Next::Parked {
        parked: payfleet_core::kinds::lifecycle::Parked::AttemptsExhausted,
        reason: "used up".to_owned(),
    };
    store.set_next(&mut claimed, &job("w"), &parked).await.unwrap();
    let hint = Event::Hinted { report: report("u1", Progress::Pending) };
    store.deliver(new.id(), "webhook:1", &hint).await.unwrap();
    let request = |redrive| ClaimRequest { id: new.id(), first: None, job: job("b"), redrive };
    assert!(matches!(store.claim(&request(false)).await.unwrap(), Claim::Parked { .. }));
    let mut released = match store.claim(&request(true)).await.unwrap() {
        Claim::Claimed(claimed) => *claimed,
        other => panic!("not claimed: {other:?}"),
    };
    open(&store, &mut released, "b").await;
    assert_eq!(audit(&store).await, []);
}

/// A worker that is stopped drops what it is about to write, wherever that is.
#[tokio::test]
async fn a_write_that_is_given_up_at_any_moment_leaves_no_connection_that_loses_the_next() {
    let url = payfleet_tests::servers::database().await;
    let store = payfleet_store::Store::connect_lazy(&url, 1).unwrap();
    claim(&store, &payout("k"), "w").await;
    for polls in 0..40 {
        let hint = Event::Hinted { report: report("u1", Progress::Pending) };
        let key = format!("given up {polls}");
        let mut writing = Box::pin(store.deliver(payout("k").id(), &key, &hint));
        let mut left = polls;
        std::future::poll_fn(|context| {
            left -= 1;
            if left < 0 || writing.as_mut().poll(context).is_ready() {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        })
        .await;
        drop(writing);
        let kept = format!("kept {polls}");
        assert!(
            matches!(store.deliver(payout("k").id(), &kept, &hint).await, Ok(Delivered::New(_))),
            "{polls}"
        );
        let another = payfleet_store::Store::connect_lazy(&url, 1).unwrap();
        let again = another.deliver(payout("k").id(), &kept, &hint).await.unwrap();
        assert!(matches!(again, Delivered::Repeated(_)), "{polls}: it was rolled back in silence");
        another.close().await;
    }
    store.close().await;
}
