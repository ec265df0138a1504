//! `webhooks`: from the queue to committed rows: the event, its body, the inbox of its operation.

use payfleet_core::Timestamp;
use payfleet_core::job::NewJob;
use payfleet_core::kinds::JobKind;
use payfleet_core::provider::Provider;
use payfleet_store::UnhandledWebhook;
use payfleet_tests::measure::{Measured, Target};
use payfleet_worker::jobs;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::bench::Bench;
use crate::pgbench;

/// What Heleket tells of a payout on its way.
const WORDS: [&str; 2] = ["process", "check"];

/// What must be there for each event.
const DONE: &str = "SELECT count(*) FROM webhook_events e JOIN webhook_bodies b ON b.webhook_id = e.id
    JOIN inbox i ON i.operation_id = e.operation_id AND i.event_key LIKE 'webhook:' || e.event_key || '%'
    WHERE e.status = 'processed'";

/// Payouts that Heleket has accepted, as the store would have left them.
const ACCEPTED: &str = "WITH made AS (
    INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state,
        state_data, version, provider_ref, next_wake_at)
    SELECT gen_random_uuid(), 'default', 'payout', n::text, decode(md5(n::text), 'hex'), '{}', 'heleket', 'default',
        'accepted', '{}', 3, 'payout-' || n, now() + interval '1 h' FROM generate_series(1, $1) n
    RETURNING id, idempotency_key)
    INSERT INTO intents (operation_id, number, action, provider, account, provider_key, reference, request_hash,
        attempts, closed_at, outcome)
    SELECT id, 1, 'payout', 'heleket', 'default', idempotency_key, 'order-' || idempotency_key,
        decode(md5(idempotency_key), 'hex'), 1, now(), 'accepted' FROM made";

pub(crate) async fn webhooks(bench: &Bench) -> anyhow::Result<Measured> {
    let payouts: i32 = if bench.quick { 5_000 } else { 20_000 };
    let count = payouts * i32::try_from(WORDS.len())?;
    let ours = async |_| {
        let stage = bench.stage().await?;
        let mut connection = PgConnection::connect(&stage.database_url).await?;
        sqlx::query(ACCEPTED).bind(payouts).execute(&mut connection).await?;
        // As Postgres itself does before long.
        sqlx::query("ANALYZE operations, intents").execute(&mut connection).await?;
        // What the events wake is another row's business.
        let worker = stage.worker(&[JobKind::Webhook, JobKind::Payout]).await?;
        let told = WORDS.iter().flat_map(|word| (1..=payouts).map(move |number| event(number, word)));
        stage.put(&told.collect::<anyhow::Result<Vec<_>>>()?).await?;
        let took = stage.drained(JobKind::Webhook, &worker).await?;
        anyhow::ensure!(stage.count(DONE).await? == i64::from(count), "some events are missing");
        stage.dismiss(worker).await?;
        Ok(f64::from(count) / took.as_secs_f64())
    };
    let found = bench.beside_pgbench(pgbench::WEBHOOK, ours).await?;
    let about = format!(
        "{count} events of {payouts} payouts from the queue to committed rows and inboxes; pgbench: one INSERT an event"
    );
    Ok(Measured::of("webhooks", about, "events/s", &found, Target::Ratio(1.5)))
}

/// The job that the producer makes of an event.
fn event(number: i32, word: &str) -> anyhow::Result<NewJob> {
    let body = json!({
        "type": "payout", "uuid": format!("payout-{number}"), "order_id": format!("order-{number}"), "amount": "15.5",
        "merchant_amount": "15.8", "commission": "0.3", "is_final": false, "status": word, "txid": null,
        "currency": "USDT", "network": "tron", "payer_currency": "USDT", "sign": "0123456789abcdef0123456789abcdef",
    });
    Ok(jobs::webhook(&UnhandledWebhook {
        provider: Provider::Heleket,
        event_key: format!("{number}-{word}"),
        received_at: Timestamp::from_unix_ms(1_790_000_000_000),
        body: body.to_string().into_bytes(),
        event_type: "payout".to_owned(),
    })?)
}
