//! Tatum: subscriptions, transfers from the pool to a final block and back, look-ups, broadcast, rates,
//! credits, and the list of webhooks that were sent.

use payfleet_core::provider::Provider;
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use payfleet_providers::tatum::{
    CREDITS_SPENT, Chain, Client, SignedTransaction, Stage, SubscriptionId, Template, Watch, read_transfer,
};
use serde_json::{Value, json};

use crate::bench::{Bench, START_MS, tatum_client};
use crate::webhooks::Receiver;

const ADDRESS: &str = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94";
const BITCOIN: &str = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu";
const HOOKS: &str = "https://pay.example/webhooks/tatum";
const BROADCAST: &str = "/v3/ethereum/broadcast";
/// Signed with the key that EIP-155 prints.
const SIGNED: &str = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";

fn tatum(bench: &Bench) -> &Client {
    bench.clients.tatum().unwrap()
}

fn watch(chain: Chain, address: &str, template: Template) -> Watch<'_> {
    Watch { chain, address, url: HOOKS, template, mempool: true }
}

fn ethereum() -> Watch<'static> {
    watch(Chain::Ethereum, ADDRESS, Template::Enriched)
}

/// Puts a payment into a chain's pool; its hash.
async fn pay(bench: &Bench, chain: &str, to: &str, amount: &str) -> String {
    let asked = json!({ "to": to, "amount": amount, "from": "0x690b9a9e9aa1c9db991c7721a92d351db4fac990" });
    let answer = bench.ask(&format!("_chain/{chain}/pay"), asked).await;
    answer["txId"].as_str().unwrap().to_owned()
}

async fn mine(bench: &Bench, chain: &str, blocks: u16) {
    bench.ask(&format!("_chain/{chain}/mine"), json!({ "blocks": blocks })).await;
}

#[tokio::test]
async fn an_address_is_subscribed_to_once_however_often_it_is_asked_for() {
    let bench = Bench::start(Provider::Tatum).await;
    let id = tatum(&bench).subscribe(&ethereum()).await.unwrap();
    assert_eq!(tatum(&bench).subscribe(&ethereum()).await.unwrap(), id, "already exists is success");
    let bench = bench.restart().await;
    assert_eq!(tatum(&bench).subscribe(&ethereum()).await.unwrap(), id);
    assert_eq!(tatum(&bench).list_subscriptions(None).await.unwrap().len(), 1);
    tatum(&bench).delete_subscription(&id).await.unwrap();
    tatum(&bench).delete_subscription(&id).await.unwrap();
    assert_eq!(tatum(&bench).subscription_of(&ethereum()).await.unwrap(), None);
}

#[tokio::test]
async fn a_lost_answer_to_a_subscription_is_found_in_the_list() {
    let bench = Bench::start(Provider::Tatum).await;
    assert_eq!(tatum(&bench).subscription_of(&ethereum()).await.unwrap(), None);
    bench.plan("/v4/subscription", json!("reset_after_effect")).await;
    let error = tatum(&bench).subscribe(&ethereum()).await.unwrap_err();
    assert_eq!(error.class(), OutcomeClass::Ambiguous);
    let found = tatum(&bench).subscription_of(&ethereum()).await.unwrap().unwrap();
    assert_eq!(tatum(&bench).subscribe(&ethereum()).await.unwrap(), found.id);
}

#[tokio::test]
async fn the_list_has_every_page() {
    let bench = Bench::start(Provider::Tatum).await;
    for number in 0..120 {
        let address = format!("0x{number:040x}");
        tatum(&bench).subscribe(&watch(Chain::Polygon, &address, Template::Legacy)).await.unwrap();
    }
    let all = tatum(&bench).list_subscriptions(None).await.unwrap();
    assert_eq!(all.len(), 120);
    assert_eq!(tatum(&bench).list_subscriptions(Some(&all[77].address)).await.unwrap(), [all[77].clone()]);
    bench.plan("/v4/subscription", json!({ "latency_ms": 1 })).await;
    bench.plan("/v4/subscription", json!({ "status": 500 })).await;
    let error = tatum(&bench).list_subscriptions(None).await.unwrap_err();
    assert_eq!(error.class(), OutcomeClass::Retryable, "a page that is missing");
}

#[tokio::test]
async fn a_payment_is_told_in_each_of_its_stages_signed_and_in_its_templates_unit() {
    for (template, chain, name, address, amount) in [
        (Template::Enriched, Chain::Ethereum, "ethereum", ADDRESS, "0.05"),
        (Template::Legacy, Chain::Polygon, "polygon", ADDRESS, "1.5"),
        (Template::Legacy, Chain::Bitcoin, "bitcoin", BITCOIN, "0.001"),
        (Template::Legacy, Chain::Tron, "tron", "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH", "20"),
    ] {
        let bench = Bench::start(Provider::Tatum).await;
        let receiver = Receiver::start(&bench).await;
        let secret = "the-hmac-secret".into();
        tatum(&bench).enable_hmac(&secret).await.unwrap();
        tatum(&bench).subscribe(&watch(chain, address, template)).await.unwrap();
        let mut keys = std::collections::HashSet::new();
        let mut next = async |stage: Stage| {
            let received = receiver.take("200 OK").await;
            let verified = received.verify(Provider::Tatum, "the-hmac-secret").unwrap();
            assert!(keys.insert(verified.event_key.clone()), "{name} {}", verified.event_key);
            let transfer = read_transfer(&received.body).unwrap();
            assert_eq!((transfer.stage, transfer.chain), (stage, Some(chain)));
            assert_eq!(transfer.to.as_deref(), Some(address));
            assert_eq!(transfer.money.unwrap().to_string(), format!("{amount} {}", chain.coin()));
            transfer
        };
        let hash = pay(&bench, name, address, amount).await;
        if chain == Chain::Bitcoin {
            assert_eq!(next(Stage::Mempool).await.block, None);
        }
        mine(&bench, name, 1).await;
        let confirmed = next(Stage::Confirmed).await;
        assert_eq!((confirmed.transaction, confirmed.block), (hash, Some(1_001)));
        bench.ask(&format!("_chain/{name}/reorganise"), json!({ "depth": 1 })).await;
        next(Stage::Reorg).await;
    }
}

#[tokio::test]
async fn depth_grows_with_the_chain_and_falls_with_a_reorganisation() {
    let bench = Bench::start(Provider::Tatum).await;
    let hash = pay(&bench, "ethereum", ADDRESS, "0.05").await;
    let depth = async || {
        let depth = tatum(&bench).depth(Chain::Ethereum, &hash).await.unwrap();
        depth.map(|depth| depth.confirmations)
    };
    assert_eq!(depth().await, Some(0), "it waits for a block");
    mine(&bench, "ethereum", 1).await;
    assert_eq!(depth().await, Some(1), "its own block counts");
    mine(&bench, "ethereum", 5).await;
    assert_eq!(depth().await, Some(6));
    bench.ask("_chain/ethereum/reorganise", json!({ "depth": 6 })).await;
    assert_eq!(depth().await, Some(0), "back in the pool");
    mine(&bench, "ethereum", 2).await;
    assert_eq!(depth().await, Some(2));
    bench.ask("_chain/ethereum/reorganise", json!({ "depth": 2, "vanish": true })).await;
    assert_eq!(depth().await, None, "it never was");
    assert_eq!(bench.effects().await.len(), 0);
}

#[tokio::test]
async fn what_is_finalised_stays() {
    let bench = Bench::start(Provider::Tatum).await;
    mine(&bench, "bitcoin", 3).await;
    bench.ask("_chain/bitcoin/finalise", json!({})).await;
    assert_eq!(bench.status("_chain/bitcoin/reorganise", json!({ "depth": 1 })).await, 409);
    mine(&bench, "bitcoin", 1).await;
    assert_eq!(bench.status("_chain/bitcoin/reorganise", json!({ "depth": 1 })).await, 200);
    assert_eq!(tatum(&bench).height(Chain::Bitcoin).await.unwrap(), 1_003);
    let bench = bench.restart().await;
    assert_eq!(tatum(&bench).height(Chain::Bitcoin).await.unwrap(), 1_003);
}

#[tokio::test]
async fn a_transaction_is_broadcast_once_and_a_node_that_knows_it_has_taken_it() {
    let bench = Bench::start(Provider::Tatum).await;
    let signed = SignedTransaction::new(Chain::Ethereum, SIGNED).unwrap();
    tatum(&bench).broadcast(&signed).await.unwrap();
    tatum(&bench).broadcast(&signed).await.unwrap();
    mine(&bench, "ethereum", 1).await;
    tatum(&bench).broadcast(&signed).await.unwrap();
    let effects = bench.effects().await;
    assert_eq!((effects.len(), &effects[0]["reference"]), (1, &json!(signed.hash())));
}

#[tokio::test]
async fn a_broadcast_without_an_answer_is_looked_up_by_its_hash() {
    for (fault, in_doubt) in [
        (json!("reset_after_effect"), false),
        (json!("effect_then_500"), false),
        (json!("reset_before"), true),
        (json!({ "status": 500 }), true),
    ] {
        let bench = Bench::start(Provider::Tatum).await;
        let signed = SignedTransaction::new(Chain::Ethereum, SIGNED).unwrap();
        bench.plan(BROADCAST, fault.clone()).await;
        let sent = tatum(&bench).broadcast(&signed).await;
        let class = sent.err().map(|error| error.class());
        assert_eq!(class, in_doubt.then_some(OutcomeClass::Ambiguous), "{fault}");
        tatum(&bench).broadcast(&signed).await.unwrap();
        assert_eq!(bench.effects().await.len(), 1);
    }
}

#[tokio::test]
async fn each_refusal_of_a_broadcast_says_whether_it_can_still_come() {
    let bench = Bench::start(Provider::Tatum).await;
    let signed = SignedTransaction::new(Chain::Ethereum, SIGNED).unwrap();
    let refusal = |message: &str| {
        let body = json!({ "statusCode": 403, "errorCode": "tx.broadcast.failed", "message": message });
        let headers = json!({ "content-type": "application/json" });
        json!({ "answer": { "status": 403, "headers": headers, "body": body.to_string() } })
    };
    for (fault, class) in [
        (refusal("insufficient funds for gas"), OutcomeClass::Terminal),
        // They say so, and the chain does not show it: perhaps another node has it.
        (refusal("already known"), OutcomeClass::Ambiguous),
        (refusal("nonce too low"), OutcomeClass::Ambiguous),
        (json!({ "body": { "txId": "0x00" } }), OutcomeClass::Ambiguous),
        (json!({ "body": {} }), OutcomeClass::Ambiguous),
        (json!({ "status": 429 }), OutcomeClass::RateLimited { retry_after_ms: None }),
    ] {
        bench.plan(BROADCAST, fault.clone()).await;
        let error = tatum(&bench).broadcast(&signed).await.unwrap_err();
        assert_eq!(error.class(), class, "{fault}");
    }
    bench.plan(BROADCAST, refusal("insufficient funds for gas")).await;
    bench.plan("/v4/data/blockchains/transaction", json!({ "status": 500 })).await;
    let error = tatum(&bench).broadcast(&signed).await.unwrap_err();
    assert_eq!(error.class(), OutcomeClass::Ambiguous, "an earlier one cannot be ruled out");
}

#[tokio::test]
async fn spent_credits_are_a_pause_and_not_a_fault() {
    let bench = Bench::start(Provider::Tatum).await;
    bench.tell_json("_credits", json!({ "left": 1 })).await;
    tatum(&bench).height(Chain::Tron).await.unwrap();
    let error = tatum(&bench).height(Chain::Tron).await.unwrap_err();
    assert_eq!(error.code(), CREDITS_SPENT);
    assert_eq!(error.class(), OutcomeClass::RateLimited { retry_after_ms: Some(3_600_000) });
    bench.tell_json("_credits", json!({ "left": null })).await;
    tatum(&bench).height(Chain::Tron).await.unwrap();
}

#[tokio::test]
async fn rates_are_exact_and_of_the_pair_that_was_asked_for() {
    let bench = Bench::start(Provider::Tatum).await;
    let (trx, usd) = ("TRX".parse().unwrap(), "USD".parse().unwrap());
    let rate = tatum(&bench).rate(trx, usd).await.unwrap();
    assert_eq!((rate.value.to_string().as_str(), rate.at), ("0.1325", Timestamp::from_unix_ms(START_MS)));
    let other = json!({ "id": "ETH", "value": "1", "basePair": "USD", "timestamp": 1 });
    bench.plan("/v4/data/rate/symbol", json!({ "body": other })).await;
    assert_eq!(tatum(&bench).rate(trx, usd).await.unwrap_err().code(), "unexpected_answer");
}

#[tokio::test]
async fn a_paused_subscription_is_silent_and_the_list_of_webhooks_has_what_was_missed() {
    let bench = Bench::start(Provider::Tatum).await;
    let id = tatum(&bench).subscribe(&ethereum()).await.unwrap();
    tatum(&bench).pause_subscription(&id, true).await.unwrap();
    pay(&bench, "ethereum", ADDRESS, "1").await;
    mine(&bench, "ethereum", 1).await;
    tatum(&bench).pause_subscription(&id, false).await.unwrap();
    let mut hashes = Vec::new();
    for number in 0..60 {
        hashes.push(pay(&bench, "ethereum", ADDRESS, &format!("0.{number:03}1")).await);
        mine(&bench, "ethereum", 1).await;
        bench.clock.advance_ms(1_000);
    }
    let (mut listed, is_last) = tatum(&bench).executed_page(0).await.unwrap();
    assert_eq!((listed.len(), is_last), (50, false));
    let (rest, is_last) = tatum(&bench).executed_page(50).await.unwrap();
    assert!(is_last);
    listed.extend(rest);
    assert!(listed.iter().all(|webhook| webhook.failed && webhook.subscription.as_ref() == Some(&id)));
    let mut told: Vec<String> =
        listed.iter().map(|webhook| read_transfer(&webhook.body).unwrap().transaction).collect();
    told.reverse();
    assert_eq!(told, hashes);
}

#[tokio::test]
async fn another_api_key_is_refused() {
    let bench = Bench::start(Provider::Tatum).await;
    let wrong = tatum_client(&bench.sandbox.url(), "another");
    assert_eq!(wrong.height(Chain::Tron).await.unwrap_err().code(), "unauthorized");
    assert!(!format!("{wrong:?}").contains("another"));
}

#[tokio::test]
async fn an_emptied_id_cannot_be_asked_for_and_would_leave_webhooks_unsigned() {
    assert!("".parse::<SubscriptionId>().is_err());
    let bench = Bench::start(Provider::Tatum).await;
    let receiver = Receiver::start(&bench).await;
    tatum(&bench).subscribe(&ethereum()).await.unwrap();
    // What our client cannot do, done by hand.
    let url = format!("{}/v4/subscription", bench.sandbox.url());
    let sent = crate::bench::http().delete(url).header("x-api-key", "sandbox-api-key").send().await.unwrap();
    assert_eq!(sent.status().as_u16(), 204);
    pay(&bench, "ethereum", ADDRESS, "1").await;
    mine(&bench, "ethereum", 1).await;
    let received = receiver.take("200 OK").await;
    let rejected = received.verify(Provider::Tatum, "sandbox-secret").unwrap_err();
    assert_eq!(rejected, payfleet_providers::webhook::Rejected::MissingSignature);
    let value: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(value["data"]["value"], "1000000000000000000");
}
