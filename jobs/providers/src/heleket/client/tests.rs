//! Every request that Heleket's own library was recorded to make, as this client makes it.

use payfleet_core::Timestamp;
use serde_json::Value;

use super::*;
use crate::heleket::wire::{Calculate, NoBody, Transfer};

fn recorded() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../../../vectors/heleket_wire.json")).unwrap();
    vectors["cases"].as_array().unwrap().clone()
}

/// A client with the merchant of `case`, and its key as both keys.
fn client(case: &Value) -> Client {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let key = text(&case["api_key"]);
    let mut config = Config::new(
        "https://api.heleket.com".to_owned(),
        text(&case["headers"]["merchant"]),
        key.clone().into(),
    );
    config.payment_key = Some(key.into());
    Client::new(config).unwrap()
}

fn sent(
    client: &Client,
    key: &SecretString,
    path: &[&str],
    query: Option<(&str, &str)>,
    body: &impl Body,
) -> Value {
    let request = client.request(key, path, query, body).unwrap();
    let url = client.http.url(&request).unwrap();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let headers: serde_json::Map<String, Value> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().into()))
        .collect();
    serde_json::json!({
        "method": request.method.as_str(),
        "path_and_query": format!("{}{query}", url.path()),
        "headers": headers,
        "body": String::from_utf8(request.body.unwrap()).unwrap(),
    })
}

fn request_of(client: &Client, name: &str) -> Value {
    let (payout, payment) = (client.payout_key(), client.configured_payment_key().unwrap());
    match name {
        "payout.create" => {
            let body = CreatePayout {
                amount: "15.5".to_owned(),
                currency: "USDT",
                order_id: "pay-0001",
                address: "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm",
                is_subtract: true,
                network: "TRON",
                url_callback: Some("https://example.com/hooks/heleket"),
            };
            sent(client, payout, &["v1", "payout"], None, &body)
        }
        "payout.info.uuid" => sent(client, payout, &["v1", "payout", "info"], None, &PayoutInfo::Uuid("u1")),
        "payout.info.order" => {
            sent(client, payout, &["v1", "payout", "info"], None, &PayoutInfo::OrderId("pay-0001"))
        }
        "payout.list" => {
            let body = PayoutList {
                date_from: filter_date(Timestamp::from_unix_ms(1_767_225_600_000)),
                date_to: filter_date(Timestamp::from_unix_ms(1_769_903_999_000)),
            };
            sent(client, payout, &["v1", "payout", "list"], Some(("cursor", "eyJpZCI6MX0")), &body)
        }
        "payout.services" => sent(client, payout, &["v1", "payout", "services"], None, &NoBody),
        "payout.calculate" => {
            let (currency, network, amount) = ("USDT", "TRON", "100".to_owned());
            let body = Calculate { currency, network, amount, is_subtract: true };
            sent(client, payout, &["v1", "payout", "calculate"], None, &body)
        }
        "transfer.to-personal" => {
            let body = Transfer { amount: "10.00".to_owned(), currency: "USDT" };
            sent(client, payout, &["v1", "transfer", "to-personal"], None, &body)
        }
        "balance" => sent(client, payment, &["v1", "balance"], None, &NoBody),
        other => panic!("a recorded request that is not made here: {other}"),
    }
}

#[test]
fn every_recorded_request_is_made_byte_for_byte() {
    let cases = recorded();
    for mut case in cases.clone() {
        let name = case["name"].as_str().unwrap().to_owned();
        let made = request_of(&client(&case), &name);
        let case = case.as_object_mut().unwrap();
        case.retain(|member, _| member != "name" && member != "api_key");
        assert_eq!(made, Value::Object(case.clone()), "{name}");
    }
    assert_eq!(cases.len(), 8);
}
