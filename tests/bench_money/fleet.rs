//! The fleet's side: jobs into Redis as the producer puts them, one worker, and a look at Postgres
//! until all is written.

use std::time::{Duration, Instant};

use payfleet_core::JobId;
use payfleet_core::job::{NewJob, Origin};
use payfleet_core::kinds::{Advance, JobKind, NewOperation, OperationKind};
use payfleet_core::provider::Provider;
use payfleet_core::{OperationId, Timestamp};
use payfleet_process::spawn;
use payfleet_store::UnhandledWebhook;
use payfleet_tests::store::payout;
use payfleet_tests::world::World;
use payfleet_worker::jobs::{self, Subject};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Jobs enqueued with one call.
const FILL: usize = 1_000;

/// Operations a second, from the first lease to the last outcome in Postgres.
pub(crate) async fn payouts(world: &World, round: usize, count: usize) -> anyhow::Result<f64> {
    let made: Vec<NewOperation> = (0..count).map(|n| payout(&format!("round-{round}-{n}"))).collect();
    let waiting = made.iter().map(first_job).collect::<anyhow::Result<Vec<_>>>()?;
    for batch in waiting.chunks(FILL) {
        world.queue.enqueue(batch).await?;
    }
    let goal = i64::try_from(count)?;
    let called = async || -> anyhow::Result<i64> {
        let of_round = "SELECT count(*) FROM operations WHERE idempotency_key LIKE $1
            AND state NOT IN ('requested', 'submitting')";
        Ok(world.count(of_round, &format!("round-{round}-%")).await)
    };
    during(world, async || Ok(called().await? >= goal), count).await
}

/// Events a second, from the first lease to the last committed row. What they wake waits meanwhile.
pub(crate) async fn webhooks(world: &World, round: usize, count: usize) -> anyhow::Result<f64> {
    let effects = world.providers.effects(&world.providers.heleket).await;
    anyhow::ensure!(!effects.is_empty(), "webhooks are about payouts: measure those first");
    let event = |n: usize| {
        let effect = &effects[n % effects.len()];
        let body = json!({
            "type": "payout", "uuid": effect.id, "order_id": effect.reference, "amount": "15.5",
            "currency": "USDT", "network": "TRON", "status": "process", "is_final": false, "n": n,
        });
        jobs::webhook(&UnhandledWebhook {
            provider: Provider::Heleket,
            event_key: format!("bench-{round}-{n}"),
            received_at: Timestamp::from_unix_ms(1_790_000_000_000),
            body: body.to_string().into_bytes(),
            event_type: "payout".to_owned(),
        })
    };
    let waiting = (0..count).map(event).collect::<Result<Vec<_>, _>>()?;
    for batch in waiting.chunks(FILL) {
        world.queue.enqueue(batch).await?;
    }
    let queue = JobKind::Payout.queue()?;
    world.queue.pause(&queue).await?;
    let goal = i64::try_from(count)?;
    let stored = async || -> anyhow::Result<i64> {
        let of_round = "SELECT count(*) FROM webhook_events WHERE event_key LIKE $1 AND status = 'processed'";
        Ok(world.count(of_round, &format!("bench-{round}-%")).await)
    };
    let rate = during(world, async || Ok(stored().await? >= goal), count).await;
    world.queue.resume(&queue).await?;
    rate
}

/// Runs one worker until `is_done`, and answers how many of `count` it did in a second.
async fn during(
    world: &World,
    is_done: impl AsyncFn() -> anyhow::Result<bool>,
    count: usize,
) -> anyhow::Result<f64> {
    let mut config = world.worker_config("bench");
    config.concurrency = 64;
    config.database_connections = 32;
    config.queue.lease = Duration::from_secs(10);
    // Nothing is polled while the calls are measured; what is left is confirmed afterwards.
    config.confirm_interval = Some(Duration::from_secs(20));
    let stop = CancellationToken::new();
    let began = Instant::now();
    let worker = spawn("bench-worker", payfleet_worker::run(config, stop.clone()));
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    while !is_done().await? {
        beat.tick().await;
    }
    let took = began.elapsed();
    stop.cancel();
    worker.await??;
    Ok(count as f64 / took.as_secs_f64())
}

/// The job that the producer makes of a request.
fn first_job(new: &NewOperation) -> anyhow::Result<NewJob> {
    let id: OperationId = new.id();
    let subject = Subject { id, kind: OperationKind::Payout, tenant: new.tenant.clone() };
    let job = jobs::advance(&subject, JobId::first_of(id), Duration::ZERO, Origin::Api)?;
    let payload = Advance { operation_id: id, request: Some(new.clone()), event: None };
    Ok(NewJob { payload: serde_json::value::to_raw_value(&payload)?, ..job })
}
