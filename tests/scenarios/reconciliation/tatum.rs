//! Tatum: deposits, as its list of webhooks tells of them. A transfer is one however often it is told, so
//! none can be there twice.

use payfleet_core::OperationId;
use payfleet_core::provider::Provider;
use payfleet_tests::world::World;
use serde_json::{Value, json};

use super::{found, reconcile, until};
use crate::chains::hide_amounts;
use crate::orders::{mine, pay, placed, shown};

/// Keeps back what Tatum sends from now on, or lets it go.
async fn hold(world: &World, hold: bool) {
    world.providers.deliver_so(&world.providers.tatum, json!({ "hold": hold })).await;
}

/// A webhook of a transfer of TRX, whoever has made it.
fn webhook(to: &str, amount: &str, transaction: &str) -> Value {
    json!({
        "address": to, "amount": amount, "asset": "TRON", "blockNumber": 900, "counterAddress": null,
        "txId": transaction, "type": "native", "tokenId": null, "chain": "tron-mainnet",
        "subscriptionType": "ADDRESS_EVENT",
    })
}

async fn until_seen(world: &World) {
    let is_seen = async |world: &World| !world.store.networks_waiting().await.unwrap().is_empty();
    world.until("the deposit is seen", is_seen).await;
}

async fn cancel(world: &World, id: OperationId) {
    world.api.post(&format!("/v1/orders/{id}/cancel"), "unused", &json!({})).await.accepted();
    until(world, id, "failed").await;
}

#[tokio::test]
async fn a_deposit_whose_webhook_was_lost_is_found_and_counts_once() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "15.5").await;
    hold(&world, true).await;
    pay(&world, &address, "15.5").await;
    mine(&world, 5).await;
    let report = reconcile(&world, Provider::Tatum).await;
    assert_eq!(found(&report), [("missing_here", Some("applied"))]);
    // It is ours by the time our record is read.
    let total = |side: &str| json!({"side": side, "asset": "TRX", "count": 1, "amount": "15.5"});
    assert_eq!(report["totals"], json!([total("ours"), total("theirs")]));
    until(&world, id, "settled").await;
    hold(&world, false).await;
    world.run_until_idle().await;
    assert_eq!(shown(&world, id).await["result"]["received"], "15.5");
    let report = reconcile(&world, Provider::Tatum).await;
    assert_eq!((found(&report), &report["listed"], &report["held"]), (Vec::new(), &json!(1), &json!(1)));
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_deposit_that_neither_the_list_nor_the_chain_knows_is_missing_there() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "15.5").await;
    world.providers.emit(&world.providers.tatum, webhook(&address, "15.5", &"ab".repeat(32))).await;
    until_seen(&world).await;
    let report = reconcile(&world, Provider::Tatum).await;
    assert_eq!(found(&report), [("missing_there", None)]);
    assert_eq!(report["discrepancies"][0]["operation_id"], json!(id));
    cancel(&world, id).await;
    // The chain is asked for a day, then a person is told of that too.
    world.age_deposits(25).await;
    world
        .until("the chain has been given up", async |world| {
            world.store.networks_waiting().await.unwrap().is_empty()
        })
        .await;
    world.finish().await;
}

/// Its look-up shows no amount, so what was told has counted.
#[tokio::test]
async fn a_deposit_of_another_amount_is_shown_with_both() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "7").await;
    let transaction = pay(&world, &address, "15.5").await;
    hide_amounts(&world, &transaction).await;
    world.providers.emit(&world.providers.tatum, webhook(&address, "7", &transaction)).await;
    until_seen(&world).await;
    hold(&world, true).await;
    mine(&world, 5).await;
    until(&world, id, "settled").await;
    let report = reconcile(&world, Provider::Tatum).await;
    assert_eq!(found(&report), [("amount", None)]);
    let found = &report["discrepancies"][0];
    assert_eq!(
        (&found["theirs"]["amount"], &found["ours"]["amount"]),
        (&json!("15.5"), &json!("7")),
        "{report}"
    );
    hold(&world, false).await;
    world.finish().await;
}

#[tokio::test]
async fn a_deposit_that_its_chain_takes_back_after_it_was_final_is_for_a_person() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "15.5").await;
    pay(&world, &address, "15.5").await;
    mine(&world, 5).await;
    until(&world, id, "settled").await;
    world.chain("tron", "reorganise", &json!({"depth": 5, "vanish": true})).await;
    world.run_until_idle().await;
    let report = reconcile(&world, Provider::Tatum).await;
    assert_eq!(found(&report), [("status", None)]);
    let found = &report["discrepancies"][0];
    assert_eq!((&found["theirs"]["state"], &found["ours"]["state"]), (&json!("reorg"), &json!("final")));
    world.finish().await;
}

#[tokio::test]
async fn a_deposit_that_its_chain_does_not_make_final_is_shown_once() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "15.5").await;
    pay(&world, &address, "15.5").await;
    mine(&world, 1).await;
    until_seen(&world).await;
    world.age_deposits(25).await;
    assert_eq!(found(&reconcile(&world, Provider::Tatum).await), [("stuck", None)]);
    assert_eq!(found(&reconcile(&world, Provider::Tatum).await), []);
    mine(&world, 5).await;
    until(&world, id, "settled").await;
    world.finish().await;
}

/// Its list has no documented end. That it has one is seen by what we have been told of.
#[tokio::test]
async fn a_window_that_tatum_keeps_no_more_fails_with_its_reason() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "15.5").await;
    let transaction = pay(&world, &address, "15.5").await;
    mine(&world, 5).await;
    until(&world, id, "settled").await;
    world.providers.forget(&world.providers.tatum, &transaction).await;
    let report = reconcile(&world, Provider::Tatum).await;
    assert_eq!(report["state"], "failed", "{report}");
    let why = report["failure"].as_str().unwrap();
    assert!(why.contains("lists no webhook of that time any more"), "{why}");
    assert_eq!(report["differences"], 0);
    world.finish().await;
}

/// Whatever is asked of it, the answer is of nothing.
#[tokio::test]
async fn a_deposit_that_cannot_be_read_holds_up_no_other_and_is_shown_once() {
    let world = World::start().await;
    let (unreadable, to_unreadable) = placed(&world, "o-1", "1").await;
    let (readable, to_readable) = placed(&world, "o-2", "2").await;
    let transaction = pay(&world, &to_unreadable, "1").await;
    let look_up = format!("/v4/data/blockchains/transaction?chain=tron-mainnet&hash={transaction}");
    world.providers.plan(&world.providers.tatum, &look_up, u32::MAX, json!({"body": {}})).await;
    mine(&world, 5).await;
    until_seen(&world).await;
    let fired = async |world: &World| world.providers.fired(&world.providers.tatum).await;
    world.until("it is looked at, before the other one", async |world| fired(world).await > 0).await;
    pay(&world, &to_readable, "2").await;
    mine(&world, 5).await;
    until(&world, readable, "settled").await;
    let before = fired(&world).await;
    world.until("it is looked at again", async |world| fired(world).await > before).await;

    world.age_deposits(25).await;
    assert_eq!(found(&reconcile(&world, Provider::Tatum).await), [("stuck", None)]);
    assert_eq!(found(&reconcile(&world, Provider::Tatum).await), []);
    cancel(&world, unreadable).await;
    assert!(world.store.dead_letters(10, true).await.unwrap().is_empty());
    world.finish().await;
}
