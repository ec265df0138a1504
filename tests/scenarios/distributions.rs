//! A revenue split over holders: exactly, once a holder and period, whatever dies meanwhile.

use std::time::Duration;

use payfleet_core::OperationId;
use payfleet_core::kinds::JobKind;
use payfleet_tests::store::ADDRESS;
use payfleet_tests::stripe;
use payfleet_tests::world::{Setup, World};
use rust_decimal::Decimal;
use serde_json::{Value, json};

fn holders(weights: &[&str]) -> Value {
    let holder = |(number, weight): (usize, &&str)| json!({"holder": format!("investor-{number}"), "weight": weight, "network": "TRON", "address": ADDRESS});
    weights.iter().enumerate().map(holder).collect()
}

fn revenue(period: &str, amount: &str, holders: Value) -> Value {
    json!({"asset_id": "ev-1", "period": period, "amount": amount, "asset": "USDT", "holders": holders})
}

async fn paid(world: &World) -> Vec<Decimal> {
    let effects = world.providers.effects(&world.providers.heleket).await;
    let mut paid: Vec<Decimal> = effects.iter().map(|effect| effect.amount.parse().unwrap()).collect();
    paid.sort();
    paid
}

fn decimals(texts: &[&str]) -> Vec<Decimal> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

async fn shown(world: &World, id: OperationId) -> Value {
    world.api.get(&format!("/v1/distributions/{id}")).await.body
}

#[tokio::test]
async fn a_revenue_becomes_one_payout_a_holder_and_the_parts_are_the_whole() {
    let world = World::start().await;
    let body = revenue("2026-05", "100", holders(&["33.3333", "33.3333", "33.3334"]));
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.run_until_idle().await;
    assert_eq!(paid(&world).await.iter().sum::<Decimal>(), Decimal::ONE_HUNDRED);
    let shown = shown(&world, id).await;
    assert_eq!((&shown["state"], &shown["result"]["settled"]), (&json!("settled"), &json!("3")), "{shown}");
    world.finish().await;
}

#[tokio::test]
async fn a_holder_gets_one_part_a_period_under_whatever_key() {
    let world = World::start().await;
    let first = revenue("2026-05", "100", holders(&["1", "1"]));
    let first = world.api.post("/v1/distributions", "d-1", &first).await.accepted();
    let again = revenue("2026-05", "100", holders(&["1"]));
    world.run_until_idle().await;
    let again = world.api.post("/v1/distributions", "d-2", &again).await.accepted();
    let next = revenue("2026-06", "10", holders(&["1", "1"]));
    let next = world.api.post("/v1/distributions", "d-3", &next).await.accepted();
    world.run_until_idle().await;
    for (id, state) in [(first, "settled"), (again, "failed"), (next, "settled")] {
        world.assert_state(id, state).await;
    }
    assert_eq!(paid(&world).await, decimals(&["5", "5", "50", "50"]));
    world.finish().await;
}

#[tokio::test]
async fn parts_below_the_minimum_are_carried_over_until_they_reach_it() {
    let world = World::start().await;
    for (number, amount) in [(1, "10"), (2, "10"), (3, "10")] {
        let mut body = revenue(&format!("2026-0{number}"), amount, holders(&["96", "4"]));
        body["minimum"] = json!("1");
        let id = world.api.post("/v1/distributions", &format!("d-{number}"), &body).await.accepted();
        world.run_until_idle().await;
        world.assert_state(id, "settled").await;
    }
    // 0.4 and 0.4 waited; with the third 0.4 it is 1.2.
    assert_eq!(paid(&world).await, decimals(&["1.2", "9.6", "9.6", "9.6"]));
    world.finish().await;
}

/// Holders `from` to `to`: of every hundred one owns much, the others hardly anything.
/// Whether a payout was refused or given up by the client, its holder still has it coming.
#[tokio::test]
async fn what_could_not_be_paid_is_carried_over_to_the_holders_next_part() {
    let world = World::start().await;
    let refusal = json!({"body": {"state": 1, "message": "Minimum amount 5 USDT"}});
    world.providers.plan(&world.providers.heleket, "/v1/payout", 2, refusal).await;
    let first = revenue("2026-01", "10", holders(&["96", "4"]));
    let first = world.api.post("/v1/distributions", "d-1", &first).await.accepted();
    world.run_until_idle().await;
    world.assert_state(first, "failed").await;
    assert_eq!(paid(&world).await, []);

    let again = revenue("2026-01", "10", holders(&["96", "4"]));
    let again = world.api.post("/v1/distributions", "d-2", &again).await.accepted();
    world.run_until_idle().await;
    let reason = shown(&world, again).await["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("carried over"), "{reason}");

    let next = revenue("2026-02", "10", holders(&["96", "4"]));
    let next = world.api.post("/v1/distributions", "d-3", &next).await.accepted();
    world.run_until_idle().await;
    world.assert_state(next, "settled").await;
    assert_eq!(paid(&world).await, decimals(&["0.8", "19.2"]));
    world.finish().await;
}

fn crowd(from: usize, to: usize) -> Value {
    let weight = |number: usize| if number.is_multiple_of(100) { "1000" } else { "0.1" };
    let holder = |number| json!({"holder": format!("investor-{number}"), "weight": weight(number), "network": "TRON", "address": ADDRESS});
    (from..to).map(holder).collect()
}

/// How many requests named more holders so far, and are known to the operation.
async fn pages(world: &World, id: OperationId) -> i64 {
    let applied = "SELECT count(*) FROM inbox WHERE operation_id = $1::uuid AND applied_at IS NOT NULL";
    world.count(applied, &id.to_string()).await
}

async fn add(world: &World, id: OperationId, holders: Value) {
    let url = format!("/v1/distributions/{id}/holders");
    world.api.post(&url, "unused", &json!({"holders": holders})).await.accepted();
}

#[tokio::test]
async fn ten_thousand_holders_are_named_in_ten_requests_and_paid_when_all_are() {
    let world = World::start().await;
    let mut body = revenue("2026-05", "100000", crowd(0, 1_000));
    body["holders_in_all"] = json!(10_000);
    body["minimum"] = json!("1");
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    for page in 1..9 {
        add(&world, id, crowd(page * 1_000, (page + 1) * 1_000)).await;
    }
    world.until("nine pages are known", async |world| pages(world, id).await == 8).await;
    assert_eq!(shown(&world, id).await["state"], "requested", "a thousand are still missing");
    add(&world, id, crowd(9_000, 10_000)).await;
    add(&world, id, crowd(9_000, 10_000)).await;
    world.run_until_idle().await;
    let shown = shown(&world, id).await;
    assert_eq!(
        [&shown["state"], &shown["holders"], &shown["result"]["parts"], &shown["result"]["settled"]],
        [&json!("settled"), &json!(10_000), &json!("10000"), &json!("100")],
        "{shown}"
    );
    let parts = "SELECT (sum(amount) * 1000000)::bigint FROM distribution_parts WHERE asset_id = $1";
    assert_eq!(world.count(parts, "ev-1").await, 100_000 * 1_000_000, "the parts are the whole");
    world.finish().await;
}

#[tokio::test]
async fn holders_that_are_not_as_announced_fail_the_distribution_and_nobody_is_paid() {
    let world = World::start().await;
    let bank = json!([{"holder": "investor-2", "weight": "1", "network": "BTC",
                       "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}]);
    let many = crowd(2, 5);
    let again = crowd(1, 2);
    for (number, added) in [bank, many, again].into_iter().enumerate() {
        let mut body = revenue(&format!("2026-0{number}"), "10", crowd(0, 2));
        body["holders_in_all"] = json!(3);
        let id = world.api.post("/v1/distributions", &format!("d-{number}"), &body).await.accepted();
        add(&world, id, added).await;
        world.run_until_idle().await;
        world.assert_state(id, "failed").await;
    }
    assert_eq!(paid(&world).await, []);
    world.finish().await;
}

#[tokio::test]
async fn holders_that_are_not_named_within_a_day_are_waited_for_no_longer() {
    let world = World::start().await;
    let mut body = revenue("2026-05", "10", holders(&["1"]));
    body["holders_in_all"] = json!(2);
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    let asked = async |world: &World| {
        world.count("SELECT count(*) FROM operations WHERE id = $1::uuid", &id.to_string()).await == 1
    };
    world.until("a worker has it", asked).await;
    world.age(id, 24 * 3_600).await;
    world.run_until_idle().await;
    let shown = shown(&world, id).await;
    assert_eq!(shown["state"], "failed", "{shown}");
    assert!(shown.to_string().contains("only 1 of 2 holders were named within a day"), "{shown}");
    world.finish().await;
}

#[tokio::test]
async fn a_distribution_is_cancelled_while_holders_are_missing() {
    let world = World::start().await;
    let mut body = revenue("2026-05", "10", holders(&["1"]));
    body["holders_in_all"] = json!(2);
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.api.post(&format!("/v1/distributions/{id}/cancel"), "unused", &json!({})).await.accepted();
    world.run_until_idle().await;
    world.assert_state(id, "failed").await;
    assert_eq!(paid(&world).await, []);
    world.finish().await;
}

#[tokio::test]
async fn a_split_whose_client_changes_its_mind_during_the_call_goes_on_without_doubt() {
    let world = World::with(Setup { call_timeout: Duration::from_secs(60), ..Setup::default() }).await;
    let trovotech = &world.providers.trovotech;
    let minted = world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world.run_until_idle().await;
    let token = world.api.get(&format!("/v1/mints/{minted}")).await.body["provider_ref"].clone();
    let body = json!({
        "asset_id": "bus-1", "period": "2026-05", "amount": "10", "asset": "NGN", "holders": [{"token_id": token}],
    });
    world.providers.plan(trovotech, "/payout/distribute", 1, json!("hold_after_effect")).await;
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.providers.held(trovotech, 1).await;
    world.api.post(&format!("/v1/distributions/{id}/cancel"), "unused", &json!({})).await.accepted();
    let is_heard = "SELECT count(*) FROM inbox WHERE event ->> 'event' = $1";
    world.until("the wish is heard", async |world| world.count(is_heard, "cancelled").await == 1).await;
    let queue = JobKind::Distribution.queue().unwrap();
    let is_over =
        async |world: &World| world.queue.stats(std::slice::from_ref(&queue)).await.unwrap()[0].running == 1;
    world.until("only the call is under way", is_over).await;
    world.assert_state(id, "submitting").await;
    world.providers.release(trovotech).await;
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    assert_eq!(world.store.dead_letters(10, true).await.unwrap().len(), 0, "nobody is told of a doubt");
    world.finish().await;
}

#[tokio::test]
async fn a_worker_killed_while_its_payouts_are_under_way_pays_nobody_twice() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let first = world.worker_process("first").await;
    let weights = vec!["1"; 200];
    let body = revenue("2026-05", "1000", holders(&weights));
    let id = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.until("some are paid", async |world| paid(world).await.len() >= 20).await;
    first.kill().await;
    let second = world.worker_process("second").await;
    world.run_until_idle().await;
    assert_eq!(paid(&world).await, decimals(&vec!["5"; 200]));
    world.assert_state(id, "settled").await;
    assert!(second.stop().await.success());
    world.finish().await;
}

#[tokio::test]
async fn a_revenue_over_connected_accounts_becomes_transfers_that_are_the_whole() {
    let world = World::start().await;
    stripe::fund(&world, "funds").await;
    let (one, other) = (stripe::account(&world, "one").await, stripe::account(&world, "other").await);
    let body = json!({"country": "US", "email": "stranger@example.com"});
    let not_yet = stripe::ask(&world, "/v1/accounts", "not-yet", body).await;
    let holders = |last: OperationId| {
        json!([
            {"holder": "one", "weight": "1", "account": one}, {"holder": "other", "weight": "1", "account": other},
            {"holder": "last", "weight": "1", "account": last},
        ])
    };
    let revenue = |period: &str, last: OperationId| json!({"asset_id": "ev-1", "period": period, "amount": "100", "asset": "USD", "holders": holders(last)});
    let first = stripe::ask(&world, "/v1/distributions", "d-1", revenue("2026-05", other)).await;
    world.run_until_idle().await;
    world.assert_state(first, "settled").await;
    let of_ours = async |world: &World| {
        let effects = world.providers.effects(&world.providers.stripe).await;
        let transfers = effects.into_iter().filter(|effect| effect.kind == "transfer");
        let mut amounts: Vec<Decimal> = transfers.map(|effect| effect.amount.parse().unwrap()).collect();
        amounts.sort();
        amounts
    };
    assert_eq!(of_ours(&world).await, decimals(&["33.33", "33.33", "33.34"]));
    let made = world.api.get("/v1/transfers?origin=distribution").await.body;
    let made = made["operations"].as_array().unwrap();
    assert!(made.len() == 3 && made.iter().all(|one| one["origin_id"] == json!(first)), "{made:?}");

    // Who may not receive has it coming, with the next part.
    let second = stripe::ask(&world, "/v1/distributions", "d-2", revenue("2026-06", not_yet)).await;
    world.run_until_idle().await;
    let told = shown(&world, second).await;
    assert_eq!(
        [&told["state"], &told["result"]["settled"], &told["result"]["failed"]],
        [&json!("settled"), &json!("2"), &json!("1")],
        "{told}"
    );
    stripe::onboard(&world, not_yet, "not-yet-link").await;
    let third = stripe::ask(&world, "/v1/distributions", "d-3", revenue("2026-07", not_yet)).await;
    world.run_until_idle().await;
    world.assert_state(third, "settled").await;
    assert_eq!(of_ours(&world).await.iter().sum::<Decimal>(), Decimal::from(300));
    world.finish().await;
}

#[tokio::test]
async fn trovotech_splits_over_the_holders_of_its_tokens_once_a_period() {
    let world = World::start().await;
    let mint = world.api.mint("m-1", "ev-1", "40").await.accepted();
    let other = world.api.mint("m-2", "ev-1", "60").await.accepted();
    world.run_until_idle().await;
    let mut tokens = Vec::new();
    for id in [mint, other] {
        let shown = world.api.get(&format!("/v1/mints/{id}")).await.body;
        tokens.push(json!({"token_id": shown["provider_ref"]}));
    }
    let body = json!({
        "asset_id": "ev-1", "period": "2026-05", "amount": "100", "asset": "NGN", "holders": tokens,
        "description": "swaps",
    });
    let first = world.api.post("/v1/distributions", "d-1", &body).await.accepted();
    world.run_until_idle().await;
    let again = world.api.post("/v1/distributions", "d-2", &body).await.accepted();
    world.run_until_idle().await;
    world.assert_state(first, "settled").await;
    world.assert_state(again, "failed").await;
    world.finish().await;
}

#[tokio::test]
async fn each_wrong_field_of_a_distribution_is_named() {
    let world = World::start().await;
    for (body, field) in [
        (revenue("2026-05", "100", json!([])), "holders"),
        (json!({"asset_id": "ev-1", "period": "p", "amount": "1", "asset": "USDT"}), "holders"),
        (revenue("2026-05", "100", holders(&["0"])), "holders[0].weight"),
        (revenue("2026-05", "100", holders(&vec!["1"; 1_001])), "holders"),
        (
            revenue("2026-05", "100", [holders(&["1"])[0].clone(), holders(&["2"])[0].clone()].into()),
            "holders[1]",
        ),
        (to_accounts("USDT", json!({"account": ACCOUNT})), "holders[0].account"),
        (to_accounts("KWD", json!({"account": ACCOUNT})), "holders[0].account"),
        (to_accounts("USD", json!({"account": "acct_1"})), "holders[0].account"),
        (to_accounts("USD", json!({"account": ACCOUNT, "address": ADDRESS})), "holders[0].address"),
        (announced(1), "holders_in_all"),
        (announced(2), "holders_in_all"),
        (announced(20_001), "holders_in_all"),
    ] {
        let answer = world.api.post("/v1/distributions", "d", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["errors"][0]["field"]), (422, &json!(field)));
    }
    world.finish().await;
}

const ACCOUNT: &str = "5a88b422-6dee-86f7-a3ca-fd294a9b7141";

/// One holder, paid `to`.
fn to_accounts(asset: &str, mut to: Value) -> Value {
    to["holder"] = json!("investor-1");
    to["weight"] = json!("1");
    json!({"asset_id": "ev-1", "period": "2026-05", "amount": "100", "asset": asset, "holders": [to]})
}

/// Two holders, and as many announced as it says.
fn announced(in_all: u32) -> Value {
    let mut body = revenue("2026-05", "100", holders(&["1", "2"]));
    body["holders_in_all"] = json!(in_all);
    body
}
