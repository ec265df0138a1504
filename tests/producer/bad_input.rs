//! Everything a caller can get wrong: each is refused with a problem that says what and where, and
//! nothing is enqueued.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::intake::{Answer, Intake, mint, payout, with, without};

#[tokio::test]
async fn each_wrong_field_of_a_payout_is_named_and_nothing_is_enqueued() {
    let intake = Intake::start().await;
    let evm = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let cases = [
        ("negative amount", with(payout(), "amount", json!("-1")), "amount", "without sign"),
        ("zero amount", with(payout(), "amount", json!("0.00")), "amount", "greater than zero"),
        ("too precise", with(payout(), "amount", json!("1.1234567")), "amount", "6 decimals"),
        ("too large", with(payout(), "amount", json!("9".repeat(39))), "amount", "larger"),
        ("exponent", with(payout(), "amount", json!("1e3")), "amount", "plain decimal"),
        ("empty amount", with(payout(), "amount", json!("")), "amount", "plain decimal"),
        ("amount as a float", with(payout(), "amount", json!(15.5)), "amount", "send a decimal string"),
        ("amount as a number", with(payout(), "amount", json!(15)), "amount", "send a decimal string"),
        ("amount as an object", with(payout(), "amount", json!({})), "amount", "string"),
        ("no amount", without(payout(), "amount"), "amount", "required"),
        ("null amount", with(payout(), "amount", Value::Null), "amount", "required"),
        ("unknown asset", with(payout(), "asset", json!("DOGE")), "asset", "known codes"),
        ("another network's asset", with(payout(), "asset", json!("BTC")), "asset", "TRON carries"),
        ("asset as a number", with(payout(), "asset", json!(1)), "asset", "string"),
        ("unknown network", with(payout(), "network", json!("TRC20")), "network", "known networks"),
        ("another network's address", with(payout(), "address", json!(evm)), "address", "TRON"),
        (
            "mistyped address",
            with(payout(), "address", json!("TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqn")),
            "address",
            "checksum",
        ),
        ("no address", without(payout(), "address"), "address", "required"),
        ("long reference", with(payout(), "reference", json!("x".repeat(201))), "reference", "200"),
        ("control characters", with(payout(), "reference", json!("a\u{0}b")), "reference", "control"),
        ("unknown field", with(payout(), "adress", json!("x")), "adress", "not a field"),
    ];
    for (name, body, field, message) in cases {
        let answer = intake.post("/v1/payouts", "key", &body).await;
        answer.assert_problem(422, "invalid-fields");
        assert_eq!(answer.fields(), [field], "{name}: {answer:?}");
        let said = answer.body["errors"][0]["message"].as_str().unwrap();
        assert!(said.contains(message), "{name}: {said}");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn each_wrong_field_of_a_mint_is_named_and_nothing_is_enqueued() {
    let intake = Intake::start().await;
    let metadata_only_name = json!({"name": "Van 1"});
    let cases: [(Value, &[&str]); 14] = [
        (with(mint(), "fraction_owned", json!(12.5)), &["fraction_owned"]),
        (with(mint(), "fraction_owned", json!("0")), &["fraction_owned"]),
        (with(mint(), "fraction_owned", json!("100.0001")), &["fraction_owned"]),
        (with(mint(), "investor_wallet", json!("TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm")), &["investor_wallet"]),
        (with(mint(), "asset_type", json!("Boat")), &["asset_type"]),
        (with(mint(), "asset_id", json!("")), &["asset_id"]),
        (with(mint(), "amount", json!("0.001")), &["amount"]),
        (with(mint(), "asset_metadata", json!("a van")), &["asset_metadata"]),
        (
            with(mint(), "asset_metadata", metadata_only_name),
            &[
                "asset_metadata.type",
                "asset_metadata.purchase_date",
                "asset_metadata.purchase_price",
                "asset_metadata.lifespan_years",
            ],
        ),
        (with(mint(), "asset_metadata.purchase_price", json!(5.5)), &["asset_metadata.purchase_price"]),
        (
            with(mint(), "asset_metadata.purchase_date", json!("28.02.2025")),
            &["asset_metadata.purchase_date"],
        ),
        (with(mint(), "asset_metadata.lifespan_years", json!(-1)), &["asset_metadata.lifespan_years"]),
        (with(mint(), "asset_metadata.lifespan_years", json!("8")), &["asset_metadata.lifespan_years"]),
        (without(mint(), "asset_metadata"), &["asset_metadata"]),
    ];
    for (body, fields) in cases {
        let answer = intake.post("/v1/mints", "key", &body).await;
        answer.assert_problem(422, "invalid-fields");
        assert_eq!(answer.fields(), fields, "{answer:?}");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn each_wrong_field_of_what_stripe_does_is_named_and_nothing_is_enqueued() {
    let intake = Intake::start().await;
    let id = "5a88b422-6dee-86f7-a3ca-fd294a9b7141";
    let payment = || json!({"amount": "19.99", "asset": "USD"});
    let refund = || json!({"payment": id, "amount": "5", "asset": "USD"});
    let change = || json!({"payment": id, "change": "capture"});
    let transfer = || json!({"account": id, "amount": "5", "asset": "USD"});
    let bank = || json!({"account": id, "amount": "5", "asset": "USD", "speed": "instant"});
    let account = || json!({"country": "US", "email": "a@b.example"});
    let link =
        || json!({"account": id, "refresh_url": "https://a.example", "return_url": "https://b.example"});
    let method = || json!({"customer": id, "payment_method": "pm_1", "change": "attach"});
    let cases = [
        ("/v1/payments", with(payment(), "amount", json!("0.49")), "amount", "no less than 0.5"),
        ("/v1/payments", with(payment(), "amount", json!("1000000")), "amount", "larger"),
        ("/v1/payments", with(payment(), "amount", json!(1999)), "amount", "decimal string"),
        ("/v1/payments", with(payment(), "asset", json!("USDT")), "asset", "Stripe does not move"),
        ("/v1/payments", json!({"amount": "1.5", "asset": "JPY"}), "amount", "0 decimals"),
        ("/v1/payments", json!({"amount": "1.234", "asset": "KWD"}), "amount", "as fine"),
        ("/v1/payments", with(payment(), "customer", json!("cus_1")), "customer", "operation_id"),
        ("/v1/payments", with(payment(), "capture", json!("later")), "capture", "manual"),
        ("/v1/payments", with(payment(), "payment_method", json!("pm/1")), "payment_method", "id of Stripe"),
        ("/v1/refunds", with(refund(), "payment", json!("pi_1")), "payment", "operation_id"),
        ("/v1/refunds", with(refund(), "amount", json!("-5")), "amount", "without sign"),
        ("/v1/refunds", with(refund(), "reason", json!("regret")), "reason", "duplicate"),
        ("/v1/payment_changes", with(change(), "change", json!("void")), "change", "cancel"),
        (
            "/v1/payment_changes",
            with(change(), "payment_method", json!("pm_1")),
            "payment_method",
            "only for confirm",
        ),
        ("/v1/payment_changes", with(change(), "amount", json!("5")), "asset", "required"),
        ("/v1/transfers", without(transfer(), "account"), "account", "required"),
        ("/v1/transfers", with(transfer(), "amount", json!("0")), "amount", "greater than zero"),
        ("/v1/payouts", with(bank(), "speed", json!("now")), "speed", "instant"),
        ("/v1/payouts", without(bank(), "account"), "account", "required"),
        ("/v1/payouts", with(bank(), "address", json!("x")), "address", "does not go with"),
        (
            "/v1/payouts",
            with(with(bank(), "asset", json!("HUF")), "amount", json!("10.45")),
            "amount",
            "as fine",
        ),
        ("/v1/payouts", json!({"amount": "5", "asset": "USD"}), "address", "or account"),
        ("/v1/accounts", with(account(), "country", json!("us")), "country", "upper-case"),
        ("/v1/accounts", with(account(), "email", json!("carrier")), "email", "e-mail"),
        ("/v1/account_links", with(link(), "return_url", json!("http://b.example")), "return_url", "https"),
        ("/v1/account_links", with(link(), "refresh_url", json!("/again")), "refresh_url", "https"),
        ("/v1/payment_methods", with(method(), "change", json!("keep")), "change", "attach"),
        ("/v1/customers", json!({"name": "A Payer"}), "email", "required"),
        ("/v1/customers", json!({"email": "a@b.example", "phone": "1"}), "phone", "not a field"),
    ];
    for (path, body, field, message) in cases {
        let answer = intake.post(path, "key", &body).await;
        answer.assert_problem(422, "invalid-fields");
        assert_eq!(answer.fields(), [field], "{path}: {answer:?}");
        let said = answer.body["errors"][0]["message"].as_str().unwrap();
        assert!(said.contains(message), "{path}: {said}");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn all_mistakes_of_a_body_are_reported_together() {
    let intake = Intake::start().await;
    let body = json!({"amount": 1, "asset": "DOGE", "network": "TRC20", "memo": "x"});
    let answer = intake.post("/v1/payouts", "key", &body).await;
    answer.assert_problem(422, "invalid-fields");
    assert_eq!(answer.fields(), ["asset", "amount", "network", "address", "memo"]);
    intake.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let intake = Intake::start().await;
    for body in ["", "{", "[]", "null", "amount=1", "{\"amount\": \"1\",}", "{\"amount\": \"1\"} {}"] {
        let request = intake.request(Method::POST, "/v1/payouts").header("Idempotency-Key", "key");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        Answer::of(request.send().await.unwrap()).await.assert_problem(400, "broken-json");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_field_that_is_sent_twice_is_refused() {
    let intake = Intake::start().await;
    let body = payout().to_string().replacen('{', "{\"amount\": \"1\",", 1);
    let request = intake.request(Method::POST, "/v1/payouts").header("Idempotency-Key", "key");
    let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body);
    let answer = Answer::of(request.send().await.unwrap()).await;
    answer.assert_problem(422, "invalid-fields");
    assert_eq!(answer.fields(), ["amount"]);
    intake.stop().await;
}

#[tokio::test]
async fn another_media_type_or_a_compressed_body_is_refused() {
    let intake = Intake::start().await;
    let request = || intake.request(Method::POST, "/v1/payouts").header("Idempotency-Key", "key");
    let body = payout().to_string();
    for request in [
        request().body(body.clone()),
        request().header(CONTENT_TYPE, "text/plain").body(body.clone()),
        request().header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.clone()),
        request().header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, "gzip").body(body),
    ] {
        Answer::of(request.send().await.unwrap()).await.assert_problem(415, "unsupported-media-type");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_missing_or_malformed_idempotency_key_is_refused() {
    let intake = Intake::start().await;
    let long = "k".repeat(256);
    for key in [None, Some(""), Some("two words"), Some("caf\u{e9}"), Some(long.as_str())] {
        let mut request = intake.request(Method::POST, "/v1/payouts").json(&payout());
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.assert_problem(400, "invalid-header");
        assert_eq!(answer.fields(), ["Idempotency-Key"], "{key:?}");
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_refused_whatever_else_is_right() {
    let intake = Intake::start().await;
    let wrong =
        [None, Some("Bearer wrong"), Some("Bearer "), Some("Basic dG9rZW4="), Some("token-of-the-shop")];
    for authorization in wrong {
        for (method, path) in [
            (Method::POST, "/v1/payouts"),
            (Method::POST, "/v1/mints"),
            (Method::GET, "/v1/payouts/5a88b422-6dee-86f7-a3ca-fd294a9b7141"),
            (Method::GET, "/v1/mints/5a88b422-6dee-86f7-a3ca-fd294a9b7141"),
            (Method::GET, "/v1/operations"),
            (Method::GET, "/v1/payouts.csv"),
            (Method::GET, "/v1/operations/statistics?limit=wrong"),
        ] {
            let mut request = intake.bare(method, path).header("Idempotency-Key", "key").json(&payout());
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let answer = Answer::of(request.send().await.unwrap()).await;
            answer.assert_problem(401, "unauthorized");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{answer:?}");
        }
    }
    assert_eq!(intake.jobs().await, 0);
    intake.stop().await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let intake = Intake::start().await;
    for path in ["/", "/v1", "/v1/payouts/", "/v2/payouts", "/webhooks", "/webhooks/paypal", "/%ff"] {
        intake.post(path, "key", &payout()).await.assert_problem(404, "not-found");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/payouts", "POST,GET,HEAD"),
        (Method::POST, "/v1/operations", "GET,HEAD"),
        (Method::DELETE, "/v1/payouts/5a88b422-6dee-86f7-a3ca-fd294a9b7141", "GET,HEAD"),
        (Method::PUT, "/webhooks/stripe", "POST"),
        (Method::POST, "/healthz", "GET,HEAD"),
    ] {
        let answer = Answer::of(intake.request(method, path).send().await.unwrap()).await;
        answer.assert_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
    intake.stop().await;
}
