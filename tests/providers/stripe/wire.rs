//! Every recorded request of the official library, made by our client: the same bytes.

use std::collections::BTreeMap;

use payfleet_core::Timestamp;
use payfleet_providers::stripe::{
    AccountLinkType, BusinessType, CancellationReason, Client, Confirmation, Created, CustomerFields,
    EventFilter, ListFilter, NewAccount, NewAccountLink, NewPaymentIntent, NewPayout, NewRefund, NewReversal,
    NewTransfer, NewWebhookEndpoint, PaymentMethodFilter, PayoutMethod, Redirects, RefundReason,
};
use serde_json::Value;

use super::line::{Answer, Line, Seen};
use super::{client, key, money, vectors};

const RECORDED: &str = include_str!("../../../jobs/providers/vectors/stripe_wire.json");

/// The headers that carry meaning; one that was not recorded must not be sent.
const HEADERS: [&str; 6] =
    ["authorization", "content-type", "stripe-version", "stripe-account", "idempotency-key", "accept"];

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_unix_ms(seconds * 1000))
}

/// Makes the request called `name`. What is answered does not matter here.
async fn make(client: &Client, name: &str) {
    if name.starts_with("payment_intent.") {
        return make_payment(client, name).await;
    }
    if name.starts_with("customer") || name.starts_with("payment_method") || name.starts_with("refund") {
        return make_customer(client, name).await;
    }
    let (us, key) = (client.platform(), key("idem-0001"));
    match name {
        "account.create.express" => {
            let params = NewAccount {
                country: text("US"),
                email: text("c@example.com"),
                capabilities: vec!["card_payments".to_owned(), "transfers".to_owned()],
                business_type: Some(BusinessType::Individual),
                ..NewAccount::default()
            };
            us.create_account(&params, &key).await.unwrap_err();
        }
        "account.retrieve" => drop(us.connected_account("acct_1").await.unwrap_err()),
        "account_link.create" => {
            let params = NewAccountLink {
                account: "acct_1".to_owned(),
                refresh_url: "https://e.com/r".to_owned(),
                return_url: "https://e.com/ok".to_owned(),
                kind: AccountLinkType::Onboarding,
            };
            us.create_account_link(&params, &key).await.unwrap_err();
        }
        "transfer.create" => {
            let mut params = NewTransfer::of(money("4", "USD"), "acct_1".to_owned());
            params.transfer_group = text("ORDER_95");
            params.source_transaction = text("ch_1");
            us.create_transfer(&params, &key).await.unwrap_err();
        }
        "transfer.reverse" => {
            let params = NewReversal { amount: Some(money("1", "USD")), ..NewReversal::default() };
            us.reverse_transfer("tr_1", &params, &key).await.unwrap_err();
        }
        "webhook_endpoint.create" => {
            let params = NewWebhookEndpoint {
                url: "https://e.com/h".to_owned(),
                enabled_events: vec!["payout.paid".to_owned(), "account.updated".to_owned()],
                connect: Some(true),
            };
            us.create_webhook_endpoint(&params, &key).await.unwrap_err();
        }
        "null-and-empty" => {
            let params = CustomerFields {
                description: text(""),
                metadata: metadata(&[("gone", "")]),
                ..CustomerFields::default()
            };
            us.update_customer("cus_1", &params, &key).await.unwrap_err();
        }
        _ => make_ledger(client, name).await,
    }
}

async fn make_payment(client: &Client, name: &str) {
    let (us, key) = (client.platform(), key("idem-0001"));
    match name {
        "payment_intent.create" => {
            let mut params = NewPaymentIntent::of(money("19.99", "USD"));
            params.customer = text("cus_1");
            params.payment_method = text("pm_1");
            (params.confirm, params.off_session) = (Some(true), Some(true));
            params.automatic_payment_methods = Some(Redirects::Never);
            params.metadata = metadata(&[("order_id", "ord_1"), ("with space", "a&b=c é")]);
            us.create_payment_intent(&params, &key).await.unwrap_err();
        }
        "payment_intent.create.types-array" => {
            let mut params = NewPaymentIntent::of(money("500", "JPY"));
            params.payment_method_types = vec!["card".to_owned(), "link".to_owned()];
            params.transfer_destination = text("acct_1");
            params.application_fee_amount = Some(money("50", "JPY"));
            us.create_payment_intent(&params, &key).await.unwrap_err();
        }
        "payment_intent.retrieve.expand" => {
            us.payment_intent("pi_1", &["latest_charge", "customer"]).await.unwrap_err();
        }
        "payment_intent.confirm" => {
            let params = Confirmation {
                payment_method: text("pm_card_visa"),
                return_url: text("https://example.com/return"),
                off_session: None,
            };
            us.confirm_payment_intent("pi_1", &params, &key).await.unwrap_err();
        }
        "payment_intent.capture" => {
            us.capture_payment_intent("pi_1", Some(&money("7.5", "USD")), &key).await.unwrap_err();
        }
        "payment_intent.cancel" => {
            let reason = CancellationReason::Abandoned;
            us.cancel_payment_intent("pi_1", Some(&reason), &key).await.unwrap_err();
        }
        "payment_intent.list" => {
            let filter = ListFilter {
                limit: Some(100),
                starting_after: text("pi_1"),
                created: Created { from: at(1_760_000_000), to: at(1_760_086_400) },
                ..ListFilter::default()
            };
            us.payment_intents(&filter).await.unwrap_err();
        }
        "payment_intent.search" => {
            us.search_payment_intents("metadata['order_id']:'ord_1'").await.unwrap_err();
        }
        _ => panic!("{name}: a case nobody makes"),
    }
}

async fn make_customer(client: &Client, name: &str) {
    let (us, key) = (client.platform(), key("idem-0001"));
    match name {
        "customer.create" => {
            let params = CustomerFields {
                email: text("a@example.com"),
                name: text("Zoë /slash"),
                metadata: metadata(&[("k", "")]),
                ..CustomerFields::default()
            };
            us.create_customer(&params, &key).await.unwrap_err();
        }
        "customer.delete" => drop(us.delete_customer("cus_1").await.unwrap_err()),
        "payment_method.attach" => {
            us.attach_payment_method("pm_1", "cus_1", &key).await.unwrap_err();
        }
        "payment_method.detach" => drop(us.detach_payment_method("pm_1", &key).await.unwrap_err()),
        "customer.payment_methods.list" => {
            let filter = PaymentMethodFilter { kind: text("card"), limit: Some(3), starting_after: None };
            us.payment_methods("cus_1", &filter).await.unwrap_err();
        }
        "refund.create" => {
            let params = NewRefund {
                amount: Some(money("5", "USD")),
                reason: Some(RefundReason::RequestedByCustomer),
                metadata: metadata(&[("a", "1")]),
                ..NewRefund::of("pi_1".to_owned())
            };
            us.create_refund(&params, &key).await.unwrap_err();
        }
        "refund.list" => {
            let filter = ListFilter { payment_intent: text("pi_1"), ..ListFilter::default() };
            us.refunds(&filter).await.unwrap_err();
        }
        _ => panic!("{name}: a case nobody makes"),
    }
}

async fn make_ledger(client: &Client, name: &str) {
    let (us, carrier, key) = (client.platform(), client.account("acct_1"), key("idem-0001"));
    match name {
        "payout.create.connected" => {
            let mut params = NewPayout::of(money("50", "USD"));
            params.method = Some(PayoutMethod::Instant);
            carrier.create_payout(&params, &key).await.unwrap_err();
        }
        "payout.cancel" => drop(carrier.cancel_payout("po_1", &key).await.unwrap_err()),
        "payout.list" => {
            let filter = ListFilter {
                status: text("failed"),
                arrival_date: Created { from: at(1_760_000_000), to: None },
                limit: Some(100),
                ..ListFilter::default()
            };
            us.payouts(&filter).await.unwrap_err();
        }
        "balance.retrieve" => drop(us.balance().await.unwrap_err()),
        "balance_transactions.list" => {
            let filter = ListFilter { payout: text("po_1"), limit: Some(100), ..ListFilter::default() };
            us.balance_transactions(&filter).await.unwrap_err();
        }
        "events.list" => {
            let filter = EventFilter {
                types: vec!["payout.failed".to_owned(), "payout.paid".to_owned()],
                limit: Some(100),
                ending_before: text("evt_1"),
                delivery_success: Some(false),
                ..EventFilter::default()
            };
            us.events(&filter).await.unwrap_err();
        }
        "get-no-idempotency-default" => drop(us.event("evt_1").await.unwrap_err()),
        _ => panic!("{name}: a case nobody makes"),
    }
}

/// The recorder gave the library its options in the place of parameters, so they went out as one, under
/// a key of the library's own making. Ours goes out as it was meant.
fn as_meant(case: &Value) -> Value {
    let mut case = case.clone();
    if case["name"] == "payment_method.detach" {
        assert_eq!(case["body"], "idempotencyKey=idem-0001");
        case["body"] = "".into();
        case["headers"]["idempotency-key"] = "idem-0001".into();
    }
    case
}

fn is_as_recorded(seen: &Seen, case: &Value) {
    let name = &case["name"];
    assert_eq!(seen.method, case["method"], "{name}");
    assert_eq!(seen.path_and_query, case["path_and_query"], "{name}");
    assert_eq!(seen.body, case["body"], "{name}");
    for header in HEADERS {
        assert_eq!(seen.header(header), case["headers"][header].as_str(), "{name}: {header}");
    }
}

#[tokio::test]
async fn every_recorded_request_goes_out_byte_for_byte() {
    let cases = vectors(RECORDED);
    assert_eq!(cases.len(), 29);
    let refusal = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","message":"no"}}"#;
    let line = Line::start(vec![Answer::Json(404, "", refusal.to_owned())]).await;
    let client = client(&line.url, "sk_test_12345");
    for (number, case) in cases.iter().enumerate() {
        let name = case["name"].as_str().unwrap();
        make(&client, name).await;
        let seen = line.seen();
        assert_eq!(seen.len(), number + 1, "{name}: one call is one request");
        is_as_recorded(&seen[number], &as_meant(case));
    }
}

#[tokio::test]
async fn what_is_no_id_never_leaves() {
    let line = Line::start(vec![Answer::Reset]).await;
    let client = client(&line.url, "sk_test_12345");
    for id in ["", ".", "..", "pi_1/cancel", "pi_1?x=1", "pi 1", "pi_é"] {
        assert_eq!(client.platform().payment_intent(id, &[]).await.unwrap_err().code(), "not_an_id", "{id}");
        assert_eq!(client.account(id).balance().await.unwrap_err().code(), "not_an_id", "{id}");
    }
    assert_eq!(line.seen().len(), 0);
}
