//! `confirmations`: what a chain is asked for while many deposits wait for their depth.

use std::time::Duration;

use futures::future;
use payfleet_core::Money;
use payfleet_core::address::Network;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::order::Order;
use payfleet_tests::measure::{Measured, Series, Target};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::bench::{Bench, Who};
use crate::stage::Stage;

/// How often the chain has a new block and is looked at, in seconds: on Ethereum 12 and 30, so that the
/// same would take half an hour.
const BEAT_S: u64 = 1;
/// Fewer than the blocks that make a deposit final.
const BLOCKS: u64 = 60;

/// Orders whose deposits are in the block that is the last one now.
const DEPOSITS: &str = "WITH made AS (
    INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state,
        state_data, version, next_wake_at)
    SELECT gen_random_uuid(), 'default', 'order', n::text, decode(md5(n::text), 'hex'), $2, 'tatum', 'default',
        'accepted', '{\"state\": \"accepted\", \"provider_ref\": \"watched\"}', 3, now() + interval '1 h'
    FROM generate_series(1, $1) n RETURNING id, idempotency_key)
    INSERT INTO deposits (network, transaction, place, address_key, operation_id, amount, asset, is_coin, block)
    SELECT 'ETH', '0x' || md5(idempotency_key) || md5(idempotency_key), '', idempotency_key, id, 0.05, 'ETH', true, $3
    FROM made";

pub(crate) async fn confirmations(bench: &Bench) -> anyhow::Result<Measured> {
    let (many, fewer) = (10_000, 100);
    let blocks = if bench.quick { BLOCKS / 3 } else { BLOCKS };
    // Beside each other: they are idle nearly all the time, and what is counted takes no notice of it.
    let rounds = (0..bench.times)
        .map(|_| future::try_join(calls_a_minute(bench, many, blocks), calls_a_minute(bench, fewer, blocks)));
    let mut found = [(Who::Ours, Series::default()), (Who::Fewer, Series::default())];
    for (of_many, of_fewer) in future::try_join_all(rounds).await? {
        found[0].1.push(of_many);
        found[1].1.push(of_fewer);
    }
    let about = format!(
        "calls of the chain's provider while {many} deposits on one chain wait for their depth; a block and a look each {BEAT_S} s"
    );
    Ok(Measured::of("confirmations", about, "calls/min", &found, Target::AtMostRatio(1.1)))
}

async fn calls_a_minute(bench: &Bench, deposits: i32, blocks: u64) -> anyhow::Result<f64> {
    let stage = bench.stage().await?;
    let height = stage.ask(&stage.tatum, "/_chain/ethereum").await?["height"].as_i64().unwrap_or_default();
    let money = Money::parse_positive("0.05", "ETH".parse()?)?;
    let order = Request::Order(Order { money, network: Network::Eth, lifetime_s: 3_600, reference: None });
    let mut connection = PgConnection::connect(&stage.database_url).await?;
    let made = sqlx::query(DEPOSITS).bind(deposits).bind(serde_json::to_value(&order)?).bind(height);
    made.execute(&mut connection).await?;
    let beat = Duration::from_secs(BEAT_S);
    // What reconciliation asks is not what waiting costs.
    let settings =
        [("CONFIRM_INTERVAL_MS", beat.as_millis().to_string()), ("RECONCILE_EVERY_MS", "0".to_owned())];
    let worker = stage.worker_with(&[], &settings).await?;
    let mut block = tokio::time::interval(beat);
    block.tick().await;
    let before = calls(&stage).await?;
    for _ in 0..blocks {
        block.tick().await;
        stage.tell(&stage.tatum, "/_chain/ethereum/mine", &json!({"blocks": 1})).await?;
    }
    let made = calls(&stage).await? - before;
    anyhow::ensure!(made > 0.0, "the chain was never looked at");
    stage.dismiss(worker).await?;
    Ok(made * 60.0 / (blocks * BEAT_S) as f64)
}

async fn calls(stage: &Stage) -> anyhow::Result<f64> {
    let answer = stage.ask(&stage.tatum, "/_calls").await?;
    let calls = answer["calls"].as_object().into_iter().flatten();
    // What begins like this is the sandbox's control.
    let asked = calls.filter(|(path, _)| !path.starts_with("/_"));
    Ok(asked.filter_map(|(_, count)| count.as_f64()).sum())
}
