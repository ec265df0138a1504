//! The recorded bodies, and what a forged token comes to.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn recorded(name: &str) -> Transfer {
    let vectors: Value = serde_json::from_str(include_str!("../../../vectors/tatum.json")).unwrap();
    let case = vectors["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
    read_transfer(case["raw_body"].as_str().unwrap().as_bytes()).unwrap()
}

fn of(body: &Value) -> Result<Transfer, TransferError> {
    read_transfer(body.to_string().as_bytes())
}

fn money(transfer: &Transfer) -> String {
    transfer.money.map(|money| money.to_string()).unwrap_or_default()
}

#[test]
fn each_recorded_body_is_read_in_its_templates_unit() {
    let tron = recorded("published-doc-vector");
    assert_eq!((money(&tron).as_str(), tron.chain), ("20 TRX", Some(Chain::Tron)));
    assert_eq!(tron.to.as_deref(), Some("TJG7iciLGjsib9qhe6U6F7M2vxYJuDjWNM"));
    let eth = recorded("eth-native-legacy-template");
    assert_eq!((money(&eth).as_str(), eth.mode), ("0.05 ETH", Some(Mode::Testnet)));
    assert_eq!((eth.block, eth.stage), (Some(5_301_234), Stage::Confirmed));
    let fee = recorded("eth-fee-legacy-template");
    assert!(fee.is_fee && fee.to.is_none() && fee.from.is_some());
    assert_eq!(recorded("eth-reorg").stage, Stage::Reorg);
    let polygon = recorded("polygon-enriched-template");
    assert_eq!(money(&polygon), "0.05 MATIC");
    assert_eq!(polygon.to.as_deref(), Some("0x2be3e0a7fc9c0d0592ea49b05dde7f28baf8e380"));
}

#[test]
fn a_token_is_known_by_its_contract_and_never_by_its_name() {
    let legacy = |contract: &str| {
        json!({ "address": "T1", "amount": "15.5", "asset": contract, "txId": "t", "type": "token",
            "chain": "tron-mainnet", "blockNumber": 5, "subscriptionType": "ADDRESS_EVENT" })
    };
    let real = of(&legacy("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")).unwrap();
    assert_eq!(money(&real), "15.5 USDT");
    for forged in ["USDT", "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm"] {
        assert_eq!(of(&legacy(forged)).unwrap().money, None);
    }
    let enriched = |contract: &str, decimals: u32| {
        json!({ "data": { "kind": "transfer", "txId": "0x1", "blockNumber": 5, "chain": "ethereum-mainnet",
            "currency": "ETH", "from": "0x2", "to": "0x3", "value": "15500000", "logIndex": 7,
            "contractAddress": contract, "tokenMetadata": { "decimals": decimals, "symbol": "USDT" } } })
    };
    let real = of(&enriched("0xdac17f958d2ee523a2206206994597c13d831ec7", 6)).unwrap();
    assert_eq!((money(&real).as_str(), real.log_index.as_deref()), ("15.5 USDT", Some("7")));
    let forged = of(&enriched("0x1111111111111111111111111111111111111111", 6)).unwrap();
    assert_eq!(forged.money, None);
    let scaled = of(&enriched("0xdac17f958d2ee523a2206206994597c13d831ec7", 18));
    assert_eq!(scaled, Err(TransferError::Missing("decimals of its asset")));
}

#[test]
fn what_cannot_be_read_names_the_field() {
    let whole = json!({ "address": "a", "amount": "1", "asset": "BTC", "txId": "t", "type": "native",
        "chain": "bitcoin-mainnet" });
    assert_eq!(of(&whole).unwrap().stage, Stage::Mempool, "it names no block");
    for (field, value) in
        [("amount", json!("1e3")), ("amount", json!(null)), ("address", json!("")), ("txId", json!(5.5))]
    {
        let mut body = whole.clone();
        body[field] = value.clone();
        if field == "txId" {
            body.as_object_mut().unwrap().remove("txId");
        }
        assert_eq!(of(&body), Err(TransferError::Missing(field)), "{value}");
    }
    assert_eq!(read_transfer(b"[]"), Err(TransferError::NotAnObject));
    let exact = json!({ "address": "a", "amount": "0.123456789", "asset": "BTC", "txId": "t",
        "type": "native", "chain": "BTC" });
    assert_eq!(of(&exact).unwrap().money, None, "finer than the coin divides");
}

proptest! {
    #[test]
    fn an_amount_is_the_same_in_both_templates(units in 1_u64.., chain in 0_usize..4) {
        let chain = Chain::ALL[chain];
        let mut amount = whole(&units.to_string(), chain.decimals()).unwrap();
        let legacy = json!({ "address": "a", "amount": amount.to_string(), "asset": chain.currency(),
            "txId": "t", "type": "native", "chain": chain.name(Mode::Mainnet) });
        let enriched = json!({ "data": { "kind": "transfer", "txId": "t", "currency": chain.currency(),
            "chain": chain.name(Mode::Mainnet), "value": units.to_string(), "to": "a" } });
        let (legacy, enriched) = (of(&legacy).unwrap(), of(&enriched).unwrap());
        prop_assert_eq!(legacy.money, enriched.money);
        let read = legacy.money.unwrap().amount();
        amount.normalize_assign();
        prop_assert_eq!(read, amount);
    }

    #[test]
    fn every_amount_of_every_token_is_the_same_in_both_templates(units in 1_u64.., number in 0_usize..5) {
        let (chain, contract, code) = [
            (Chain::Ethereum, "0xdAC17F958D2ee523a2206206994597C13D831ec7", "USDT"),
            (Chain::Ethereum, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USDC"),
            (Chain::Polygon, "0xc2132D05D31c914a87C6611C10748AEb04B58e8F", "USDT"),
            (Chain::Polygon, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USDC"),
            (Chain::Tron, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "USDT"),
        ][number];
        let amount = whole(&units.to_string(), 6).unwrap();
        let legacy = json!({ "address": "a", "amount": amount.to_string(), "asset": contract,
            "txId": "t", "type": "token", "chain": chain.name(Mode::Mainnet) });
        let enriched = json!({ "data": { "kind": "transfer", "txId": "t", "currency": chain.currency(),
            "chain": chain.name(Mode::Mainnet), "value": units.to_string(), "to": "a",
            "contractAddress": contract, "tokenMetadata": { "decimals": 6 } } });
        let asked = Money::new(amount, code.parse().unwrap()).unwrap();
        prop_assert_eq!(of(&legacy).unwrap().money, Some(asked));
        prop_assert_eq!(of(&enriched).unwrap().money, Some(asked));
    }

    #[test]
    fn an_amount_that_left_is_the_same_with_another_sign(units in 1_i64..) {
        let amount = whole(&units.to_string(), 8).unwrap();
        let left = |amount: String| json!({ "address": "a", "counterAddress": "b", "amount": amount,
            "asset": "BTC", "txId": "t", "type": "native", "chain": "bitcoin-mainnet" });
        let (came, went) = (of(&left(amount.to_string())).unwrap(), of(&left(format!("-{amount}"))).unwrap());
        prop_assert_eq!(came.money, went.money);
        prop_assert_eq!((came.to, came.from), (went.from, went.to));
    }
}
