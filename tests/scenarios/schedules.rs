//! Payout schedules: what is owed is paid at their moments, once each.

use std::sync::Arc;

use futures::future::join_all;
use payfleet_core::job::Origin;
use payfleet_core::kinds::mint::Percent;
use payfleet_core::kinds::payout::{Destination, Speed};
use payfleet_core::kinds::payout_schedule::PayoutSchedule;
use payfleet_core::kinds::{Advance, NewOperation, OperationKind, Request};
use payfleet_core::{JobId, OperationId, TenantId};
use payfleet_tests::store::{ADDRESS, operation};
use payfleet_tests::stripe;
use payfleet_tests::trap::{Aim, Step};
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs::{self, Subject};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};

const SCHEDULES: &str = "/v1/payout_schedules";

/// A schedule over HTTP whose moments are years away.
async fn far_away(world: &World, key: &str) -> OperationId {
    let body = json!({
        "asset": "USDT", "network": "TRON", "address": ADDRESS, "cron": "0 0 29 2 *", "minimum": "10",
    });
    let id = world.api.post(SCHEDULES, key, &body).await.accepted();
    until_it_stands(world, id).await;
    id
}

async fn until_it_stands(world: &World, id: OperationId) {
    world
        .until("the schedule stands", async |world| {
            let view = world.store.operation(id).await.unwrap();
            view.is_some_and(|view| view.state.name() == "accepted")
        })
        .await;
}

/// A schedule that has a moment each second, which HTTP does not offer.
async fn each_second(world: &World, share: &str, minimum: Option<&str>) -> OperationId {
    let network = payfleet_core::address::Network::Tron;
    let to = Destination::Crypto { network, address: ADDRESS.to_owned() };
    each_second_to(world, ("USDT", to), share, minimum).await
}

/// The same, of another asset to somewhere else.
async fn each_second_to(
    world: &World,
    (asset, to): (&str, Destination),
    share: &str,
    minimum: Option<&str>,
) -> OperationId {
    let request = Request::PayoutSchedule(PayoutSchedule {
        asset: asset.parse().unwrap(),
        to,
        cron: "* * * * * *".to_owned(),
        zone: "UTC".to_owned(),
        share: Percent::try_from(share.to_owned()).unwrap(),
        minimum: minimum.map(|minimum| minimum.parse().unwrap()),
        reference: None,
    });
    let new = operation("each-second", request);
    let id = new.id();
    enqueue(world, &new).await;
    until_it_stands(world, id).await;
    id
}

async fn enqueue(world: &World, new: &NewOperation) {
    let subject = Subject { id: new.id(), kind: OperationKind::PayoutSchedule, tenant: TenantId::default() };
    let first = JobId::first_of(new.id());
    let mut job = jobs::advance(&subject, first, std::time::Duration::ZERO, Origin::Api).unwrap();
    let advance = Advance { operation_id: new.id(), request: Some(new.clone()), event: None };
    job.payload = serde_json::value::to_raw_value(&advance).unwrap();
    world.queue.enqueue(&[job]).await.unwrap();
}

async fn owe(world: &World, id: OperationId, key: &str, amount: &str) {
    owe_in(world, id, key, json!({"amount": amount, "asset": "USDT"})).await;
}

async fn owe_in(world: &World, id: OperationId, key: &str, body: Value) {
    let answer = world.api.post(&format!("{SCHEDULES}/{id}/dues"), key, &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
}

async fn shown(world: &World, id: OperationId) -> Value {
    world.api.get(&format!("{SCHEDULES}/{id}")).await.body
}

async fn until_owed(world: &World, id: OperationId, in_all: &str) {
    world
        .until("it is known to be owed", async |world| {
            shown(world, id).await["result"]["owed_in_all"] == json!(in_all)
        })
        .await;
}

/// Payouts of schedules, oldest first: amount and state.
async fn paid(world: &World) -> Vec<(String, String)> {
    let listed = world.api.get("/v1/payouts?origin=scheduled&limit=200").await.body;
    let of = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let mut paid: Vec<_> = listed["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (of(one, "amount"), of(one, "state")))
        .collect();
    paid.reverse();
    paid
}

async fn until_paid(world: &World, count: usize) -> Vec<(String, String)> {
    world
        .until("it is paid", async |world| {
            let paid = paid(world).await;
            paid.len() >= count && paid.iter().all(|(_, state)| state == "settled" || state == "failed")
        })
        .await;
    paid(world).await
}

async fn cancel(world: &World, id: OperationId) {
    let answer = world.api.post(&format!("{SCHEDULES}/{id}/cancel"), "unused", &json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    world
        .until("it is cancelled", async |world| {
            world.store.operation(id).await.unwrap().is_some_and(|view| view.state.name() == "failed")
        })
        .await;
}

#[tokio::test]
async fn what_is_owed_is_paid_at_the_next_moment_by_a_payout_that_says_so() {
    let world = World::start().await;
    let manual = world.api.payout("by-hand", "3").await.accepted();
    let id = each_second(&world, "50", None).await;
    owe(&world, id, "ride-1", "8").await;
    let first = until_paid(&world, 1).await.remove(0);
    assert_eq!(first, ("4".to_owned(), "settled".to_owned()), "half of what is owed");
    cancel(&world, id).await;
    world.run_until_idle().await;

    let listed = world.api.get("/v1/payouts?origin=scheduled").await.body;
    for payout in listed["operations"].as_array().unwrap() {
        assert_eq!((&payout["origin"], &payout["origin_id"]), (&json!("scheduled"), &json!(id)), "{payout}");
    }
    let listed = world.api.get("/v1/payouts?origin=manual").await.body;
    assert_eq!(listed["operations"][0]["operation_id"], json!(manual), "{listed}");
    assert_eq!(listed["operations"].as_array().unwrap().len(), 1, "{listed}");
    world.finish().await;
}

#[tokio::test]
async fn a_schedule_pays_to_a_bank_out_of_its_account_and_a_payout_that_the_bank_refuses_is_owed_again() {
    let world = World::start().await;
    let account = stripe::funded_account(&world, "carrier", "40").await;
    world.providers.plan(&world.providers.stripe, "/v1/payouts", 1, json!({"ends": "failed"})).await;
    let to = Destination::Bank { account, speed: Speed::Standard };
    let id = each_second_to(&world, ("USD", to), "100", Some("5")).await;
    owe_in(&world, id, "ride-1", json!({"amount": "25", "asset": "USD"})).await;
    let all = until_paid(&world, 2).await;
    assert_eq!(all, [("25".to_owned(), "failed".to_owned()), ("25".to_owned(), "settled".to_owned())]);
    cancel(&world, id).await;
    world.run_until_idle().await;
    let listed = world.api.get("/v1/payouts?origin=scheduled").await.body;
    for payout in listed["operations"].as_array().unwrap() {
        assert_eq!((&payout["account"], &payout["origin_id"]), (&json!(account), &json!(id)), "{payout}");
    }
    assert_eq!(stripe::balance(&world, "payouts:default").await, "25");
    world.finish().await;
}

#[tokio::test]
async fn less_than_the_minimum_waits_and_the_same_due_twice_is_one() {
    let world = World::start().await;
    let id = each_second(&world, "100", Some("10")).await;
    for _ in 0..3 {
        owe(&world, id, "ride-1", "6").await;
    }
    until_owed(&world, id, "6").await;
    let other = json!({"amount": "7", "asset": "USDT"});
    let answer = world.api.post(&format!("{SCHEDULES}/{id}/dues"), "ride-1", &other).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
    owe(&world, id, "ride-2", "5.5").await;
    assert_eq!(until_paid(&world, 1).await, [("11.5".to_owned(), "settled".to_owned())]);
    cancel(&world, id).await;
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_failed_is_owed_again() {
    let world = World::start().await;
    let refused = json!({"body": {"state": 1, "message": "Minimum amount 9 USDT"}});
    world.providers.plan(&world.providers.heleket, "/v1/payout", 1, refused).await;
    let id = each_second(&world, "100", None).await;
    owe(&world, id, "ride-1", "8").await;
    let all = until_paid(&world, 2).await;
    assert_eq!(all[0], ("8".to_owned(), "failed".to_owned()), "{all:?}");
    assert_eq!(all[1], ("8".to_owned(), "settled".to_owned()), "{all:?}");
    cancel(&world, id).await;
    world.finish().await;
}

#[tokio::test]
async fn neither_two_workers_nor_an_emptied_redis_make_a_moment_pay_twice() {
    let world = Arc::new(World::with(Setup { workers: 2, ..Setup::default() }).await);
    let id = each_second(&world, "100", None).await;
    join_all((0..20).map(|n| {
        let world = Arc::clone(&world);
        async move { owe(&world, id, &format!("ride-{n}"), "1").await }
    }))
    .await;
    until_owed(&world, id, "20").await;
    let client = redis::Client::open(world.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    world
        .until("all of it is paid", async |world| {
            let paid = paid(world).await;
            let sum: Decimal = paid.iter().map(|(amount, _)| amount.parse::<Decimal>().unwrap()).sum();
            assert!(sum <= Decimal::from(20), "more than was owed: {paid:?}");
            sum == Decimal::from(20) && paid.iter().all(|(_, state)| state == "settled")
        })
        .await;
    cancel(&world, id).await;
    Arc::into_inner(world).unwrap().finish().await;
}

/// At both ends of the transaction that makes the payout: what is known of the moment is all or nothing.
#[tokio::test]
async fn a_worker_killed_at_a_moment_neither_forgets_it_nor_pays_it_twice() {
    for step in [Step::Before("children_insert"), Step::Committed("children_insert"), Step::BeforeSettle] {
        let mut world = World::start().await;
        let id = each_second(&world, "100", None).await;
        world.stop_workers().await;
        owe(&world, id, "ride-1", "8").await;
        let job = JobId::named("owed", &[id.as_uuid().as_bytes(), b"ride-1"]);
        let aim = Aim { operation: Some(id), job, step };
        let (victim, trap) = world.trapped_worker("victim", aim, &[]).await;
        trap.sprung().await;
        victim.kill().await;
        trap.open();
        world.add_worker();
        assert_eq!(until_paid(&world, 1).await, [("8".to_owned(), "settled".to_owned())], "{step:?}");
        cancel(&world, id).await;
        assert_eq!(paid(&world).await.len(), 1, "{step:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_schedule_is_shown_rests_until_its_moment_and_pays_nothing_once_it_is_cancelled() {
    let world = World::start().await;
    let id = far_away(&world, "monthly").await;
    owe(&world, id, "ride-1", "50").await;
    until_owed(&world, id, "50").await;
    let view = shown(&world, id).await;
    assert_eq!((&view["cron"], &view["zone"]), (&json!("0 0 29 2 *"), &json!("UTC")), "{view}");
    assert_eq!((&view["share"], &view["minimum"]), (&json!("100"), &json!("10")), "{view}");
    let wrong = json!({"amount": "1", "asset": "USDC"});
    world.api.post(&format!("{SCHEDULES}/{id}/dues"), "other-asset", &wrong).await;
    world.until("a person is told", async |world| world.store.open_discrepancies().await.unwrap() == 1).await;
    assert_eq!(paid(&world).await, []);
    cancel(&world, id).await;
    assert_eq!(shown(&world, id).await["reason"], json!("cancelled"));
    let strange = OperationId::derive(&TenantId::default(), SCHEDULES, "never asked");
    let body = json!({"amount": "1", "asset": "USDT"});
    let answer = world.api.post(&format!("{SCHEDULES}/{strange}/dues"), "k", &body).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    world.finish().await;
}
