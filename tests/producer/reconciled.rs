//! Reconciliation runs: lists, reports, exports.

use payfleet_core::kinds::reconcile::{Difference, Found, Reconcile};
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, JobId, Timestamp};
use payfleet_store::{Compared, Store};
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

/// A finished run that found `differences`; its number.
async fn run(store: &Store, name: &str, provider: Provider, differences: Vec<Found>) -> i64 {
    let reconcile = Reconcile {
        provider,
        account: AccountId::default(),
        from: Timestamp::from_unix_ms(1_740_787_200_000),
        to: Timestamp::from_unix_ms(1_740_873_600_000),
    };
    let id = store.start_run(JobId::named("test", &[name.as_bytes()]), &reconcile).await.unwrap();
    let compared = Compared { listed: 7, held: 6, differences };
    store.finish_run(id, &reconcile, &compared).await.unwrap();
    id
}

#[tokio::test]
async fn a_run_is_listed_reported_and_exported() {
    let (intake, store) = start().await;
    let ours = claim(&store, &payout_of("one", "15.5"), "w").await.operation.id;
    let found = |difference, operation, detail: &str| Found {
        difference,
        operation,
        provider_ref: Some("=ref".to_owned()),
        detail: detail.to_owned(),
    };
    let differences = vec![
        found(Difference::Amount, Some(ours), "there: 16; here: 15.5"),
        found(Difference::MissingHere, None, "there: 1; here: nothing"),
    ];
    let first = run(&store, "first", Provider::Heleket, differences).await;
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
    assert_eq!(report.body["discrepancies"][0]["operation_id"], ours.to_string());
    let request = intake.request(Method::GET, &format!("/v1/reconciliations/{first}.csv"));
    let csv = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains(",'=ref,there: 1; here: nothing,"), "{csv}");
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
    for (query, field) in
        [("provider=paypal", "provider"), ("limit=0", "limit"), ("cursor=-1", "cursor"), ("state=x", "state")]
    {
        let answer = intake.get(&format!("/v1/reconciliations?{query}")).await;
        answer.assert_problem(422, "invalid-fields");
        assert_eq!(answer.fields(), [field]);
    }
    intake.stop().await;
}
