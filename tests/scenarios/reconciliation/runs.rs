//! Runs themselves: one that agrees, one whose worker dies, one that is asked for, those that come by the
//! clock, long ones.

use std::time::Duration;

use payfleet_core::provider::Provider;
use payfleet_tests::records;
use payfleet_tests::world::{Setup, World};
use serde_json::json;

use super::{compare, found, reconcile, report};

#[tokio::test]
async fn a_run_over_records_that_agree_finds_nothing_and_says_so() {
    let world = World::start().await;
    for index in 0..20 {
        world.api.payout(&format!("order-{index}"), "1.5").await.accepted();
    }
    world.run_until_idle().await;
    let report = reconcile(&world, Provider::Heleket).await;
    assert_eq!((&report["state"], &report["differences"]), (&json!("finished"), &json!(0)), "{report}");
    assert_eq!((&report["listed"], &report["held"]), (&json!(20), &json!(20)));
    let totals = |side: &str| json!({"side": side, "asset": "USDT", "count": 20, "amount": "30"});
    assert_eq!(report["totals"], json!([totals("ours"), totals("theirs")]));
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

/// Three pages of fifteen: the first worker has compared one and dies with the second.
#[tokio::test]
async fn a_run_whose_worker_was_killed_goes_on_where_it_was() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let first = world.worker_process("first").await;
    for index in 0..40 {
        world.api.payout(&format!("order-{index}"), "1.5").await.accepted();
    }
    world.run_until_idle().await;
    let list = "/v1/payout/list";
    world.providers.plan(&world.providers.heleket, list, 1, json!({ "latency_ms": 1 })).await;
    world.providers.plan(&world.providers.heleket, list, 1, json!("hold")).await;
    let comparing = reconcile(&world, Provider::Heleket);
    let killing = async {
        world.providers.held(&world.providers.heleket, 1).await;
        first.kill().await;
        world.providers.release(&world.providers.heleket).await;
        world.worker_process("second").await
    };
    let (report, second) = tokio::join!(comparing, killing);
    assert_eq!(found(&report), []);
    assert_eq!((&report["listed"], &report["held"]), (&json!(40), &json!(40)));
    let totals = |side: &str| json!({"side": side, "asset": "USDT", "count": 40, "amount": "60"});
    assert_eq!(report["totals"], json!([totals("ours"), totals("theirs")]));
    let calls = world.providers.calls_of(&world.providers.heleket, list).await;
    assert_eq!(calls, 4, "three pages, of which one was asked for twice");
    assert!(second.stop().await.success());
    world.finish().await;
}

#[tokio::test]
async fn a_run_is_asked_for_over_http_and_reported() {
    let world = World::start().await;
    let body = json!({"provider": "trovotech", "from": "2026-01-30T00:00:00Z", "to": "2026-01-31T00:00:00Z"});
    let answer = world.api.post("/v1/reconciliations", "r-1", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let report = report(&world, answer.body["job_id"].as_str().unwrap()).await;
    assert_eq!((found(&report), &report["state"]), (Vec::new(), &json!("finished")));
    assert_eq!(report["window_start"], "2026-01-30T00:00:00Z");
    world.finish().await;
}

#[tokio::test]
async fn a_provider_that_refuses_the_list_leaves_a_run_with_its_reason() {
    let world = World::start().await;
    let refused = json!({
        "status": 422, "headers": {"content-type": "application/json"},
        "body": r#"{"state":1,"errors":{"date_from":["validation.date"]}}"#,
    });
    world.providers.plan(&world.providers.heleket, "/v1/payout/list", 1, json!({ "answer": refused })).await;
    let body = json!({"provider": "heleket", "from": "2026-01-30T00:00:00Z", "to": "2026-01-31T00:00:00Z"});
    let answer = world.api.post("/v1/reconciliations", "r-1", &body).await;
    let report = report(&world, answer.body["job_id"].as_str().unwrap()).await;
    assert_eq!(report["state"], "failed", "{report}");
    assert!(report["failure"].as_str().unwrap().contains("date_from"), "{report}");
    world.finish().await;
}

#[tokio::test]
async fn every_window_is_compared_once_however_many_workers_there_are() {
    let reconcile_every = Some(Duration::from_hours(24));
    let world = World::with(Setup { workers: 3, reconcile_every, ..Setup::default() }).await;
    let list = async |world: &World| {
        world.api.get("/v1/reconciliations?limit=200").await.body["reconciliations"].clone()
    };
    // Eight windows of each of the four.
    world
        .until("all are compared", async |world| {
            let runs = list(world).await;
            let runs = runs.as_array().unwrap();
            runs.len() >= 32 && runs.iter().all(|run| run["state"] == "finished")
        })
        .await;
    world.run_until_idle().await;
    let runs = list(&world).await;
    let windows =
        runs.as_array().unwrap().iter().map(|run| format!("{} {}", run["provider"], run["window_start"]));
    let windows: std::collections::BTreeSet<String> = windows.collect();
    assert_eq!(windows.len(), runs.as_array().unwrap().len(), "{runs}");
    world.finish().await;
}

#[tokio::test]
async fn long_records_are_compared_to_the_last_entry_at_every_provider() {
    let world = World::start().await;
    for provider in Provider::ALL {
        let window = records::agree(&world, provider, 450).await;
        let report = compare(&world, provider, window).await;
        assert_eq!(found(&report), [], "{provider}");
        assert_eq!((&report["listed"], &report["held"]), (&json!(450), &json!(450)), "{provider}: {report}");
        if provider != Provider::TrovoTech {
            assert_eq!(report["totals"][0]["amount"], "675", "{provider}");
            assert_eq!(report["totals"][1]["amount"], "675", "{provider}");
        }
    }
    world.leave().await;
}

/// 100,000 at each with `PAYFLEET_FULL=1` (`make test-full`).
#[tokio::test]
async fn a_long_record_is_compared_in_little_memory() {
    let is_full = std::env::var_os("PAYFLEET_FULL").is_some_and(|value| value == "1");
    let count = if is_full { 100_000 } else { 3_000 };
    for provider in Provider::ALL {
        let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
        let window = records::agree(&world, provider, count).await;
        let worker = world.worker_process("comparing").await;
        let report = compare(&world, provider, window).await;
        assert_eq!(
            (&report["listed"], &report["held"]),
            (&json!(count), &json!(count)),
            "{provider}: {report}"
        );
        assert_eq!(report["differences"], 0, "{provider}");
        let peak = worker.peak_mib();
        assert!(peak < 100, "{provider}: {peak} MiB");
        assert!(worker.stop().await.success());
        world.leave().await;
    }
}
