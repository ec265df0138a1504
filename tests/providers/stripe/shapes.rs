//! The declared members of Stripe's objects, as its library has them: what our sandbox answers has all of
//! them and no others, each of its type; and our client reads an object of which everything that may be
//! null is, and everything that may be absent.

use payfleet_providers::stripe::{
    CustomerFields, ListFilter, NewAccountLink, NewPayout, NewRefund, NewTransfer, NewWebhookEndpoint,
};
use serde_json::{Map, Value, json};

use super::line::{Answer, Line};
use super::sandbox::{bench, carrier, fund};
use super::{client, key, money};
use crate::bench::{Bench, http};

const DECLARED: &str = include_str!("../../../jobs/providers/vectors/stripe_fields.json");

struct Declared(Value);

impl Declared {
    fn read() -> Self {
        Self(serde_json::from_str(DECLARED).unwrap())
    }

    fn fields(&self, object: &str) -> &Map<String, Value> {
        self.0["objects"][object]["fields"].as_object().unwrap()
    }

    /// What is wrong with `value` as an `object`.
    fn differences(&self, object: &str, value: &Value) -> Vec<String> {
        let fields = self.fields(object);
        let mut found = Vec::new();
        for (name, declared) in fields {
            let (bare, is_optional) = (name.trim_end_matches('?'), name.ends_with('?'));
            match value.get(bare) {
                None if is_optional => {}
                None => found.push(format!("{object}.{bare} is missing")),
                Some(member) if fits(declared.as_str().unwrap(), member) => {}
                Some(member) => found.push(format!("{object}.{bare} is {member}, declared {declared}")),
            }
        }
        let is_declared = |name: &str| fields.contains_key(name) || fields.contains_key(&format!("{name}?"));
        let others = value.as_object().unwrap().keys().filter(|name| !is_declared(name));
        found.extend(others.map(|name| format!("{object}.{name} is not declared")));
        found
    }

    /// The least an `object` can be.
    fn least(&self, object: &str) -> Value {
        let required = self.fields(object).iter().filter(|(name, _)| !name.ends_with('?'));
        let mut least = Map::new();
        for (name, declared) in required {
            let value = match (name.as_str(), declared.as_str().unwrap()) {
                ("currency", _) => json!("usd"),
                (_, declared) if declared.ends_with("| null") => Value::Null,
                (_, "string") => json!("word"),
                (_, "number") => json!(0),
                (_, "boolean") => json!(false),
                (_, declared) if declared.starts_with('\'') => json!(declared.trim_matches('\'')),
                (_, declared) if declared.starts_with("Array<") => json!([]),
                ("data", _) => json!({ "object": {} }),
                ("metadata" | "billing_details" | "invoice_settings" | "reversals", _) => json!({}),
                // An enum; all are open.
                _ => json!("a_new_word"),
            };
            least.insert(name.clone(), value);
        }
        Value::Object(least)
    }
}

/// Whether `value` is of a declared type, as far as that can be told.
fn fits(declared: &str, value: &Value) -> bool {
    declared.split(" | ").any(|one| match one {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "number" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "Metadata" => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
        one if one.starts_with('\'') => value.as_str() == Some(one.trim_matches('\'')),
        one if one.starts_with("Array<") => value.is_array(),
        _ => value.is_object() || value.is_string(),
    })
}

async fn get(bench: &Bench, path: &str, account: Option<&str>) -> Value {
    let url = format!("{}/v1/{path}", bench.sandbox.url());
    let mut asked = http().get(url).header("authorization", "Bearer sandbox-api-key");
    if let Some(account) = account {
        asked = asked.header("stripe-account", account);
    }
    asked.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn what_the_sandbox_answers_is_declared_member_by_member() {
    let (bench, client) = bench().await;
    let us = client.platform();
    let to = carrier(&client).await;
    let paid = fund(&client, "100").await;
    us.create_transfer(&NewTransfer::of(money("20", "USD"), to.clone()), &key("a")).await.unwrap();
    client.account(&to).create_payout(&NewPayout::of(money("5", "USD")), &key("b")).await.unwrap();
    us.create_refund(&NewRefund::of(paid.id), &key("c")).await.unwrap();
    let customer = us.create_customer(&CustomerFields::default(), &key("d")).await.unwrap().value.id;
    us.attach_payment_method("pm_card_visa", &customer, &key("e")).await.unwrap();
    let endpoint = NewWebhookEndpoint {
        url: "http://127.0.0.1:9/".to_owned(),
        enabled_events: vec!["topup.failed".to_owned()],
        connect: None,
    };
    us.create_webhook_endpoint(&endpoint, &key("f")).await.unwrap();

    let declared = Declared::read();
    let mut found = declared.differences("Balance", &get(&bench, "balance", None).await);
    let methods = format!("customers/{customer}/payment_methods");
    for (object, path, account) in [
        ("PaymentIntent", "payment_intents", None),
        ("Refund", "refunds", None),
        ("Transfer", "transfers", None),
        ("Payout", "payouts", Some(to.as_str())),
        ("BalanceTransaction", "balance_transactions", None),
        ("Customer", "customers", None),
        ("PaymentMethod", &methods, None),
        ("Account", "accounts", None),
        ("WebhookEndpoint", "webhook_endpoints", None),
        ("EventBase", "events", Some(to.as_str())),
    ] {
        let list = get(&bench, path, account).await;
        let newest = list["data"].get(0).unwrap_or_else(|| panic!("{object}: {list}"));
        found.extend(declared.differences(object, newest));
    }
    // The library declares what a connected account shows to others; ours is what it shows to its platform.
    found.retain(|difference| !difference.starts_with("Account.type"));
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn an_object_with_every_null_and_nothing_optional_is_read() {
    let declared = Declared::read();
    for object in [
        "PaymentIntent",
        "Refund",
        "Transfer",
        "Payout",
        "Customer",
        "PaymentMethod",
        "Account",
        "AccountLink",
        "WebhookEndpoint",
        "Balance",
        "BalanceTransaction",
        "EventBase",
    ] {
        let least = declared.least(object);
        let answer = match object {
            "BalanceTransaction" => json!({ "object": "list", "data": [least], "has_more": false }),
            _ => least,
        };
        let line = Line::start(vec![Answer::Json(200, "", answer.to_string())]).await;
        let client = client(&line.url, "sk_test_12345");
        let (us, key) = (client.platform(), key("a"));
        let ended = match object {
            "PaymentIntent" => us.payment_intent("pi_1", &[]).await.map(drop),
            "Refund" => us.refund("re_1").await.map(drop),
            "Transfer" => us.transfer("tr_1").await.map(drop),
            "Payout" => us.payout("po_1").await.map(drop),
            "Customer" => us.customer("cus_1").await.map(drop),
            "PaymentMethod" => us.detach_payment_method("pm_1", &key).await.map(drop),
            "Account" => us.connected_account("acct_1").await.map(drop),
            "AccountLink" => {
                let params = NewAccountLink {
                    account: "acct_1".to_owned(),
                    refresh_url: String::new(),
                    return_url: String::new(),
                    kind: "account_onboarding".into(),
                };
                us.create_account_link(&params, &key).await.map(drop)
            }
            "WebhookEndpoint" => {
                let params =
                    NewWebhookEndpoint { url: String::new(), enabled_events: Vec::new(), connect: None };
                us.create_webhook_endpoint(&params, &key).await.map(drop)
            }
            "Balance" => us.balance().await.map(drop),
            "BalanceTransaction" => us.balance_transactions(&ListFilter::default()).await.map(drop),
            _ => us.event("evt_1").await.map(drop),
        };
        ended.unwrap_or_else(|error| panic!("{object}: {error}"));
    }
}
