//! Orders on each of the chains: their coins and a token.

use payfleet_tests::world::World;
use serde_json::json;

use crate::orders::{assert_nothing_received, placed_so, shown, until_looked, until_state};

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
