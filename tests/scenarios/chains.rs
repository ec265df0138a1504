//! Orders on each of the chains: their coins and a token, a worker that watches only some of them, and
//! webhooks that a chain does not bear out.

use payfleet_core::OperationId;
use payfleet_core::address::Network;
use payfleet_core::provider::Provider;
use payfleet_store::WebhookFilter;
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs;
use serde_json::{Value, json};

use crate::orders::{
    assert_nothing_received, mine, open_kinds, pay, placed, placed_so, shown, until_looked, until_state,
    until_told,
};

/// Tether's contract on TRON.
const USDT_ON_TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";

/// Something to be paid for on a chain.
struct Case {
    network: &'static str,
    /// What the sandbox calls the chain.
    chain: &'static str,
    asset: &'static str,
    contract: Option<&'static str>,
    amount: &'static str,
    /// How many blocks make it final in a World.
    depth: u32,
}

/// The finest amounts that each asset divides into are among them. The cases of one chain do not follow
/// each other, so that what waits on a chain is what was paid last.
const CASES: [Case; 5] = [
    Case { network: "TRON", chain: "tron", asset: "TRX", contract: None, amount: "15.500001", depth: 3 },
    Case {
        network: "ETH",
        chain: "ethereum",
        asset: "ETH",
        contract: None,
        amount: "0.050000000000000001",
        depth: 3,
    },
    Case { network: "BTC", chain: "bitcoin", asset: "BTC", contract: None, amount: "0.00012345", depth: 2 },
    Case {
        network: "POLYGON",
        chain: "polygon",
        asset: "MATIC",
        contract: None,
        amount: "7.000000000000000001",
        depth: 3,
    },
    Case {
        network: "TRON",
        chain: "tron",
        asset: "USDT",
        contract: Some(USDT_ON_TRON),
        amount: "20.000001",
        depth: 3,
    },
];

/// What is in the wallet, of one asset.
async fn in_wallet(world: &World, asset: &str) -> Option<String> {
    let balances = world.store.balances().await.unwrap();
    let one = balances.into_iter().find(|one| one.account == "wallet:default" && one.unit == asset);
    one.map(|one| one.balance.normalize().to_string())
}

/// What Tatum is called for while a chain is looked at for five ticks and as many deposits wait for their
/// depth. Each tick is asked for three times: by as many workers, or late.
async fn calls_of_five_ticks(deposits: usize) -> u64 {
    let year = std::time::Duration::from_secs(365 * 24 * 3_600);
    let world = World::with(Setup { confirm_interval: year, ..Setup::default() }).await;
    let mut orders = Vec::new();
    for number in 0..deposits {
        orders.push(placed(&world, &format!("o-{number}"), "1").await);
    }
    for (_, address) in &orders {
        pay(&world, address, "1").await;
    }
    mine(&world, 1).await;
    until_told(&world, i64::try_from(deposits).unwrap()).await;
    let before = world.providers.calls(&world.providers.tatum).await;
    for tick in 0..5 {
        for _ in 0..3 {
            let look = jobs::look_at(Network::Tron, tick).unwrap();
            let (queue, id) = (look.queue.clone(), look.id);
            world.queue.enqueue(&[look]).await.unwrap();
            let is_over = async |world: &World| world.queue.find(&queue, id).await.unwrap().is_none();
            world.until("it has been looked at", is_over).await;
        }
    }
    let calls = world.providers.calls(&world.providers.tatum).await - before;
    mine(&world, 5).await;
    world.queue.enqueue(&[jobs::look_at(Network::Tron, 5).unwrap()]).await.unwrap();
    for (id, _) in &orders {
        until_state(&world, *id, "settled").await;
    }
    world.finish().await;
    calls
}

/// The fleet's own look of the year may fall among them.
#[tokio::test]
async fn a_chain_is_asked_for_its_height_once_a_tick_however_many_deposits_wait_on_it() {
    for deposits in [1, 25] {
        let calls = calls_of_five_ticks(deposits).await;
        assert!((5..=6).contains(&calls), "{calls} calls in five ticks while {deposits} deposits wait");
    }
}

async fn is_paid_at_its_depth(world: &World, case: &Case) {
    let Case { network, chain, asset, contract, amount, depth } = case;
    let body = json!({"amount": amount, "asset": asset, "network": network});
    let (id, address) = placed_so(world, &format!("{network}-{asset}"), &body).await;
    let payment = json!({"to": address, "amount": amount, "contract": contract});
    world.chain(chain, "pay", &payment).await;
    world.chain(chain, "mine", &json!({ "blocks": depth - 1 })).await;
    world
        .until("the deposit is seen", async |world| {
            let waiting = world.store.networks_waiting().await.unwrap();
            waiting.iter().any(|one| one.as_str() == *network)
        })
        .await;
    until_looked(world, "block/current").await;
    assert_nothing_received(world, id).await;
    assert_eq!(in_wallet(world, asset).await, None, "{network} {asset}");
    world.chain(chain, "mine", &json!({ "blocks": 1 })).await;
    until_state(world, id, "settled").await;
    let shown = shown(world, id).await;
    assert_eq!(shown["result"]["received"], json!(amount), "{shown}");
    assert_eq!(in_wallet(world, asset).await.as_deref(), Some(*amount), "{network} {asset}");
}

#[tokio::test]
async fn an_order_on_each_chain_and_of_a_token_is_paid_at_its_depth_and_not_before() {
    let world = World::start().await;
    for case in &CASES {
        is_paid_at_its_depth(&world, case).await;
    }
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

async fn cancel(world: &World, id: OperationId) {
    world.api.post(&format!("/v1/orders/{id}/cancel"), "unused", &json!({})).await.accepted();
    until_state(world, id, "failed").await;
}

/// What Tatum tells of a payment of a chain's coin, whoever has made it.
fn told(address: &str, transaction: &str, amount: &str, (chain, asset): (&str, &str)) -> Value {
    json!({
        "address": address, "amount": amount, "asset": asset, "blockNumber": 1001, "txId": transaction,
        "type": "native", "chain": chain, "subscriptionType": "ADDRESS_EVENT",
    })
}

/// Tatum's own form of a webhook about a token's transfer.
fn told_of_a_token(address: &str, transaction: &str, units: &str) -> Value {
    json!({"data": {
        "kind": "transfer", "blockNumber": 1001, "txId": transaction, "currency": "TRON", "chain": "tron-mainnet",
        "from": null, "to": address, "value": units, "contractAddress": USDT_ON_TRON, "logIndex": 0,
        "subscriptionType": "ADDRESS_EVENT",
    }})
}

/// The truth comes too, and later; the next lie comes when all is over.
#[tokio::test]
async fn what_its_chain_shows_of_a_deposit_counts_whatever_webhooks_say_and_a_person_hears_of_the_lie() {
    let world = World::start().await;
    let body = json!({"amount": "0.1", "asset": "ETH", "network": "ETH"});
    let (id, address) = placed_so(&world, "o-1", &body).await;
    let answer = world.chain("ethereum", "pay", &json!({"to": address, "amount": "0.1"})).await;
    let transaction = answer["txId"].as_str().unwrap();
    let lie = |amount: &str| told(&address, transaction, amount, ("ethereum-mainnet", "ETH"));
    world.providers.emit(&world.providers.tatum, lie("1")).await;
    until_told(&world, 1).await;
    world.chain("ethereum", "mine", &json!({"blocks": 5})).await;
    until_told(&world, 2).await;
    until_state(&world, id, "settled").await;
    world.providers.emit(&world.providers.tatum, lie("5")).await;
    until_told(&world, 3).await;
    assert!(world.store.networks_waiting().await.unwrap().is_empty(), "what is final is not looked at again");
    assert_eq!(shown(&world, id).await["result"]["received"], "0.1");
    assert_eq!(in_wallet(&world, "ETH").await.as_deref(), Some("0.1"));
    assert_eq!(open_kinds(&world).await, ["deposit_differs"]);
    world.finish().await;
}

#[tokio::test]
async fn what_the_log_of_a_transaction_shows_of_a_token_counts_whatever_webhooks_say() {
    let world = World::start().await;
    let body = json!({"amount": "20", "asset": "USDT", "network": "TRON"});
    let (id, address) = placed_so(&world, "o-1", &body).await;
    let payment = json!({"to": address, "amount": "20", "contract": USDT_ON_TRON});
    let answer = world.chain("tron", "pay", &payment).await;
    let lie = told_of_a_token(&address, answer["txId"].as_str().unwrap(), "1000000000");
    world.providers.emit(&world.providers.tatum, lie).await;
    until_told(&world, 1).await;
    mine(&world, 5).await;
    until_state(&world, id, "settled").await;
    assert_eq!(shown(&world, id).await["result"]["received"], "20");
    assert_eq!(in_wallet(&world, "USDT").await.as_deref(), Some("20"));
    assert_eq!(open_kinds(&world).await, ["deposit_differs"]);
    world.finish().await;
}

/// The transaction pays the address, and in another asset than was told.
#[tokio::test]
async fn a_payment_of_another_asset_than_was_told_counts_as_what_it_is() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "15.5").await;
    let transaction = pay(&world, &address, "15.5").await;
    let mut lie = told_of_a_token(&address, &transaction, "15500000");
    lie["data"]["logIndex"] = Value::Null;
    world.providers.emit(&world.providers.tatum, lie).await;
    until_told(&world, 1).await;
    mine(&world, 5).await;
    until_state(&world, id, "settled").await;
    assert_eq!(in_wallet(&world, "USDT").await, None);
    assert_eq!(in_wallet(&world, "TRX").await.as_deref(), Some("15.5"));
    assert_eq!(open_kinds(&world).await, ["deposit_differs"]);
    world.finish().await;
}

/// One transfer under two names: whichever is looked at first, it is paid once.
#[tokio::test]
async fn a_transfer_that_is_told_under_two_names_counts_once() {
    let world = World::start().await;
    let body = json!({"amount": "20", "asset": "USDT", "network": "TRON"});
    let (id, address) = placed_so(&world, "o-1", &body).await;
    let payment = json!({"to": address, "amount": "20", "contract": USDT_ON_TRON});
    let answer = world.chain("tron", "pay", &payment).await;
    let mut lie = told_of_a_token(&address, answer["txId"].as_str().unwrap(), "20000000");
    lie["data"]["logIndex"] = json!(7);
    world.providers.emit(&world.providers.tatum, lie).await;
    until_told(&world, 1).await;
    mine(&world, 5).await;
    until_told(&world, 2).await;
    until_state(&world, id, "settled").await;
    world.until("it is over", async |world| world.store.networks_waiting().await.unwrap().is_empty()).await;
    assert_eq!(shown(&world, id).await["result"]["received"], "20");
    assert_eq!(in_wallet(&world, "USDT").await.as_deref(), Some("20"));
    assert_eq!(open_kinds(&world).await, ["deposit_differs"]);
    world.finish().await;
}

/// Then webhooks are all there is.
#[tokio::test]
async fn where_its_chain_shows_no_amount_and_webhooks_contradict_each_other_nothing_counts() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    let transaction = pay(&world, &address, "10").await;
    hide_amounts(&world, &transaction).await;
    let lie = told(&address, &transaction, "1000", ("tron-mainnet", "TRON"));
    world.providers.emit(&world.providers.tatum, lie).await;
    until_told(&world, 1).await;
    mine(&world, 1).await;
    until_told(&world, 2).await;
    mine(&world, 5).await;
    world.until("it is over", async |world| world.store.networks_waiting().await.unwrap().is_empty()).await;
    assert_eq!(open_kinds(&world).await, ["deposit_differs"]);
    assert_nothing_received(&world, id).await;
    assert_eq!(in_wallet(&world, "TRX").await, None);
    cancel(&world, id).await;
    world.finish().await;
}

/// Has Tatum show a transaction of TRON as one whose payments it does not show.
pub(crate) async fn hide_amounts(world: &World, transaction: &str) {
    let look_up = format!("/v4/data/blockchains/transaction?chain=tron-mainnet&hash={transaction}");
    let bare = json!({"txID": transaction, "blockNumber": 1001, "ret": [{"contractRet": "SUCCESS"}]});
    world.providers.plan(&world.providers.tatum, &look_up, u32::MAX, json!({"body": bare})).await;
}

#[tokio::test]
async fn an_order_on_a_chain_that_the_worker_has_no_key_of_fails_and_says_which_is_missing() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let worker = world.worker_process("tron-only").await;
    let body = json!({"amount": "1", "asset": "ETH", "network": "ETH"});
    let id = world.api.post("/v1/orders", "o-1", &body).await.accepted();
    until_state(&world, id, "failed").await;
    let failed = shown(&world, id).await;
    assert_eq!(failed["reason"], "TATUM_XPUB_ETH is not set", "{failed}");
    assert!(world.providers.effects(&world.providers.tatum).await.is_empty(), "nothing is watched");
    let (of_tron, _) = placed(&world, "o-2", "1").await;
    cancel(&world, of_tron).await;
    assert!(worker.stop().await.success());
    world.finish().await;
}

/// Money that is no object must not pay for what is: the address is the same on both networks.
#[tokio::test]
async fn an_event_of_a_test_network_is_ignored_and_the_log_says_why() {
    let world = World::start().await;
    let (id, address) = placed(&world, "o-1", "10").await;
    let transaction = pay(&world, &address, "10").await;
    let of_test = told(&address, &transaction, "10", ("tron-testnet", "TRON"));
    world.providers.emit(&world.providers.tatum, of_test).await;
    let filter = WebhookFilter { provider: Some(Provider::Tatum), ..WebhookFilter::default() };
    let log = async |world: &World| world.store.webhook_log(&filter, None, 10).await.unwrap();
    world
        .until("it is read", async |world| log(world).await.iter().any(|one| one.handled_at.is_some()))
        .await;
    let log = log(&world).await;
    let logged: Vec<_> = log.iter().map(|one| (one.outcome.as_str(), one.detail.as_deref())).collect();
    assert_eq!(logged, [("ignored", Some("it is of the other mode: test on live, or live on test"))]);
    assert!(world.store.networks_waiting().await.unwrap().is_empty());
    assert_nothing_received(&world, id).await;
    // What the main network tells of the same transaction counts, and once.
    mine(&world, 3).await;
    until_state(&world, id, "settled").await;
    assert_eq!(shown(&world, id).await["result"]["received"], "10");
    world.finish().await;
}
