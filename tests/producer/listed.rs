//! Lists, exports and statistics of operations.

use payfleet::servers::{PostgresOptions, PostgresServer, RedisOptions};
use payfleet_core::kinds::OperationKind;
use payfleet_store::Store;
use payfleet_tests::servers;
use payfleet_tests::store::{claim, mint, payout_of};
use reqwest::Method;
use serde_json::Value;
use sqlx::PgPool;

use crate::intake::{Answer, Intake, OTHER_TOKEN};

/// A producer and operations for it to list.
struct Listed {
    intake: Intake,
    store: Store,
    pool: PgPool,
}

impl Listed {
    async fn start() -> Self {
        Self::on(servers::database().await).await
    }

    async fn on(url: String) -> Self {
        let store = Store::connect_lazy(&url, 2).unwrap();
        let pool = PgPool::connect(&url).await.unwrap();
        let intake =
            Intake::start_with(RedisOptions::default(), |config| config.database_url = url.into()).await;
        Self { intake, store, pool }
    }

    /// A payout, made at `made`.
    async fn payout(&self, key: &str, amount: &str, made: &str) {
        claim(&self.store, &payout_of(key, amount), "w").await;
        self.change(key, &format!("created_at = '{made}'")).await;
    }

    async fn change(&self, key: &str, set: &str) {
        let sql = format!("UPDATE operations SET {set} WHERE idempotency_key = '{key}'");
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }

    /// As many operations like the one called `key`, a second apart.
    async fn multiply(&self, key: &str, count: u32) {
        let sql = "INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider,
                account, state, state_data, version, created_at, amount, asset)
            SELECT gen_random_uuid(), tenant, kind, idempotency_key || '-' || n, request_hash, request, provider,
                account, state, state_data, version, created_at + n * interval '1 second', amount, asset
            FROM operations, generate_series(1, $2) AS n WHERE idempotency_key = $1";
        sqlx::query(sql).bind(key).bind(i32::try_from(count).unwrap()).execute(&self.pool).await.unwrap();
    }

    /// What is at `path`. While Postgres is slower than the producer waits, it says 503 and to ask again.
    async fn get(&self, path: &str) -> Answer {
        loop {
            let answer = self.intake.get(path).await;
            if answer.status != 503 {
                return answer;
            }
        }
    }

    /// The keys on the page at `path`, and the cursor of the next one.
    async fn page(&self, path: &str) -> (Vec<String>, Option<String>) {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let operations = answer.body["operations"].as_array().unwrap();
        let keys = operations.iter().map(|one| one["idempotency_key"].as_str().unwrap().to_owned());
        (keys.collect(), answer.body["next_cursor"].as_str().map(str::to_owned))
    }

    async fn keys(&self, path: &str) -> Vec<String> {
        self.page(path).await.0
    }

    /// The lines of the CSV at `path`, each as its cells.
    async fn lines(&self, path: &str) -> Vec<Vec<String>> {
        let response = self.intake.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
        assert!(response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        records(&response.text().await.unwrap())
    }
}

fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn pages_hold_every_operation_once_however_many_are_made_meanwhile() {
    let listed = Listed::start().await;
    for (key, second) in [("a", 1), ("b", 2), ("c", 2), ("d", 2), ("e", 3)] {
        listed.payout(key, "1", &format!("2025-03-01T00:00:0{second}Z")).await;
    }
    let (mut seen, mut cursor) = listed.page("/v1/operations?limit=2").await;
    while let Some(after) = cursor {
        listed.payout(&format!("new-{}", seen.len()), "1", "2025-03-01T00:00:09Z").await;
        let (page, next) = listed.page(&format!("/v1/operations?limit=2&cursor={after}")).await;
        assert!((1..=2).contains(&page.len()), "{page:?}");
        seen.extend(page);
        cursor = next;
    }
    assert_eq!((seen[0].as_str(), seen[4].as_str()), ("e", "a"));
    seen.sort();
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    listed.intake.stop().await;
}

#[tokio::test]
async fn each_filter_selects_what_it_names() {
    let listed = Listed::start().await;
    listed.payout("old", "1", "2025-03-01T00:00:00Z").await;
    listed.change("old", "origin = 'bonus'").await;
    listed.payout("parked", "2", "2025-03-02T00:00:00Z").await;
    listed.change("parked", "parked = 'in_doubt', parked_reason = 'why', next_wake_at = NULL").await;
    listed.payout("settled", "3", "2025-03-03T00:00:00Z").await;
    listed.change("settled", "state = 'settled'").await;
    claim(&listed.store, &mint("mint", "ev-1", "5"), "w").await;
    listed.change("mint", "created_at = '2025-03-04T00:00:00Z'").await;
    for (query, keys) in [
        ("", vec!["mint", "settled", "parked", "old"]),
        ("?kind=mint", vec!["mint"]),
        ("?state=settled", vec!["settled"]),
        ("?provider=trovotech", vec!["mint"]),
        ("?provider=stripe", vec![]),
        ("?asset=USD", vec!["mint"]),
        ("?asset=USDT&state=requested", vec!["parked", "old"]),
        ("?parked=true", vec!["parked"]),
        ("?origin=bonus", vec!["old"]),
        ("?origin=manual", vec!["settled", "parked"]),
        ("?origin=distribution", vec![]),
        ("?parked=false&kind=payout", vec!["settled", "old"]),
        ("?created_from=2025-03-03T00:00:00Z", vec!["mint", "settled"]),
        ("?created_to=2025-03-02T01:00:00%2B01:00", vec!["old"]),
        ("?created_from=2025-03-02T00:00:00Z&created_to=2025-03-03T00:00:00Z", vec!["parked"]),
    ] {
        assert_eq!(listed.keys(&format!("/v1/operations{query}")).await, keys, "{query}");
    }
    assert_eq!(listed.keys("/v1/payouts?state=requested").await, ["parked", "old"]);
    assert_eq!(listed.keys("/v1/mints").await, ["mint"]);
    listed.intake.stop().await;
}

#[tokio::test]
async fn an_operation_is_on_a_list_as_it_is_shown_by_itself() {
    let listed = Listed::start().await;
    listed.payout("one", "15.50", "2025-03-01T00:00:00Z").await;
    claim(&listed.store, &mint("two", "ev-1", "5"), "w").await;
    for endpoint in OperationKind::ALL.map(OperationKind::endpoint) {
        let page = listed.get(endpoint).await;
        for shown in page.body["operations"].as_array().unwrap() {
            for path in [endpoint, "/v1/operations"] {
                let path = format!("{path}/{}", shown["operation_id"].as_str().unwrap());
                assert_eq!(&listed.get(&path).await.body, shown, "{path}");
            }
        }
    }
    assert_eq!(listed.get("/v1/payouts").await.body["operations"][0]["amount"], "15.5");
    listed.intake.stop().await;
}

#[tokio::test]
async fn every_kind_has_its_list_its_export_and_its_read() {
    let listed = Listed::start().await;
    for endpoint in OperationKind::ALL.map(OperationKind::endpoint) {
        assert_eq!(listed.keys(endpoint).await, Vec::<String>::new());
        assert_eq!(listed.lines(&format!("{endpoint}.csv")).await.len(), 1);
        let nobodys = format!("{endpoint}/5a88b422-6dee-86f7-a3ca-fd294a9b7141");
        listed.get(&nobodys).await.assert_problem(404, "not-found");
    }
    listed.intake.stop().await;
}

#[tokio::test]
async fn another_tenant_finds_nothing() {
    let listed = Listed::start().await;
    listed.payout("one", "1", "2025-03-01T00:00:00Z").await;
    let range = "created_from=2025-01-01T00:00:00Z&created_to=2025-12-31T00:00:00Z";
    for path in ["/v1/operations", "/v1/payouts", "/v1/operations/statistics"] {
        let request = listed.intake.bare(Method::GET, &format!("{path}?{range}")).bearer_auth(OTHER_TOKEN);
        let answer = Answer::of(request.send().await.unwrap()).await;
        let found = answer.body.get("operations").or(answer.body.get("groups")).unwrap();
        assert_eq!(found, &Value::Array(Vec::new()), "{path}");
    }
    let request = listed.intake.bare(Method::GET, "/v1/operations.csv").bearer_auth(OTHER_TOKEN);
    assert_eq!(records(&request.send().await.unwrap().text().await.unwrap()).len(), 1);
    listed.intake.stop().await;
}

#[tokio::test]
async fn each_wrong_parameter_is_named_with_its_remedy() {
    let listed = Listed::start().await;
    let everywhere = [
        ("state=done", "state", "must be one of requested"),
        ("provider=paypal", "provider", "known are"),
        ("asset=DOGE", "asset", "known codes"),
        ("parked=maybe", "parked", "true, false"),
        ("created_from=yesterday", "created_from", "2025-02-28T00:00:00Z"),
        ("created_to=2025-02-30T00:00:00Z", "created_to", "2025-02-28T00:00:00Z"),
        ("created_from=2025-03-01T00:00:00+01:00", "created_from", "%2B"),
        (
            "created_from=2025-03-02T00:00:00Z&created_to=2025-03-02T00:00:00Z",
            "created_to",
            "later than created_from",
        ),
        ("sate=settled", "sate", "known are kind, state"),
        ("asset=USD&asset=EUR", "asset", "once"),
    ];
    let lists = [
        ("kind=loan", "kind", "must be one of payout, "),
        ("limit=0", "limit", "1 to 200"),
        ("limit=201", "limit", "1 to 200"),
        ("limit=%2B5", "limit", "1 to 200"),
        ("cursor=abc", "cursor", "next_cursor"),
        ("cursor=", "cursor", "next_cursor"),
    ];
    let statistics = [
        ("by=hour", "by", "kind, provider, state, day"),
        ("limit=5", "limit", "not a parameter"),
        ("created_from=2999-01-01T00:00:00Z", "created_from", "created_to"),
        ("created_from=2024-01-01T00:00:00Z&created_to=2025-03-01T00:00:00Z", "created_from", "366 days"),
    ];
    let exports = [("limit=5", "limit", "not a parameter"), ("cursor=abc", "cursor", "not a parameter")];
    for (path, own) in [
        ("/v1/operations", &lists[..]),
        ("/v1/operations/statistics", &statistics[..]),
        ("/v1/operations.csv", &exports[..]),
    ] {
        for (query, field, message) in everywhere.iter().chain(own) {
            let answer = listed.intake.get(&format!("{path}?{query}")).await;
            answer.assert_problem(422, "invalid-fields");
            assert_eq!(answer.fields(), [*field], "{path}?{query}");
            let said = answer.body["errors"][0]["message"].as_str().unwrap();
            assert!(said.contains(message), "{path}?{query}: {said}");
        }
    }
    let several = listed.intake.get("/v1/payouts?kind=payout&limit=x&state=x").await;
    several.assert_problem(422, "invalid-fields");
    assert_eq!(several.fields(), ["state", "limit", "kind"]);
    listed.intake.stop().await;
}

#[tokio::test]
async fn an_export_holds_the_whole_selection_and_no_formula() {
    let listed = Listed::start().await;
    listed.payout("=1+1", "12.5", "2025-03-01T00:00:00Z").await;
    listed.payout("many", "0.000001", "2025-03-02T00:00:00Z").await;
    listed
        .change(
            "many",
            "state = 'failed', state_data = '{\"state\": \"failed\", \"reason\": \"+1, \\\"no\\\"\"}'",
        )
        .await;
    listed.multiply("many", 1_200).await;
    let lines = listed.lines("/v1/payouts.csv").await;
    assert_eq!(lines.len(), 1 + 1 + 1 + 1_200);
    let column = |name: &str| lines[0].iter().position(|cell| cell == name).unwrap();
    let last = lines.last().unwrap();
    assert_eq!(last[column("idempotency_key")], "'=1+1");
    assert_eq!((last[column("amount")].as_str(), last[column("asset")].as_str()), ("12.5", "USDT"));
    assert_eq!(last[column("created_at")], "2025-03-01T00:00:00Z");
    assert_eq!(lines[1][column("reason")], "'+1, \"no\"");
    let mut ids: Vec<&String> = lines.iter().map(|line| &line[0]).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), lines.len());
    assert_eq!(listed.lines("/v1/operations.csv?state=requested").await.len(), 2);
    listed.intake.stop().await;
}

#[tokio::test]
async fn csv_comes_by_its_name_or_to_who_accepts_nothing_else() {
    let listed = Listed::start().await;
    listed.payout("one", "1", "2025-03-01T00:00:00Z").await;
    let range = "created_from=2025-03-01T00:00:00Z&created_to=2025-04-01T00:00:00Z";
    for path in ["/v1/operations", "/v1/payouts", &format!("/v1/operations/statistics?{range}")] {
        for (accept, media) in [
            ("text/csv", "text/csv"),
            ("text/csv, application/json", "application/json"),
            ("*/*", "application/json"),
        ] {
            let request = listed.intake.request(Method::GET, path).header("accept", accept);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(
                response.headers()["content-type"].to_str().unwrap().starts_with(media),
                "{path} {accept}"
            );
            if media == "text/csv" {
                assert_eq!(records(&response.text().await.unwrap()).len(), 2, "{path}");
            }
        }
    }
    listed.intake.stop().await;
}

#[tokio::test]
async fn an_export_that_cannot_be_finished_breaks_off_rather_than_end() {
    let mut postgres = PostgresServer::start(PostgresOptions::default()).await.unwrap();
    let listed = Listed::on(servers::database_on(&postgres).await).await;
    listed.payout("many", "1", "2025-03-02T00:00:00Z").await;
    // 24 MB: more than the sockets between us hold, so that it waits for its reader.
    let reason = format!("state_data = '{{\"state\": \"failed\", \"reason\": \"{}\"}}'", "x".repeat(3_000));
    listed.change("many", &reason).await;
    listed.multiply("many", 8_000).await;
    let response = listed.intake.request(Method::GET, "/v1/payouts.csv").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response;
    assert!(body.chunk().await.unwrap().is_some());
    postgres.kill().await;
    let end = loop {
        match body.chunk().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_err(), "it ended as if it were whole");
    listed.intake.stop().await;
}

#[tokio::test]
async fn statistics_count_and_sum_exactly() {
    let listed = Listed::start().await;
    listed.payout("a", "0.1", "2025-03-01T23:59:59Z").await;
    listed.payout("b", "0.2", "2025-03-02T00:00:00Z").await;
    listed.payout("c", "0.000001", "2025-03-02T12:00:00Z").await;
    listed.payout("out", "5", "2025-03-03T00:00:00Z").await;
    claim(&listed.store, &mint("m", "ev-1", "5"), "w").await;
    listed.change("m", "created_at = '2025-03-02T01:00:00Z', state = 'settled'").await;
    let groups = async |more: &str| {
        let path =
            "/v1/operations/statistics?created_from=2025-03-01T00:00:00Z&created_to=2025-03-03T00:00:00Z";
        let answer = listed.get(&format!("{path}{more}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["groups"].as_array().unwrap().clone()
    };
    let usdt = serde_json::json!({"asset": "USDT", "count": 3, "amount": "0.300001", "kind": "payout"});
    assert_eq!(groups("&by=kind&asset=USDT").await, [usdt]);
    let days = groups("&by=day").await;
    let of = |day: &str, asset: &str| {
        let found = days.iter().find(|group| group["day"] == day && group["asset"] == asset).unwrap();
        (found["count"].as_i64().unwrap(), found["amount"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("2025-03-01", "USDT"), (1, "0.1".to_owned()));
    assert_eq!(of("2025-03-02", "USDT"), (2, "0.200001".to_owned()));
    assert_eq!(of("2025-03-02", "USD"), (1, "500".to_owned()));
    assert_eq!(days.len(), 3);
    let all = groups("").await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|group| group["provider"].is_string() && group["state"].is_string()), "{all:?}");
    listed.intake.stop().await;
}

#[tokio::test]
async fn without_postgres_lists_say_so_and_what_to_do() {
    let intake = Intake::start().await;
    for path in ["/v1/operations", "/v1/payouts", "/v1/operations.csv", "/v1/operations/statistics"] {
        intake.get(path).await.assert_problem(503, "unavailable");
    }
    intake.stop().await;
}
