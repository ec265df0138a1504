//! Keys as Stripe keeps them, faults, restarts, and what callers are refused for.

use std::sync::Arc;

use payfleet_core::provider::REPLAYED_FAILURE;
use payfleet_core::provider::{Progress, Provider};
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::sandbox;
use payfleet_providers::stripe::{Metadata, NewPaymentIntent, NewPayout, REFERENCE};
use serde_json::json;

use super::sandbox::{bench, fund, payment};
use super::{client, key, money};
use crate::bench::{Bench, http};

const DAY_MS: i64 = 24 * 3_600_000;

#[tokio::test]
async fn a_key_is_answered_the_same_for_a_day_and_anew_after_it() {
    let (bench, client) = bench().await;
    let us = client.platform();
    let params = payment("10", "USD", "pm_card_visa");
    let first = us.create_payment_intent(&params, &key("a")).await.unwrap();
    let again = us.create_payment_intent(&params, &key("a")).await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.value.id, again.value.id);
    assert_ne!(first.request_id, again.request_id);
    bench.clock.advance_ms(DAY_MS - 1);
    assert!(us.create_payment_intent(&params, &key("a")).await.unwrap().replayed);
    assert_eq!(bench.effects().await.len(), 1);
    bench.clock.advance_ms(1);
    let forgotten = us.create_payment_intent(&params, &key("a")).await.unwrap();
    assert_ne!(forgotten.value.id, first.value.id, "after a day the same key pays again");
    assert_eq!(bench.effects().await.len(), 2);
}

#[tokio::test]
async fn another_request_under_a_key_is_refused_and_changes_nothing() {
    let (bench, client) = bench().await;
    let us = client.platform();
    us.create_payment_intent(&payment("10", "USD", "pm_card_visa"), &key("a")).await.unwrap();
    let other = us.create_payment_intent(&payment("11", "USD", "pm_card_visa"), &key("a")).await.unwrap_err();
    assert_eq!((other.class(), other.code()), (OutcomeClass::Terminal, "idempotency_error"));
    let elsewhere = us.create_payout(&NewPayout::of(money("10", "USD")), &key("a")).await.unwrap_err();
    assert_eq!(elsewhere.code(), "idempotency_error", "keys are of the account, not of the URL");
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn failed_validation_is_not_remembered() {
    let (_bench, client) = bench().await;
    let us = client.platform();
    let small =
        us.create_payment_intent(&payment("0.1", "USD", "pm_card_visa"), &key("a")).await.unwrap_err();
    assert_eq!((small.class(), small.code()), (OutcomeClass::Terminal, "amount_too_small"));
    let large = payment("1000000", "USD", "pm_card_visa");
    assert_eq!(us.create_payment_intent(&large, &key("a")).await.unwrap_err().code(), "amount_too_large");
    assert!(
        !us.create_payment_intent(&payment("1", "USD", "pm_card_visa"), &key("a")).await.unwrap().replayed
    );
}

#[tokio::test]
async fn a_stored_500_is_all_its_key_is_ever_told_whatever_happened() {
    for (word, effects) in [("stored_500", 0), ("stored_500_after_effect", 1)] {
        let (bench, client) = bench().await;
        let us = client.platform();
        bench.plan("/v1/payment_intents", json!({ "ends": word })).await;
        let params = payment("10", "USD", "pm_card_visa");
        let first = us.create_payment_intent(&params, &key("a")).await.unwrap_err();
        assert_eq!((first.class(), first.code()), (OutcomeClass::Ambiguous, "http_500"));
        let again = us.create_payment_intent(&params, &key("a")).await.unwrap_err();
        assert_eq!((again.class(), again.code()), (OutcomeClass::Ambiguous, REPLAYED_FAILURE));
        assert_eq!(bench.effects().await.len(), effects, "{word}");
        let listed =
            us.all_payment_intents(&payfleet_providers::stripe::ListFilter::default()).await.unwrap();
        assert_eq!(listed.len(), effects, "only looking tells");
        bench.all_faults_fired().await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_again_under_its_key_and_by_our_reference() {
    for (fault, code) in [("reset_after_effect", "connection_lost"), ("effect_then_500", "http_500")] {
        let (bench, client) = bench().await;
        let us = client.platform();
        bench.plan("/v1/payment_intents", json!(fault)).await;
        let mut params = payment("10", "USD", "pm_card_visa");
        params.metadata = Metadata::from([(REFERENCE.to_owned(), "ours-1".to_owned())]);
        let lost = us.create_payment_intent(&params, &key("a")).await.unwrap_err();
        assert_eq!((lost.class(), lost.code()), (OutcomeClass::Ambiguous, code));
        let found = us.create_payment_intent(&params, &key("a")).await.unwrap();
        assert!(found.replayed, "{fault}");
        let query = format!("metadata['{REFERENCE}']:'ours-1'");
        let searched = us.search_payment_intents(&query).await.unwrap();
        assert_eq!(searched.data.len(), 1);
        let effects = bench.effects().await;
        assert_eq!(effects.len(), 1);
        assert_eq!(effects[0]["reference"], "ours-1");
    }
}

#[tokio::test]
async fn a_key_that_stripe_forgets_pays_twice_which_only_the_reference_shows() {
    let (bench, client) = bench().await;
    let us = client.platform();
    bench.plan("/v1/payment_intents", json!("forget_key")).await;
    let params = payment("10", "USD", "pm_card_visa");
    us.create_payment_intent(&params, &key("a")).await.unwrap();
    assert!(!us.create_payment_intent(&params, &key("a")).await.unwrap().replayed);
    let references: Vec<_> = bench.effects().await.iter().map(|effect| effect["reference"].clone()).collect();
    assert_eq!(references, [json!("a"), json!("a")]);
}

#[tokio::test]
async fn a_key_in_use_is_told_to_come_back() {
    let (bench, client) = bench().await;
    bench.plan("/v1/payment_intents", json!("hold_inside")).await;
    let client = Arc::new(client);
    let first = {
        let client = Arc::clone(&client);
        payfleet_process::spawn("the first call", async move {
            client.platform().create_payment_intent(&payment("10", "USD", "pm_card_visa"), &key("a")).await
        })
    };
    bench.read("_held?at_least=1").await;
    let params = payment("10", "USD", "pm_card_visa");
    let second = client.platform().create_payment_intent(&params, &key("a")).await.unwrap_err();
    assert_eq!(second.http_status(), Some(409));
    assert_eq!(second.code(), "idempotency_key_in_use");
    assert_eq!(second.class(), OutcomeClass::RateLimited { retry_after_ms: None });
    bench.tell("_release", "").await;
    first.await.unwrap().unwrap();
    assert!(client.platform().create_payment_intent(&params, &key("a")).await.unwrap().replayed);
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn what_was_answered_before_a_crash_is_known_after_it() {
    let (bench, client_before) = bench().await;
    fund(&client_before, "100").await;
    let params = NewPayout::of(money("10", "USD"));
    let payout = client_before.platform().create_payout(&params, &key("a")).await.unwrap().value;
    let effects = bench.effects().await;
    let bench = bench.restart().await;
    let client = client(&bench.sandbox.url(), "sandbox-api-key");
    let again = client.platform().create_payout(&params, &key("a")).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.value, payout);
    assert_eq!(bench.effects().await, effects);
    assert_eq!(client.platform().balance().await.unwrap().value.available, [money("86.8", "USD")]);
}

#[tokio::test]
async fn more_calls_than_the_limit_are_put_off_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(Provider::Stripe).await;
    let mut options = bench.options.clone();
    options.dir = dir.path().to_owned();
    options.per_second = std::num::NonZeroU32::new(2);
    let sandbox = sandbox::start_stripe(options).await.unwrap();
    let client = client(&sandbox.url(), "sandbox-api-key");
    for _ in 0..2 {
        client.platform().balance().await.unwrap();
    }
    let params = payment("10", "USD", "pm_card_visa");
    let error = client.platform().create_payment_intent(&params, &key("a")).await.unwrap_err();
    assert_eq!(error.class(), OutcomeClass::RateLimited { retry_after_ms: None });
    assert!(error.to_string().contains("global-rate"), "{error}");
    bench.clock.advance_ms(1_000);
    assert!(!client.platform().create_payment_intent(&params, &key("a")).await.unwrap().replayed);
}

#[tokio::test]
async fn a_wrong_key_another_account_and_unknown_parameters_are_refused() {
    let (bench, right) = bench().await;
    let wrong = client(&bench.sandbox.url(), "another");
    let error = wrong.platform().balance().await.unwrap_err();
    assert_eq!((error.class(), error.http_status()), (OutcomeClass::Terminal, Some(401)));
    let error = right.account("acct_1").balance().await.unwrap_err();
    assert_eq!((error.class(), error.http_status()), (OutcomeClass::Terminal, Some(403)));
    let url = format!("{}/v1/payment_intents", bench.sandbox.url());
    for (body, code) in [
        ("amount=100&currency=usd&colour=red", "parameter_unknown"),
        ("currency=usd", "parameter_missing"),
        ("amount=1.5&currency=usd", "parameter_invalid_integer"),
        ("amount=100&currency=doge", "parameter_invalid"),
        ("amount=%zz", "parameter_invalid"),
    ] {
        let asked = http().post(&url).header("authorization", "Bearer sandbox-api-key").body(body);
        let answer: serde_json::Value = asked.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{body}");
    }
}

#[tokio::test]
async fn another_amount_and_an_unknown_status_survive_as_they_are() {
    let (bench, client) = bench().await;
    let us = client.platform();
    bench.plan("/v1/payment_intents", json!("wrong_amount")).await;
    let wrong = us.create_payment_intent(&payment("10", "USD", "pm_card_visa"), &key("a")).await.unwrap();
    assert_eq!(wrong.value.amount_received, money("11", "USD"));
    let report = wrong.report.unwrap();
    assert_eq!((report.money, report.provider_ref), (Some(money("11", "USD")), wrong.value.id));
    bench.plan("/v1/payment_intents", json!("unknown_status")).await;
    let made = us.create_payment_intent(&NewPaymentIntent::of(money("10", "USD")), &key("b")).await.unwrap();
    assert_eq!(made.value.status.as_str(), "held_by_the_moon");
    assert_eq!(made.report.unwrap().progress, Progress::Unknown);
    bench.all_faults_fired().await;
}
