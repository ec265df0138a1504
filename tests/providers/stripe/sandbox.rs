//! Our client at Stripe's sandbox: what each operation comes to, and that money adds up.

use payfleet_core::provider::Provider;
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use payfleet_providers::ProviderError;
use payfleet_providers::stripe::{
    AccountLinkType, BalanceTransactionType, Client, Confirmation, Created, CustomerFields, ListFilter,
    NewAccount, NewAccountLink, NewPaymentIntent, NewPayout, NewRefund, NewReversal, NewTransfer,
    PaymentIntent, PaymentIntentStatus, PaymentMethodFilter, PayoutMethod, PayoutReversal, PayoutStatus,
    RefundStatus,
};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{client, key, money};
use crate::bench::{Bench, SETTLE_MS, START_MS, http};

pub(super) async fn bench() -> (Bench, Client) {
    let bench = Bench::start(Provider::Stripe).await;
    let client = client(&bench.sandbox.url(), "sandbox-api-key");
    (bench, client)
}

/// A payment with a test payment method, confirmed at once.
pub(super) fn payment(amount: &str, asset: &str, method: &str) -> NewPaymentIntent {
    let mut params = NewPaymentIntent::of(money(amount, asset));
    params.payment_method = Some(method.to_owned());
    params.confirm = Some(true);
    params
}

/// Pays `amount` so that it is available at once.
pub(super) async fn fund(client: &Client, amount: &str) -> PaymentIntent {
    let params = payment(amount, "USD", "pm_card_bypassPending");
    let paid = client.platform().create_payment_intent(&params, &key(&format!("fund-{amount}"))).await;
    paid.unwrap().value
}

/// An Express account whose owner has been through the onboarding.
pub(super) async fn carrier(client: &Client) -> String {
    let us = client.platform();
    let params = NewAccount {
        capabilities: vec!["card_payments".to_owned(), "transfers".to_owned()],
        ..NewAccount::default()
    };
    let account = us.create_account(&params, &key("carrier")).await.unwrap().value;
    let link = NewAccountLink {
        account: account.id.clone(),
        refresh_url: "https://e.example/again".to_owned(),
        return_url: "https://e.example/done".to_owned(),
        kind: AccountLinkType::Onboarding,
    };
    let link = us.create_account_link(&link, &key("link")).await.unwrap().value;
    assert_eq!(visit(link.url.expose_secret()).await.as_deref(), Some("https://e.example/done"));
    account.id
}

/// Where a visited page leads.
async fn visit(url: &str) -> Option<String> {
    let never = reqwest::redirect::Policy::none();
    let visitor = reqwest::Client::builder().no_proxy().redirect(never).build().unwrap();
    let answer = visitor.get(url).send().await.unwrap();
    let to = answer.headers().get("location")?;
    Some(to.to_str().unwrap().to_owned())
}

fn what(error: &ProviderError) -> (OutcomeClass, &str) {
    (error.class(), error.code())
}

#[tokio::test]
async fn a_payment_is_made_confirmed_and_refunded_and_never_beyond_what_was_taken() {
    let (bench, client) = bench().await;
    let us = client.platform();
    let made = us.create_payment_intent(&NewPaymentIntent::of(money("20", "USD")), &key("a")).await.unwrap();
    assert_eq!(made.value.status, PaymentIntentStatus::RequiresPaymentMethod);
    assert!(made.request_id.is_some() && !made.replayed);
    let with = Confirmation { payment_method: Some("pm_card_visa".to_owned()), ..Confirmation::default() };
    let paid = us.confirm_payment_intent(&made.value.id, &with, &key("b")).await.unwrap().value;
    assert_eq!(paid.status, PaymentIntentStatus::Succeeded);
    assert_eq!(paid.amount_received, money("20", "USD"));

    let mut refund = NewRefund { amount: Some(money("15", "USD")), ..NewRefund::of(paid.id.clone()) };
    let part = us.create_refund(&refund, &key("c")).await.unwrap().value;
    assert_eq!((part.amount, part.status), (money("15", "USD"), Some(RefundStatus::Succeeded)));
    let error = us.create_refund(&refund, &key("d")).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Terminal, "amount_too_large"));
    refund.amount = None;
    let rest = us.create_refund(&refund, &key("e")).await.unwrap().value;
    assert_eq!(rest.amount, money("5", "USD"));
    let error = us.create_refund(&refund, &key("f")).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Terminal, "charge_already_refunded"));

    let of_it = ListFilter { payment_intent: Some(paid.id), ..ListFilter::default() };
    assert_eq!(us.all_refunds(&of_it).await.unwrap().len(), 2);
    let kinds: Vec<String> =
        bench.effects().await.iter().map(|effect| effect["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["payment_change", "payment", "refund", "refund"]);
}

#[tokio::test]
async fn every_test_card_is_declined_as_stripe_declines_it() {
    let (bench, client) = bench().await;
    for (number, (card, code)) in [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedLostCard", "lost_card"),
        ("pm_card_chargeDeclinedStolenCard", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error"),
    ]
    .into_iter()
    .enumerate()
    {
        let us = client.platform();
        let params = payment("10", "USD", card);
        let key = key(&format!("k{number}"));
        for _ in 0..2 {
            let error = us.create_payment_intent(&params, &key).await.unwrap_err();
            assert_eq!(what(&error), (OutcomeClass::Terminal, code), "{card}");
            assert_eq!(error.http_status(), Some(402));
        }
        let newest = us.payment_intents(&ListFilter::default()).await.unwrap().data.remove(0);
        assert_eq!(newest.status, PaymentIntentStatus::RequiresPaymentMethod);
        let why = newest.last_payment_error.unwrap();
        assert_eq!(why.decline_code.as_deref(), Some(code));
    }
    assert_eq!(bench.effects().await.len(), 0);
    assert_eq!(client.platform().all_payment_intents(&ListFilter::default()).await.unwrap().len(), 7);
}

#[tokio::test]
async fn a_payer_who_must_authenticate_can_and_may_fail_to() {
    let (bench, client) = bench().await;
    let us = client.platform();
    for (verdict, status) in
        [("succeed", PaymentIntentStatus::Succeeded), ("fail", PaymentIntentStatus::RequiresPaymentMethod)]
    {
        let params = payment("10", "USD", "pm_card_authenticationRequired");
        let intent = us.create_payment_intent(&params, &key(verdict)).await.unwrap().value;
        assert_eq!(intent.status, PaymentIntentStatus::RequiresAction);
        visit(&format!("{}/authenticate/{}/{verdict}", bench.sandbox.url(), intent.id)).await;
        assert_eq!(us.payment_intent(&intent.id, &["latest_charge"]).await.unwrap().value.status, status);
    }
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn an_authorization_is_captured_in_part_or_released() {
    let (bench, client) = bench().await;
    let us = client.platform();
    let mut params = payment("10", "USD", "pm_card_visa");
    params.capture_method = Some("manual".into());
    let held = us.create_payment_intent(&params, &key("a")).await.unwrap().value;
    assert_eq!(held.status, PaymentIntentStatus::RequiresCapture);
    assert_eq!(held.amount_capturable, money("10", "USD"));
    assert_eq!(bench.effects().await.len(), 0, "nothing is taken yet");
    let too_much = us.capture_payment_intent(&held.id, Some(&money("10.01", "USD")), &key("b")).await;
    assert_eq!(what(&too_much.unwrap_err()), (OutcomeClass::Terminal, "amount_too_large"));
    let taken = us.capture_payment_intent(&held.id, Some(&money("7.5", "USD")), &key("c")).await.unwrap();
    assert_eq!(taken.value.amount_received, money("7.5", "USD"));
    let error = us.cancel_payment_intent(&held.id, None, &key("d")).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Terminal, "payment_intent_unexpected_state"));

    let other = us.create_payment_intent(&params, &key("e")).await.unwrap().value;
    let released = us.cancel_payment_intent(&other.id, Some(&"abandoned".into()), &key("f")).await.unwrap();
    assert_eq!(released.value.status, PaymentIntentStatus::Canceled);
    assert_eq!(bench.effects().await.len(), 3, "a capture, what it took, a release");
}

#[tokio::test]
async fn customers_have_payment_methods_until_they_are_detached_or_deleted() {
    let (_bench, client) = bench().await;
    let us = client.platform();
    let fields = CustomerFields { name: Some("Zoë".to_owned()), ..CustomerFields::default() };
    let customer = us.create_customer(&fields, &key("a")).await.unwrap().value.id;
    let method = us.attach_payment_method("pm_card_visa", &customer, &key("b")).await.unwrap().value;
    assert_eq!(method.customer.as_ref(), Some(&customer));
    let cards = PaymentMethodFilter { kind: Some("card".to_owned()), ..PaymentMethodFilter::default() };
    assert_eq!(us.payment_methods(&customer, &cards).await.unwrap().data, std::slice::from_ref(&method));
    let detached = us.detach_payment_method(&method.id, &key("c")).await.unwrap().value;
    assert_eq!(detached.customer, None);
    assert_eq!(us.payment_methods(&customer, &cards).await.unwrap().data, []);
    assert!(us.delete_customer(&customer).await.unwrap().value.deleted);
    assert!(us.customer(&customer).await.unwrap().value.deleted);
    let error = us.delete_customer(&customer).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Terminal, "resource_missing"));
}

#[tokio::test]
async fn an_account_receives_nothing_before_it_is_enabled() {
    let (bench, client) = bench().await;
    let us = client.platform();
    fund(&client, "100").await;
    let params = NewAccount { capabilities: vec!["transfers".to_owned()], ..NewAccount::default() };
    let account = us.create_account(&params, &key("a")).await.unwrap().value;
    assert!(!account.may_receive() && !account.may_be_paid_out() && !account.details_submitted);
    assert!(account.requirements.currently_due.iter().any(|due| due == "external_account"));
    let transfer = NewTransfer::of(money("10", "USD"), account.id.clone());
    let error = us.create_transfer(&transfer, &key("b")).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Terminal, "insufficient_capabilities_for_transfer"));
    let error = client.account(&account.id).create_payout(&NewPayout::of(money("1", "USD")), &key("c")).await;
    assert_eq!(what(&error.unwrap_err()), (OutcomeClass::Terminal, "payouts_not_allowed"));
    assert_eq!(bench.effects().await.iter().filter(|effect| effect["kind"] == "transfer").count(), 0);

    let link = NewAccountLink {
        account: account.id.clone(),
        refresh_url: "https://e.example/again".to_owned(),
        return_url: "https://e.example/done".to_owned(),
        kind: AccountLinkType::Onboarding,
    };
    let link = us.create_account_link(&link, &key("d")).await.unwrap().value;
    assert_eq!(visit(link.url.expose_secret()).await.as_deref(), Some("https://e.example/done"));
    assert_eq!(visit(link.url.expose_secret()).await.as_deref(), Some("https://e.example/again"), "once");
    let enabled = us.connected_account(&account.id).await.unwrap().value;
    assert!(enabled.may_receive() && enabled.may_be_paid_out());
}

#[tokio::test]
async fn transfers_reversals_and_payouts_move_exactly_what_is_there() {
    let (bench, client) = bench().await;
    let (us, carrier_id) = (client.platform(), carrier(&client).await);
    // 2.9 % and 0.30 are Stripe's.
    fund(&client, "100").await;
    assert_eq!(us.balance().await.unwrap().value.available, [money("96.8", "USD")]);
    let transfer = NewTransfer::of(money("90", "USD"), carrier_id.clone());
    let sent = us.create_transfer(&transfer, &key("a")).await.unwrap().value;
    assert_eq!(sent.destination.as_deref(), Some(carrier_id.as_str()));
    let error = us.create_transfer(&transfer, &key("b")).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Retryable, "balance_insufficient"), "a wait, no failure");

    let part = NewReversal { amount: Some(money("30", "USD")), ..NewReversal::default() };
    us.reverse_transfer(&sent.id, &part, &key("c")).await.unwrap();
    let error = us
        .reverse_transfer(
            &sent.id,
            &NewReversal { amount: Some(money("61", "USD")), ..NewReversal::default() },
            &key("d"),
        )
        .await;
    assert_eq!(what(&error.unwrap_err()), (OutcomeClass::Terminal, "amount_too_large"));
    let now = us.transfer(&sent.id).await.unwrap().value;
    assert_eq!((now.amount_reversed, now.reversed), (money("30", "USD"), false));

    let carrier = client.account(&carrier_id);
    assert_eq!(carrier.balance().await.unwrap().value.available, [money("60", "USD")]);
    let payout = carrier.create_payout(&NewPayout::of(money("60", "USD")), &key("e")).await.unwrap().value;
    assert_eq!(payout.status, PayoutStatus::Pending);
    let joined = ListFilter { payout: Some(payout.id.clone()), ..ListFilter::default() };
    let booked = carrier.all_balance_transactions(&joined).await.unwrap();
    assert_eq!(
        booked.iter().map(|booked| &booked.kind).collect::<Vec<_>>(),
        [&BalanceTransactionType::Payout]
    );
    assert_eq!(us.payouts(&ListFilter::default()).await.unwrap().data, [], "it is the carrier's");
    let net: rust_decimal::Decimal = carrier
        .all_balance_transactions(&ListFilter::default())
        .await
        .unwrap()
        .iter()
        .map(|booked| booked.net.amount())
        .sum();
    assert!(net.is_zero());
    assert_eq!(bench.effects().await.len(), 6, "account, link, payment, transfer, reversal, payout");
}

#[tokio::test]
async fn a_payout_arrives_or_fails_or_fails_after_it_arrived() {
    let (bench, client) = bench().await;
    let us = client.platform();
    fund(&client, "100").await;
    let status = async |id: &str| us.payout(id).await.unwrap().value.status;
    let pay = async |name: &str| {
        us.create_payout(&NewPayout::of(money("10", "USD")), &key(name)).await.unwrap().value.id
    };
    let good = pay("good").await;
    bench.plan("/v1/payouts", json!({ "ends": "failed" })).await;
    let bad = pay("bad").await;
    bench.plan("/v1/payouts", json!({ "ends": "paid_then_failed" })).await;
    let late = pay("late").await;
    let stopped = pay("stopped").await;
    assert_eq!(us.cancel_payout(&stopped, &key("stop")).await.unwrap().value.status, PayoutStatus::Canceled);

    bench.clock.advance_ms(SETTLE_MS / 2);
    assert_eq!(status(&good).await, PayoutStatus::InTransit);
    let error = us.cancel_payout(&good, &key("too-late")).await;
    assert!(error.is_err());
    bench.clock.advance_ms(SETTLE_MS / 2);
    assert_eq!(status(&good).await, PayoutStatus::Paid);
    assert_eq!(status(&late).await, PayoutStatus::Paid);
    let failed = us.payout(&bad).await.unwrap().value;
    assert_eq!(failed.status, PayoutStatus::Failed);
    assert_eq!(failed.failure_code.as_deref(), Some("account_closed"));
    assert!(failed.failure_balance_transaction.is_some());
    bench.clock.advance_ms(SETTLE_MS);
    assert_eq!(status(&late).await, PayoutStatus::Failed, "paid is no end");
    assert_eq!(status(&good).await, PayoutStatus::Paid);
    // 96.8 less the one that arrived.
    assert_eq!(us.balance().await.unwrap().value.available, [money("86.8", "USD")]);
    let back = us.reverse_payout(&good, &PayoutReversal::default(), &key("back")).await.unwrap().value;
    assert_eq!(back.amount.amount(), -money("10", "USD").amount());
    assert_eq!(us.balance().await.unwrap().value.available, [money("96.8", "USD")]);
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn an_instant_payout_is_never_in_transit() {
    let (bench, client) = bench().await;
    let us = client.platform();
    fund(&client, "100").await;
    let mut params = NewPayout::of(money("10", "USD"));
    params.method = Some(PayoutMethod::Instant);
    let id = us.create_payout(&params, &key("a")).await.unwrap().value.id;
    bench.clock.advance_ms(SETTLE_MS / 2);
    assert_eq!(us.payout(&id).await.unwrap().value.status, PayoutStatus::Paid);
}

#[tokio::test]
async fn money_that_is_on_its_way_cannot_be_spent_but_can_be_passed_on() {
    let (bench, client) = bench().await;
    let (us, carrier_id) = (client.platform(), carrier(&client).await);
    let paid =
        us.create_payment_intent(&payment("50", "USD", "pm_card_visa"), &key("a")).await.unwrap().value;
    let mut transfer = NewTransfer::of(money("40", "USD"), carrier_id.clone());
    let error = us.create_transfer(&transfer, &key("b")).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Retryable, "balance_insufficient"));
    transfer.source_transaction = paid.latest_charge;
    us.create_transfer(&transfer, &key("c")).await.unwrap();
    let theirs = client.account(&carrier_id).balance().await.unwrap().value;
    assert_eq!(theirs.pending, [money("40", "USD")]);
    bench.clock.advance_ms(SETTLE_MS);
    let theirs = client.account(&carrier_id).balance().await.unwrap().value;
    assert_eq!(theirs.available, [money("40", "USD")]);
    let error = us.create_transfer(&transfer, &key("d")).await.unwrap_err();
    assert_eq!(error.code(), "transfer_source_balance_parameters_mismatch", "no charge pays twice");
}

#[tokio::test]
async fn lists_have_every_page_and_only_the_window() {
    let (bench, client) = bench().await;
    let us = client.platform();
    for number in 0..25 {
        us.create_payment_intent(&NewPaymentIntent::of(money("1", "USD")), &key(&format!("k{number}")))
            .await
            .unwrap();
        bench.clock.advance_ms(1_000);
    }
    let at = |seconds: i64| Some(Timestamp::from_unix_ms(START_MS + seconds * 1_000));
    let window =
        ListFilter { limit: Some(7), created: Created { from: at(2), to: at(22) }, ..ListFilter::default() };
    let all = us.all_payment_intents(&window).await.unwrap();
    assert_eq!(all.len(), 20);
    assert!(all.windows(2).all(|pair| pair[0].created > pair[1].created), "newest first");
    let before =
        ListFilter { limit: Some(3), ending_before: Some(all[10].id.clone()), ..ListFilter::default() };
    let newer = us.payment_intents(&before).await.unwrap();
    let ids = |intents: &[PaymentIntent]| intents.iter().map(|intent| intent.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&newer.data), newer.has_more), (ids(&all[7..10]), true));
    let too_many = ListFilter { limit: Some(101), ..ListFilter::default() };
    assert_eq!(us.payment_intents(&too_many).await.unwrap_err().code(), "parameter_invalid_integer");
    bench.plan("/v1/payment_intents", json!({ "latency_ms": 1 })).await;
    bench.plan("/v1/payment_intents", json!({ "status": 500 })).await;
    let error = us.all_payment_intents(&window).await.unwrap_err();
    assert_eq!(what(&error), (OutcomeClass::Retryable, "http_500"), "a part is not the whole");
}

#[tokio::test]
async fn every_currency_is_taken_as_it_is_written() {
    let (bench, client) = bench().await;
    let us = client.platform();
    for (amount, asset) in [("500", "JPY"), ("1.23", "KWD"), ("5", "UGX"), ("700", "ISK"), ("10.45", "HUF")] {
        let paid =
            us.create_payment_intent(&payment(amount, asset, "pm_card_bypassPending"), &key(asset)).await;
        assert_eq!(paid.unwrap().value.amount_received, money(amount, asset));
    }
    let told: Vec<_> = bench.effects().await;
    assert_eq!((&told[1]["amount"], &told[1]["asset"]), (&json!("1.23"), &json!("KWD")));
    let raw = http()
        .post(format!("{}/v1/payment_intents", bench.sandbox.url()))
        .header("authorization", "Bearer sandbox-api-key")
        .header("idempotency-key", "raw")
        .body("amount=1234&currency=kwd")
        .send()
        .await
        .unwrap();
    assert_eq!(raw.status(), 400, "the last digit of three must be 0");
}
