//! Payments that are passed on to a connected account: the platform's fee, refunds that take both back,
//! and disputes.

use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::stripe::{
    BalanceTransactionType, Client, EventFilter, ListFilter, NewPaymentIntent, NewPayout, NewRefund,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::sandbox::{bench, carrier, payment};
use super::{key, money};
use crate::bench::{Bench, http};

/// 100 USD passed on to `to`, of which the platform keeps 10.
async fn passed_on(client: &Client, to: &str) -> String {
    let params = NewPaymentIntent {
        transfer_destination: Some(to.to_owned()),
        application_fee_amount: Some(money("10", "USD")),
        ..payment("100", "USD", "pm_card_bypassPending")
    };
    client.platform().create_payment_intent(&params, &key("passed-on")).await.unwrap().value.id
}

/// What the platform and the carrier can use.
async fn held(client: &Client, carrier: &str) -> (Decimal, Decimal) {
    let (ours, theirs) = (client.platform().balance().await, client.account(carrier).balance().await);
    let sum = |available: Vec<payfleet_core::Money>| available.iter().map(|money| money.amount()).sum();
    (sum(ours.unwrap().value.available), sum(theirs.unwrap().value.available))
}

fn usd(ours: i64, theirs: i64) -> (Decimal, Decimal) {
    (Decimal::new(ours, 2), Decimal::new(theirs, 2))
}

async fn raw(bench: &Bench, path: &str) -> Value {
    let url = format!("{}/v1/{path}", bench.sandbox.url());
    let asked = http().get(url).header("authorization", "Bearer sandbox-api-key");
    asked.send().await.unwrap().json().await.unwrap()
}

async fn kinds(client: &Client, of: &str) -> Vec<String> {
    let filter = EventFilter { types: vec![of.to_owned()], ..EventFilter::default() };
    let mut events = client.platform().all_events(&filter).await.unwrap();
    events.reverse();
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_refund_takes_the_transfer_and_the_fee_back_in_proportion_and_to_the_last_cent() {
    let (bench, client) = bench().await;
    let (us, to) = (client.platform(), carrier(&client).await);
    let paid = passed_on(&client, &to).await;
    // Stripe's 3.20 are the platform's.
    assert_eq!(held(&client, &to).await, usd(680, 9_000));
    let both = |amount: Option<&str>| NewRefund {
        amount: amount.map(|amount| money(amount, "USD")),
        reverse_transfer: Some(true),
        refund_application_fee: Some(true),
        ..NewRefund::of(paid.clone())
    };
    us.create_refund(&both(Some("33.33")), &key("a")).await.unwrap();
    assert_eq!(held(&client, &to).await, usd(347, 6_000), "3.33 of the fee, 33.33 of the transfer");
    us.create_refund(&both(None), &key("b")).await.unwrap();
    assert_eq!(held(&client, &to).await, usd(-320, 0));
    let fee = raw(&bench, "application_fees").await["data"][0].clone();
    assert_eq!((&fee["amount_refunded"], &fee["refunded"]), (&json!(1_000), &json!(true)));
    let want = ["application_fee.created", "application_fee.refunded", "application_fee.refunded"];
    assert_eq!(kinds(&client, "application_fee.*").await, want);
    assert_eq!(
        kinds(&client, "transfer.*").await,
        ["transfer.created", "transfer.updated", "transfer.reversed"]
    );
    let booked = client.account(&to).all_balance_transactions(&ListFilter::default()).await.unwrap();
    let back = booked.iter().filter(|one| one.kind == BalanceTransactionType::ApplicationFeeRefund);
    assert_eq!(back.count(), 2);
}

#[tokio::test]
async fn a_refund_without_them_is_the_platforms_alone() {
    let (_bench, client) = bench().await;
    let (us, to) = (client.platform(), carrier(&client).await);
    let paid = passed_on(&client, &to).await;
    us.create_refund(&NewRefund::of(paid), &key("a")).await.unwrap();
    assert_eq!(held(&client, &to).await, usd(-9_320, 9_000));
}

#[tokio::test]
async fn a_transfer_that_cannot_come_back_refuses_the_whole_refund() {
    let (bench, client) = bench().await;
    let (us, to) = (client.platform(), carrier(&client).await);
    let paid = passed_on(&client, &to).await;
    client.account(&to).create_payout(&NewPayout::of(money("90", "USD")), &key("out")).await.unwrap();
    let before = (held(&client, &to).await, bench.effects().await);
    let refund = NewRefund { reverse_transfer: Some(true), ..NewRefund::of(paid) };
    let error = us.create_refund(&refund, &key("a")).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Retryable, "balance_insufficient"));
    assert_eq!((held(&client, &to).await, bench.effects().await), before, "nothing is half done");

    let plain = us.create_payment_intent(&payment("10", "USD", "pm_card_visa"), &key("b")).await.unwrap();
    let refund = NewRefund { reverse_transfer: Some(true), ..NewRefund::of(plain.value.id) };
    let error = us.create_refund(&refund, &key("c")).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Terminal, "parameter_invalid"));
}

async fn answer(bench: &Bench, dispute: &str, evidence: &str) -> Value {
    let url = format!("{}/v1/disputes/{dispute}", bench.sandbox.url());
    let asked = http().post(url).header("authorization", "Bearer sandbox-api-key");
    let body = format!("evidence[uncategorized_text]={evidence}");
    asked.body(body).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_dispute_takes_the_payment_back_until_it_is_won() {
    for (evidence, status, left) in [("winning_evidence", "won", 8_180), ("losing_evidence", "lost", -1_820)]
    {
        let (bench, client) = bench().await;
        let us = client.platform();
        let params = payment("100", "USD", "pm_card_createDispute");
        let paid = us.create_payment_intent(&params, &key("a")).await.unwrap().value;
        let disputed = raw(&bench, "disputes").await["data"][0].clone();
        assert_eq!(disputed["payment_intent"], json!(paid.id));
        let error = us.create_refund(&NewRefund::of(paid.id), &key("b")).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (OutcomeClass::Terminal, "charge_disputed"));
        let ended = answer(&bench, disputed["id"].as_str().unwrap(), evidence).await;
        assert_eq!(ended["status"], status);
        let told = kinds(&client, "charge.dispute.*").await;
        assert_eq!(told.len(), if status == "won" { 4 } else { 3 }, "{told:?}");
        bench.clock.advance_ms(crate::bench::SETTLE_MS);
        let left_of = us.balance().await.unwrap().value.available[0].amount();
        assert_eq!(left_of, Decimal::new(left, 2), "{status}: and 15.00 it costs");
    }
}
