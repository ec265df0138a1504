//! Payouts at Heleket.

use payfleet_core::provider::{Action, DoubtPolicy, Finding, Progress, Provider};
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use serde_json::json;

use crate::bench::{Bench, SETTLE_MS, START_MS, accepted, failed, key, listed, mint, payout};

const PAYOUT: &str = "/v1/payout";

#[tokio::test]
async fn a_payout_goes_from_process_to_paid() {
    let bench = Bench::start(Provider::Heleket).await;
    let key = key(Provider::Heleket, "a");
    let report = accepted(bench.client().call(&payout("15.5"), &key).await);
    assert_eq!((report.progress, report.raw_status.as_str()), (Progress::Pending, "process"));
    assert_eq!(report.money.unwrap().to_string(), "15.5 USDT");
    assert_eq!(report.network.as_deref(), Some("TRON"));
    assert_eq!(report.destination.as_deref(), Some("TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm"));
    assert_eq!(report.fee.unwrap().to_string(), "0.30000000");
    assert_eq!(report.tx_hash, None);

    bench.clock.advance_ms(SETTLE_MS / 2);
    let polled = bench.client().poll(&payout("1"), &report.provider_ref, None).await.unwrap();
    assert_eq!((polled.progress, polled.raw_status.as_str()), (Progress::Pending, "check"));
    assert!(polled.tx_hash.is_some(), "it is broadcast");

    bench.clock.advance_ms(SETTLE_MS / 2);
    let polled = bench.client().poll(&payout("1"), &report.provider_ref, None).await.unwrap();
    assert_eq!(polled.progress, Progress::Succeeded);
    let effects = bench.effects().await;
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0]["reference"], bench.client().reference(&key));
    assert_eq!(effects[0]["amount"], "15.5");
    assert_eq!(effects[0]["status"], "paid");
}

#[tokio::test]
async fn a_payout_that_ends_badly_has_failed_only_once_it_is_final() {
    let bench = Bench::start(Provider::Heleket).await;
    bench.plan(PAYOUT, json!({ "ends": "fail" })).await;
    let report = accepted(bench.client().call(&payout("1"), &key(Provider::Heleket, "a")).await);
    assert_eq!(report.progress, Progress::Pending);
    bench.clock.advance_ms(SETTLE_MS);
    let polled = bench.client().poll(&payout("1"), &report.provider_ref, None).await.unwrap();
    assert_eq!(polled.progress, Progress::Failed { reason: "fail".to_owned() });
}

#[tokio::test]
async fn the_same_key_pays_once_however_often_it_is_sent() {
    let bench = Bench::start(Provider::Heleket).await;
    assert!(matches!(
        bench.client().doubt(Action::Payout),
        DoubtPolicy::SameKey { window_ms: 86_400_000, .. }
    ));
    let key = key(Provider::Heleket, "a");
    let first = accepted(bench.client().call(&payout("15.5"), &key).await);
    let again = accepted(bench.client().call(&payout("15.5"), &key).await);
    assert_eq!(first, again);
    // Heleket compares nothing: the answer tells what exists, not what was asked.
    let other = accepted(bench.client().call(&payout("99"), &key).await);
    assert_eq!(other.money, first.money);
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn a_call_that_had_its_effect_and_no_answer_is_in_doubt_and_found_again() {
    for (name, fault, code) in [
        ("reset", json!("reset_after_effect"), "connection_lost"),
        ("500", json!("effect_then_500"), "http_500"),
    ] {
        let bench = Bench::start(Provider::Heleket).await;
        bench.plan(PAYOUT, fault).await;
        let (effect, key) = (payout("3"), key(Provider::Heleket, name));
        let outcome = failed(bench.client().call(&effect, &key).await);
        assert_eq!(outcome, (OutcomeClass::Ambiguous, code.to_owned()));
        let Finding::Found { report } =
            bench.client().look_up(&effect, &key, Timestamp::from_unix_ms(0)).await
        else {
            panic!("{name}: it is there");
        };
        assert_eq!(report, accepted(bench.client().call(&effect, &key).await));
        assert_eq!(bench.effects().await.len(), 1, "{name}");
        bench.all_faults_fired().await;
    }
}

#[tokio::test]
async fn a_call_that_never_had_its_effect_is_in_doubt_all_the_same() {
    let bench = Bench::start(Provider::Heleket).await;
    for (fault, code) in [(json!("reset_before"), "connection_lost"), (json!({ "status": 503 }), "http_503")]
    {
        bench.plan(PAYOUT, fault).await;
        let (effect, key) = (payout("3"), key(Provider::Heleket, code));
        let outcome = failed(bench.client().call(&effect, &key).await);
        assert_eq!(outcome, (OutcomeClass::Ambiguous, code.to_owned()));
        // Not found is no proof: it might still be on its way.
        let finding = bench.client().look_up(&effect, &key, Timestamp::from_unix_ms(0)).await;
        assert!(matches!(finding, Finding::StillUnknown { .. }), "{finding:?}");
    }
    assert_eq!(bench.effects().await.len(), 0);
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn a_call_that_is_held_can_be_abandoned_and_still_has_its_effect() {
    let bench = Bench::start(Provider::Heleket).await;
    bench.plan(PAYOUT, json!("hold")).await;
    let (effect, key) = (payout("3"), key(Provider::Heleket, "a"));
    {
        let call = std::pin::pin!(bench.client().call(&effect, &key));
        let held = std::pin::pin!(bench.read("_held?at_least=1"));
        match futures::future::select(call, held).await {
            futures::future::Either::Right((held, _)) => assert_eq!(held["held"], json!([PAYOUT])),
            futures::future::Either::Left((reply, _)) => panic!("it was to be held: {reply:?}"),
        }
        // Here the caller dies.
    }
    assert_eq!(bench.effects().await.len(), 0);
    bench.tell("_release", "").await;
    let happened = bench.read("_effects?at_least=1").await;
    assert_eq!(happened["effects"][0]["reference"], bench.client().reference(&key));
    accepted(bench.client().call(&effect, &key).await);
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn another_amount_and_an_unknown_status_are_reported_as_they_are() {
    let bench = Bench::start(Provider::Heleket).await;
    bench.plan(PAYOUT, json!("wrong_amount")).await;
    let wrong = accepted(bench.client().call(&payout("3"), &key(Provider::Heleket, "a")).await);
    assert_eq!(wrong.money.unwrap().to_string(), "4 USDT");
    bench.plan(PAYOUT, json!("unknown_status")).await;
    let unknown = accepted(bench.client().call(&payout("3"), &key(Provider::Heleket, "b")).await);
    assert_eq!((unknown.progress, unknown.raw_status.as_str()), (Progress::Unknown, "held_by_the_moon"));
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn the_list_has_every_page_of_the_window_and_nothing_else() {
    let bench = Bench::start(Provider::Heleket).await;
    let mut expected = Vec::new();
    for number in 0..40 {
        let key = key(Provider::Heleket, &number.to_string());
        accepted(bench.client().call(&payout("1"), &key).await);
        // The first and the last five lie outside.
        if (5..35).contains(&number) {
            expected.push(bench.client().reference(&key));
        }
        bench.clock.advance_ms(60_000);
    }
    let at = |minutes: i64| Timestamp::from_unix_ms(START_MS + minutes * 60_000);
    let listed = listed(bench.client(), at(5), at(35)).await.unwrap();
    let mut references: Vec<String> = listed.into_iter().filter_map(|entry| entry.our_reference).collect();
    references.reverse();
    assert_eq!(references, expected);
}

#[tokio::test]
async fn a_page_that_is_missing_makes_the_whole_list_an_error() {
    let bench = Bench::start(Provider::Heleket).await;
    for number in 0..16 {
        accepted(bench.client().call(&payout("1"), &key(Provider::Heleket, &number.to_string())).await);
    }
    let window = (Timestamp::from_unix_ms(START_MS), Timestamp::from_unix_ms(START_MS + 1_000));
    assert_eq!(listed(bench.client(), window.0, window.1).await.unwrap().len(), 16);
    // The first page comes after a while, the second does not come.
    bench.plan("/v1/payout/list", json!({ "latency_ms": 1 })).await;
    bench.plan("/v1/payout/list", json!({ "status": 500 })).await;
    let error = listed(bench.client(), window.0, window.1).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Retryable, "http_500"));
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn an_amount_below_the_least_is_refused_for_good() {
    let bench = Bench::start(Provider::Heleket).await;
    let outcome = failed(bench.client().call(&payout("0.1"), &key(Provider::Heleket, "a")).await);
    assert_eq!(outcome, (OutcomeClass::Terminal, "amount_too_small".to_owned()));
    let outcome = failed(bench.client().call(&mint("1"), &key(Provider::Heleket, "b")).await);
    assert_eq!(outcome, (OutcomeClass::Terminal, "not_offered".to_owned()));
    assert_eq!(bench.effects().await.len(), 0);
}
