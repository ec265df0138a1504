//! What a sandbox remembers when it is killed: it is the oracle of the whole fleet's tests.

use std::io::Write as _;

use payfleet_core::provider::Provider;

use crate::bench::{Bench, accepted, key, mint, payout};

#[tokio::test]
async fn a_killed_sandbox_knows_every_payout_again() {
    let bench = Bench::start(Provider::Heleket).await;
    let key = key(Provider::Heleket, "a");
    let report = accepted(bench.client().call(&payout("2"), &key).await);
    let before = bench.effects().await;
    let bench = bench.restart().await;
    assert_eq!(bench.effects().await, before);
    assert_eq!(bench.client().poll(&payout("1"), &report.provider_ref, None).await.unwrap(), report);
    assert_eq!(accepted(bench.client().call(&payout("2"), &key).await), report);
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn a_killed_sandbox_knows_every_token_again() {
    let bench = Bench::start(Provider::TrovoTech).await;
    accepted(bench.client().call(&mint("2"), &key(Provider::TrovoTech, "a")).await);
    let before = bench.effects().await;
    let bench = bench.restart().await;
    assert_eq!(bench.effects().await, before);
    let next = accepted(bench.client().call(&mint("2"), &key(Provider::TrovoTech, "b")).await);
    assert_ne!(before[0]["id"], next.provider_ref);
}

#[tokio::test]
async fn a_last_line_that_was_torn_is_cut_off() {
    let bench = Bench::start(Provider::Heleket).await;
    accepted(bench.client().call(&payout("2"), &key(Provider::Heleket, "a")).await);
    let record = bench.options.dir.join("heleket.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(record).unwrap();
    file.write_all(b"{\"payout\":{\"name\":\"Zo\xc3").unwrap();
    let bench = bench.restart().await;
    assert_eq!(bench.effects().await.len(), 1);
    accepted(bench.client().call(&payout("2"), &key(Provider::Heleket, "b")).await);
    let bench = bench.restart().await;
    assert_eq!(bench.effects().await.len(), 2);
}
