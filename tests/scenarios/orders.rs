//! Incoming crypto: an address each, deposits that a chain makes final, and everything a payer can do
//! wrong.

use payfleet_core::OperationId;
use payfleet_tests::world::{Setup, World};
use serde_json::{Value, json};

fn order(amount: &str, lifetime_s: u32) -> Value {
    json!({"amount": amount, "asset": "TRX", "network": "TRON", "lifetime_s": lifetime_s})
}

pub(crate) async fn shown(world: &World, id: OperationId) -> Value {
    world.api.get(&format!("/v1/orders/{id}")).await.body
}

/// Asks for an order of TRX and waits for its address.
pub(crate) async fn placed(world: &World, key: &str, amount: &str) -> (OperationId, String) {
    placed_so(world, key, &order(amount, 3600)).await
}

/// Asks for an order and waits for its address.
pub(crate) async fn placed_so(world: &World, key: &str, body: &Value) -> (OperationId, String) {
    let id = world.api.post("/v1/orders", key, body).await.accepted();
    world
        .until("it has an address", async |world| shown(world, id).await["result"]["address"].is_string())
        .await;
    let address = shown(world, id).await["result"]["address"].as_str().unwrap().to_owned();
    (id, address)
}

pub(crate) async fn pay(world: &World, to: &str, amount: &str) -> String {
    let answer = world.chain("tron", "pay", &json!({"to": to, "amount": amount})).await;
    answer["txId"].as_str().unwrap().to_owned()
}

pub(crate) async fn mine(world: &World, blocks: u32) {
    world.chain("tron", "mine", &json!({ "blocks": blocks })).await;
}

pub(crate) async fn until_state(world: &World, id: OperationId, state: &str) {
    world.until(state, async |world| shown(world, id).await["state"] == state).await;
}

/// Waits until so many of Tatum's webhooks have been written down as somebody's deposit.
pub(crate) async fn until_told(world: &World, times: i64) {
    world
        .until("the webhooks are read", async |world| {
            let counts = world.store.webhook_counts().await.unwrap();
            counts.iter().any(|one| {
                (one.provider.as_str(), one.status.as_str(), one.count) == ("tatum", "processed", times)
            })
        })
        .await;
}

/// Waits for looks that begin from now on; `asking` is what they ask for. One may have begun before, and
/// the last may not be over: so several.
pub(crate) async fn until_looked(world: &World, asking: &str) {
    let path = format!("/v4/data/blockchains/{asking}");
    let before = world.providers.calls_of(&world.providers.tatum, &path).await;
    world
        .until("it is looked at", async |world| {
            world.providers.calls_of(&world.providers.tatum, &path).await >= before + 3
        })
        .await;
}

/// What kinds of discrepancies are open.
pub(crate) async fn open_kinds(world: &World) -> Vec<String> {
    let open = world.store.discrepancies(None, 10).await.unwrap();
    open.into_iter().map(|one| one.kind).collect()
}

/// The order waits for its money, and has none of it.
pub(crate) async fn assert_nothing_received(world: &World, id: OperationId) {
    let shown = shown(world, id).await;
    assert_eq!(
        (&shown["state"], &shown["result"]["received"]),
        (&json!("accepted"), &Value::Null),
        "{shown}"
    );
}

async fn until_received(world: &World, id: OperationId, amount: &str) {
    world
        .until("it has received", async |world| shown(world, id).await["result"]["received"] == amount)
        .await;
}

#[tokio::test]
async fn an_order_is_paid_when_its_deposit_is_final_and_not_before() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "15.5").await;
    let pay_by = shown(&world, id).await["pay_by"].clone();
    assert_eq!(pay_by["uri"], json!(address));
    assert!(pay_by["qr_svg"].as_str().unwrap().starts_with("<svg "));
    pay(&world, &address, "15.5").await;
    mine(&world, 1).await;
    world
        .until("the deposit is seen", async |world| !world.store.networks_waiting().await.unwrap().is_empty())
        .await;
    assert_eq!(shown(&world, id).await["state"], "accepted");
    mine(&world, 5).await;
    until_state(&world, id, "settled").await;
    let shown = shown(&world, id).await;
    assert_eq!(shown["result"]["received"], "15.5", "{shown}");
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn every_order_has_an_address_of_its_own() {
    let world = World::start().await;
    let (_, first) = placed(&world, "o-1", "1").await;
    let (_, second) = placed(&world, "o-2", "1").await;
    assert_ne!(first, second);
    for key in ["o-1", "o-2"] {
        let id = world.api.post("/v1/orders", key, &order("1", 3600)).await.accepted();
        world.api.post(&format!("/v1/orders/{id}/cancel"), "unused", &json!({})).await.accepted();
        until_state(&world, id, "failed").await;
    }
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn several_payments_add_up_and_too_much_is_shown_to_a_person() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    pay(&world, &address, "4").await;
    mine(&world, 5).await;
    until_received(&world, id, "4").await;
    assert_eq!(shown(&world, id).await["state"], "accepted");
    pay(&world, &address, "7").await;
    mine(&world, 5).await;
    until_state(&world, id, "settled").await;
    assert_eq!(shown(&world, id).await["result"]["received"], "11");
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn a_reorganisation_before_it_is_final_moves_a_deposit_back() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    pay(&world, &address, "10").await;
    mine(&world, 2).await;
    world
        .until("the deposit is seen", async |world| !world.store.networks_waiting().await.unwrap().is_empty())
        .await;
    world.chain("tron", "reorganise", &json!({"depth": 2})).await;
    until_looked(&world, "transaction").await;
    assert_nothing_received(&world, id).await;
    mine(&world, 2).await;
    until_looked(&world, "block/current").await;
    assert_nothing_received(&world, id).await;
    mine(&world, 1).await;
    until_state(&world, id, "settled").await;
    assert_eq!(shown(&world, id).await["result"]["received"], "10");
    world.abandon_webhooks();
    world.finish().await;
}

/// By the height alone its block would be deep enough: what the chain knows of it is what counts.
#[tokio::test]
async fn a_deposit_that_a_reorganisation_makes_vanish_counts_for_nothing_and_is_shown_to_a_person() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    pay(&world, &address, "10").await;
    mine(&world, 2).await;
    until_told(&world, 1).await;
    world.chain("tron", "reorganise", &json!({"depth": 2, "vanish": true})).await;
    // Told later than it is given up, it would be waited for anew.
    until_told(&world, 2).await;
    mine(&world, 5).await;
    until_looked(&world, "transaction").await;
    assert_nothing_received(&world, id).await;
    assert!(open_kinds(&world).await.is_empty(), "it may come back within a day");
    world.age_deposits(25).await;
    world
        .until("it is given up", async |world| world.store.networks_waiting().await.unwrap().is_empty())
        .await;
    assert_eq!(open_kinds(&world).await, ["deposit_gone"]);
    assert_nothing_received(&world, id).await;
    // The order is still there to be paid.
    pay(&world, &address, "10").await;
    mine(&world, 3).await;
    until_state(&world, id, "settled").await;
    assert_eq!(shown(&world, id).await["result"]["received"], "10");
    world.finish().await;
}

#[tokio::test]
async fn an_order_nobody_pays_expires_and_late_money_is_posted_and_shown_to_a_person() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    world.age(id, 3600).await;
    until_state(&world, id, "failed").await;
    assert_eq!(shown(&world, id).await["reason"], "expired; nothing was paid");
    pay(&world, &address, "10").await;
    mine(&world, 5).await;
    world.until("it is shown", async |world| world.store.open_discrepancies().await.unwrap() == 1).await;
    let balances = world.store.balances().await.unwrap();
    let wallet = balances.iter().find(|one| one.account == "wallet:default").unwrap();
    assert_eq!((wallet.unit.as_str(), wallet.balance.to_string().as_str()), ("TRX", "10"));
    world
        .payfleet(&["orders", "confirm", &id.to_string(), "--author", "on-call", "--reason", "paid late"])
        .await;
    until_state(&world, id, "settled").await;
    assert_eq!(shown(&world, id).await["result"]["confirmed_by"], "on-call");
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn too_little_by_its_end_is_told_with_what_was_paid() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    pay(&world, &address, "9").await;
    mine(&world, 5).await;
    until_received(&world, id, "9").await;
    world.age(id, 3600).await;
    until_state(&world, id, "failed").await;
    assert_eq!(shown(&world, id).await["reason"], "expired; 9 TRX was paid");
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn a_worker_killed_while_it_has_an_address_watched_leaves_one_subscription() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    world.providers.plan(&world.providers.tatum, "/v4/subscription", 1, json!("hold_after_effect")).await;
    let first = world.worker_process("first").await;
    let id = world.api.post("/v1/orders", "o-1", &order("10", 3600)).await.accepted();
    world.providers.held(&world.providers.tatum, 1).await;
    first.kill().await;
    world.providers.release(&world.providers.tatum).await;
    let second = world.worker_process("second").await;
    until_state(&world, id, "accepted").await;
    world.api.post(&format!("/v1/orders/{id}/cancel"), "unused", &json!({})).await.accepted();
    until_state(&world, id, "failed").await;
    assert!(second.stop().await.success());
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn a_chain_or_an_asset_that_is_not_watched_is_refused_by_name() {
    let world = World::start().await;
    for (body, field) in [
        (json!({"amount": "1", "asset": "USDT", "network": "BSC"}), "network"),
        (json!({"amount": "1", "asset": "BTC", "network": "TRON"}), "asset"),
        (json!({"amount": "1", "asset": "TRX", "network": "TRON", "lifetime_s": 5}), "lifetime_s"),
        (json!({"amount": "0", "asset": "TRX", "network": "TRON"}), "amount"),
    ] {
        let answer = world.api.post("/v1/orders", "o", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["errors"][0]["field"]), (422, &json!(field)));
    }
    world.finish().await;
}

#[tokio::test]
async fn a_payout_is_cancelled_only_while_nothing_was_sent() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let id = world.api.payout("p-1", "5").await.accepted();
    world.api.post(&format!("/v1/payouts/{id}/cancel"), "unused", &json!({})).await.accepted();
    let answer =
        world.api.post("/v1/payouts/00000000-0000-8000-8000-000000000000/cancel", "unused", &json!({})).await;
    assert_eq!(answer.status, 404);
    let worker = world.worker_process("late").await;
    world.run_until_idle().await;
    // Whichever job came first: nothing was sent, or it was paid; never both.
    let state = world.api.get(&format!("/v1/payouts/{id}")).await.body["state"].clone();
    let paid = world.providers.effects(&world.providers.heleket).await.len();
    assert!(matches!((state.as_str().unwrap(), paid), ("failed", 0) | ("settled", 1)), "{state} {paid}");
    let settled = world.api.payout("p-2", "5").await.accepted();
    world.run_until_idle().await;
    world.api.post(&format!("/v1/payouts/{settled}/cancel"), "unused", &json!({})).await.accepted();
    world.run_until_idle().await;
    world.assert_state(settled, "settled").await;
    assert!(worker.stop().await.success());
    world.finish().await;
}

/// More deposits than one look asks about come to their depth with one block: none waits for the next.
#[tokio::test]
async fn many_deposits_that_become_final_with_one_block_are_all_counted() {
    let world = World::start().await;
    let mut orders = Vec::new();
    for number in 0..60 {
        orders.push(placed(&world, &format!("o-{number}"), "1").await);
    }
    for (_, address) in &orders {
        pay(&world, address, "1").await;
    }
    mine(&world, 5).await;
    for (id, _) in &orders {
        until_state(&world, *id, "settled").await;
    }
    world.abandon_webhooks();
    world.finish().await;
}

/// A pool that sends it again and loses it again is one matter for a person, until they have looked.
#[tokio::test]
async fn a_deposit_that_is_gone_again_after_it_was_told_again_is_shown_once_while_that_is_open() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    let told = |block: u32| {
        json!({
            "address": address, "amount": "10", "asset": "TRON", "blockNumber": block, "txId": "ab".repeat(32),
            "type": "native", "chain": "tron-mainnet", "subscriptionType": "ADDRESS_EVENT",
        })
    };
    for (times, is_open) in [(1, true), (2, true), (3, false)] {
        if !is_open {
            let first = world.store.discrepancies(None, 10).await.unwrap().remove(0);
            assert!(world.store.resolve_discrepancy(first.id, "on-call", "a pool's").await.unwrap());
        }
        world.providers.emit(&world.providers.tatum, told(times)).await;
        until_told(&world, i64::from(times)).await;
        world.age_deposits(25).await;
        world
            .until("it is given up", async |world| world.store.networks_waiting().await.unwrap().is_empty())
            .await;
        assert_eq!(open_kinds(&world).await, ["deposit_gone"], "told {times} times");
    }
    let all = "SELECT count(*) FROM discrepancies WHERE kind = $1";
    assert_eq!(world.count(all, "deposit_gone").await, 2, "what comes again after it was resolved is news");
    world.api.post(&format!("/v1/orders/{id}/cancel"), "unused", &json!({})).await.accepted();
    until_state(&world, id, "failed").await;
    world.finish().await;
}

/// A pool forgets a transaction that pays too little for its place; whoever sent it sends it again.
#[tokio::test]
async fn a_deposit_that_was_given_up_and_comes_after_all_is_counted_once() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    let transaction = pay(&world, &address, "10").await;
    mine(&world, 1).await;
    world
        .until("the deposit is seen", async |world| !world.store.networks_waiting().await.unwrap().is_empty())
        .await;
    world.age_deposits(25).await;
    let not_there =
        json!({"answer": {"status": 404, "headers": {"content-type": "application/json"}, "body": "{}"}});
    world.providers.plan(&world.providers.tatum, "/v4/data/blockchains/transaction", 1, not_there).await;
    mine(&world, 5).await;
    world
        .until("it is given up", async |world| world.store.networks_waiting().await.unwrap().is_empty())
        .await;
    assert_eq!(shown(&world, id).await["state"], "accepted");
    let again = json!({
        "address": address, "amount": "10", "asset": "TRON", "blockNumber": 1001, "txId": transaction,
        "type": "native", "chain": "tron-mainnet", "subscriptionType": "ADDRESS_EVENT",
    });
    world.providers.emit(&world.providers.tatum, again).await;
    until_state(&world, id, "settled").await;
    assert_eq!(shown(&world, id).await["result"]["received"], "10");
    world.finish().await;
}
