//! Reconciliation runs: lists, reports, exports.

use payfleet_core::kinds::reconcile::{Difference, Found, Reconcile, Remedy, Side};
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, JobId, Money, Timestamp};
use payfleet_store::{ComparedPage, Step, Store};
use payfleet_tests::servers;
use payfleet_tests::store::{claim, payout_of};
use reqwest::Method;
use serde_json::{Value, json};

use crate::intake::{Answer, Intake, OTHER_TOKEN};
use payfleet::servers::RedisOptions;

async fn start() -> (Intake, Store) {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    (Intake::start_with(RedisOptions::default(), |config| config.database_url = url.into()).await, store)
}

/// A finished run that `found` differences; its number.
async fn run(store: &Store, name: &str, provider: Provider, found: Vec<Found>) -> i64 {
    let reconcile = Reconcile {
        provider,
        account: AccountId::default(),
        from: Timestamp::from_unix_ms(1_740_787_200_000),
        to: Timestamp::from_unix_ms(1_740_873_600_000),
    };
    let mut run = store.open_run(JobId::named("test", &[name.as_bytes()]), &reconcile).await.unwrap();
    let money = |amount: &str| Some(Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap());
    let mut page = ComparedPage { listed: vec![money("2"); 7], ..ComparedPage::default() };
    assert!(store.save_page(&mut run, &page, Some((Step::Ours, None))).await.unwrap());
    page = ComparedPage { held: vec![money("1.5"); 6], found, ..ComparedPage::default() };
    assert!(store.save_page(&mut run, &page, None).await.unwrap());
    run.id
}

#[tokio::test]
async fn a_run_is_listed_reported_and_exported() {
    let (intake, store) = start().await;
    let ours = claim(&store, &payout_of("one", "15.5"), "w").await.operation.id;
    let side = |reference: &str, state: &str| {
        let (reference, state) = (reference.to_owned(), state.to_owned());
        Some(Side { reference, state, money: None, note: None })
    };
    let amount = Found {
        difference: Difference::Amount,
        remedy: None,
        operation: Some(ours),
        provider_ref: Some("=ref".to_owned()),
        theirs: side("=ref", "paid"),
        ours: side("key", "settled"),
    };
    let missing = Found {
        difference: Difference::MissingHere,
        remedy: Some(Remedy::Applied),
        operation: None,
        ours: None,
        ..amount.clone()
    };
    let first = run(&store, "first", Provider::Heleket, vec![amount, missing]).await;
    let second = run(&store, "second", Provider::TrovoTech, Vec::new()).await;

    let all = intake.get("/v1/reconciliations").await;
    let ids: Vec<&Value> =
        all.body["reconciliations"].as_array().unwrap().iter().map(|run| &run["id"]).collect();
    assert_eq!(ids, [&json!(second), &json!(first)], "{all:?}");
    assert_eq!(all.body["reconciliations"][0]["differences"], 0);
    let page = intake.get("/v1/reconciliations?limit=1").await;
    let next = intake.get(&format!("/v1/reconciliations?limit=1&cursor={}", page.body["next_cursor"])).await;
    assert_eq!(
        (&next.body["reconciliations"][0]["id"], &next.body["next_cursor"]),
        (&json!(first), &Value::Null)
    );
    let of_one = intake.get("/v1/reconciliations?provider=heleket").await;
    assert_eq!(of_one.body["reconciliations"].as_array().unwrap().len(), 1);

    let report = intake.get(&format!("/v1/reconciliations/{first}")).await;
    assert_eq!((&report.body["listed"], &report.body["held"]), (&json!(7), &json!(6)), "{report:?}");
    assert_eq!(
        report.body["sums"],
        json!([
            {"difference": "amount", "asset": "USDT", "count": 1, "amount": "15.5"},
            {"difference": "missing_here", "asset": null, "count": 1, "amount": null},
        ])
    );
    assert_eq!(
        report.body["totals"],
        json!([
            {"side": "ours", "asset": "USDT", "count": 6, "amount": "9"},
            {"side": "theirs", "asset": "USDT", "count": 7, "amount": "14"},
        ])
    );
    let found = &report.body["discrepancies"];
    assert_eq!(found[0]["operation_id"], ours.to_string());
    assert_eq!(
        (&found[0]["theirs"]["state"], &found[0]["ours"]["state"]),
        (&json!("paid"), &json!("settled"))
    );
    assert_eq!((&found[0]["remedy"], &found[0]["resolved_at"]), (&Value::Null, &Value::Null));
    assert_eq!((&found[1]["remedy"], &found[1]["ours"]), (&json!("applied"), &Value::Null));
    assert!(found[1]["resolved_at"].is_string(), "what was remedied is nobody's business any more");
    let of_job = report.body["job_id"].as_str().unwrap();
    let of_job = intake.get(&format!("/v1/reconciliations?job_id={of_job}")).await;
    assert_eq!(of_job.body["reconciliations"].as_array().unwrap().len(), 1);
    assert_eq!(of_job.body["reconciliations"][0]["state"], "finished");
    let request = intake.request(Method::GET, &format!("/v1/reconciliations/{first}.csv"));
    let csv = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(
        csv.contains(",missing_here,applied,,'=ref,paid,,,,,,there: =ref paid of no amount; here: nothing,"),
        "{csv}"
    );
    intake.stop().await;
}

#[tokio::test]
async fn runs_are_the_deployments_own_and_bad_parameters_are_named() {
    let (intake, store) = start().await;
    let id = run(&store, "one", Provider::Heleket, Vec::new()).await;
    for (path, status) in
        [("/v1/reconciliations".to_owned(), 200), (format!("/v1/reconciliations/{id}"), 404)]
    {
        let request = intake.bare(Method::GET, &path).bearer_auth(OTHER_TOKEN);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_ne!(answer.body["reconciliations"][0]["id"], json!(id));
    }
    for number in ["0", "999", "one", "99999999999999999999", "1.csv.csv"] {
        intake.get(&format!("/v1/reconciliations/{number}")).await.assert_problem(404, "not-found");
    }
    for (query, field) in [
        ("provider=paypal", "provider"),
        ("job_id=x", "job_id"),
        ("limit=0", "limit"),
        ("cursor=-1", "cursor"),
    ] {
        let answer = intake.get(&format!("/v1/reconciliations?{query}")).await;
        answer.assert_problem(422, "invalid-fields");
        assert_eq!(answer.fields(), [field]);
    }
    intake.stop().await;
}

#[tokio::test]
async fn a_run_is_asked_for_once_a_key_and_bad_windows_are_named() {
    let intake = Intake::start().await;
    let body =
        json!({"provider": "tatum", "from": "2025-01-30T00:00:00.9Z", "to": "2025-01-31T00:00:00+01:00"});
    let first = intake.post("/v1/reconciliations", "k", &body).await;
    assert_eq!(first.status, 202, "{first:?}");
    let again = intake.post("/v1/reconciliations", "k", &body).await;
    assert_eq!((again.status, &again.body["job_id"]), (202, &first.body["job_id"]));
    let mut other = body.clone();
    other["provider"] = json!("stripe");
    intake.post("/v1/reconciliations", "k", &other).await.assert_problem(409, "idempotency-conflict");
    assert_eq!(intake.jobs().await, 1);
    let with = |field: &str, value: &str| {
        let mut body = body.clone();
        body[field] = json!(value);
        body
    };
    for (body, field) in [
        (with("provider", "paypal"), "provider"),
        (with("to", "2999-01-01T00:00:00Z"), "to"),
        (with("to", "2025-01-30T00:00:00Z"), "to"),
        (with("from", "2024-12-01T00:00:00Z"), "from"),
        (with("from", "yesterday"), "from"),
    ] {
        let answer = intake.post("/v1/reconciliations", "other", &body).await;
        answer.assert_problem(422, "invalid-fields");
        assert_eq!(answer.fields(), [field], "{body}");
    }
    let request = intake.bare(Method::POST, "/v1/reconciliations").bearer_auth(OTHER_TOKEN);
    let answer = Answer::of(request.header("Idempotency-Key", "k").json(&body).send().await.unwrap()).await;
    answer.assert_problem(404, "not-found");
    assert_eq!(intake.jobs().await, 1);
    intake.stop().await;
}
