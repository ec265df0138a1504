//! Heleket's account: services, prices, balances, transfers, test webhooks, and what its own library
//! was measured to do after each status, against what our classes make of it.

use payfleet_core::address::Network;
use payfleet_core::provider::Provider;
use payfleet_core::{Classify, Money, OutcomeClass};
use payfleet_providers::heleket::{Client, Pretended, Wallet};
use serde_json::{Value, json};

use crate::bench::{Bench, SETTLE_MS, accepted, clients, failed, key, payout};

fn usdt(amount: &str) -> Money {
    Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap()
}

fn heleket(bench: &Bench) -> &Client {
    bench.clients.heleket().unwrap()
}

async fn held(bench: &Bench, wallet: Wallet) -> String {
    let balances = heleket(bench).balances().await.unwrap();
    let usdt = balances.into_iter().find(|held| held.wallet == wallet && held.currency == "USDT");
    usdt.unwrap().amount.normalize().to_string()
}

#[tokio::test]
async fn services_tell_the_limits_of_each_coin_on_each_network() {
    let bench = Bench::start(Provider::Heleket).await;
    let services = heleket(&bench).services().await.unwrap();
    let tron = services.iter().find(|service| service.currency == "USDT" && service.network == "TRON");
    let tron = tron.unwrap();
    assert!(tron.is_available);
    assert_eq!((tron.least.to_string(), tron.most.to_string()), ("0.5".to_owned(), "10000000".to_owned()));
    assert_eq!(tron.fee.to_string(), "0.30000000");
}

#[tokio::test]
async fn a_preview_is_what_the_payout_then_costs() {
    let bench = Bench::start(Provider::Heleket).await;
    let preview = heleket(&bench).preview(&usdt("100"), Network::Tron).await.unwrap();
    assert_eq!(preview.merchant_amount, preview.amount + preview.commission);
    let paid = accepted(bench.client().call(&payout("100"), &key(Provider::Heleket, "a")).await);
    assert_eq!(paid.fee, Some(preview.commission));
    assert_eq!(bench.effects().await.len(), 1, "asking for a price pays nothing");
}

#[tokio::test]
async fn the_preview_is_asked_for_where_the_settings_say() {
    let bench = Bench::start(Provider::Heleket).await;
    let other = clients(&bench.sandbox.url(), |config| {
        config.preview_path = payfleet_providers::heleket::PreviewPath::Calc;
    });
    other.heleket().unwrap().preview(&usdt("1"), Network::Tron).await.unwrap();
    assert_eq!(bench.read("_calls").await["calls"], json!({ "/v1/payout/calc": 1 }));
}

#[tokio::test]
async fn balances_follow_payouts_and_transfers() {
    let bench = Bench::start(Provider::Heleket).await;
    assert_eq!(held(&bench, Wallet::Business).await, "1000000000");
    accepted(bench.client().call(&payout("10"), &key(Provider::Heleket, "a")).await);
    heleket(&bench).transfer(Wallet::Personal, &usdt("100")).await.unwrap();
    heleket(&bench).transfer(Wallet::Business, &usdt("40")).await.unwrap();
    assert_eq!(held(&bench, Wallet::Business).await, "999999929.7");
    assert_eq!(held(&bench, Wallet::Personal).await, "60");
    let bench = bench.restart().await;
    assert_eq!(held(&bench, Wallet::Personal).await, "60");
}

#[tokio::test]
async fn a_payout_that_failed_gives_its_money_back() {
    let bench = Bench::start(Provider::Heleket).await;
    bench.plan("/v1/payout", json!({ "ends": "fail" })).await;
    accepted(bench.client().call(&payout("10"), &key(Provider::Heleket, "a")).await);
    assert_eq!(held(&bench, Wallet::Business).await, "999999989.7");
    bench.clock.advance_ms(SETTLE_MS);
    assert_eq!(held(&bench, Wallet::Business).await, "1000000000");
}

#[tokio::test]
async fn a_transfer_without_an_answer_is_in_doubt_and_one_of_too_much_is_not() {
    let bench = Bench::start(Provider::Heleket).await;
    let error = heleket(&bench).transfer(Wallet::Business, &usdt("1")).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Retryable, "insufficient_funds"));
    bench.plan("/v1/transfer/to-personal", json!("reset_after_effect")).await;
    let error = heleket(&bench).transfer(Wallet::Personal, &usdt("1")).await.unwrap_err();
    assert_eq!(error.class(), OutcomeClass::Ambiguous);
    assert_eq!(held(&bench, Wallet::Personal).await, "1");
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn balances_need_the_payment_key_and_no_other() {
    let bench = Bench::start(Provider::Heleket).await;
    for (payment_key, code) in [(None, "no_payment_key"), (Some("sandbox-secret"), "unauthorized")] {
        let other = clients(&bench.sandbox.url(), |config| config.payment_key = payment_key.map(Into::into));
        assert_eq!(other.heleket().unwrap().balances().await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_test_webhook_needs_a_url_of_a_length_they_take() {
    let bench = Bench::start(Provider::Heleket).await;
    let usdt = "USDT".parse().unwrap();
    let ask = async |url: &str| {
        heleket(&bench).test_webhook(Pretended::Payout, url, usdt, Network::Tron, "paid").await
    };
    assert_eq!(ask("https://shop.example/hooks").await, Ok(()));
    for url in ["x", &format!("https://{}", "x".repeat(150))] {
        assert_eq!(ask(url).await.unwrap_err().code(), "url_length");
    }
    assert_eq!(bench.effects().await.len(), 0);
}

/// The statuses of a recorded plan: `500,500,200` or `500 x4`.
fn statuses(plan: &str) -> Vec<u16> {
    match plan.split_once(" x") {
        Some((status, times)) => vec![status.parse().unwrap(); times.parse().unwrap()],
        None => plan.split(',').map(|status| status.parse().unwrap()).collect(),
    }
}

/// Their library sends again after 5xx only, under the same `order_id`. So may we: those are in doubt,
/// and the same key resolves it. After a 429 we wait, which it does not; a refusal ends both.
#[tokio::test]
async fn the_recorded_retry_plans_come_to_the_same_end() {
    let vectors = include_str!("../../jobs/providers/vectors/heleket_wire.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let plans = vectors["sdk_retry_behaviour_default_3_retries"].as_array().unwrap();
    for plan in plans {
        let name = plan["Name"].as_str().unwrap();
        let statuses = statuses(name);
        let bench = Bench::start(Provider::Heleket).await;
        for status in statuses.iter().filter(|status| **status != 200) {
            let body = if *status == 422 {
                r#"{"state":1,"errors":{"amount":["validation.required"]}}"#
            } else {
                r#"{"state":1,"message":"m"}"#
            };
            let headers = json!({ "content-type": "application/json" });
            let answer = json!({ "status": status, "headers": headers, "body": body });
            bench.plan("/v1/payout", json!({ "answer": answer })).await;
        }
        let key = key(Provider::Heleket, name);
        let attempts = plan["Attempts"].as_u64().unwrap();
        for attempt in 1..=attempts {
            let reply = bench.client().call(&payout("1"), &key).await;
            if attempt == attempts && plan["Outcome"] == "ok" {
                accepted(reply);
                continue;
            }
            let (class, code) = failed(reply);
            let want = match statuses[usize::try_from(attempt).unwrap() - 1] {
                401 | 403 | 422 => OutcomeClass::Terminal,
                429 => OutcomeClass::RateLimited { retry_after_ms: None },
                // 5xx, and a 404 whose words nobody documented: never a new order, only this one.
                _ => OutcomeClass::Ambiguous,
            };
            assert_eq!(class, want, "{name}, attempt {attempt}: {code}");
        }
        bench.all_faults_fired().await;
        let paid = usize::from(plan["Outcome"] == "ok");
        assert_eq!(bench.effects().await.len(), paid, "{name}");
    }
    assert_eq!(plans.len(), 8);
}
