//! `payouts`: from the queue to their outcome in Postgres.

use payfleet_core::JobId;
use payfleet_core::job::{Dedupe, NewJob, Origin};
use payfleet_core::kinds::{Advance, JobKind, NewOperation};
use payfleet_tests::measure::{Measured, Target};
use payfleet_tests::store::payout;
use payfleet_worker::jobs::{self, Subject};

use crate::bench::Bench;
use crate::pgbench;

/// What must be there for each payout once its job is settled, and nothing else.
const DONE: &str = "SELECT count(*) FROM operations o JOIN intents i ON i.operation_id = o.id
    JOIN movements m ON m.operation_id = o.id
    WHERE o.kind = 'payout' AND o.state = 'settled' AND i.attempts = 1 AND i.closed_at IS NOT NULL";

pub(crate) async fn payouts(bench: &Bench) -> anyhow::Result<Measured> {
    let count = if bench.quick { 1_000 } else { 6_000 };
    let ours = async |_| {
        let stage = bench.stage().await?;
        let worker = stage.worker(&[JobKind::Payout]).await?;
        let made = (0..count).map(|number| first_job(payout(&format!("payout-{number}"))));
        stage.put(&made.collect::<anyhow::Result<Vec<_>>>()?).await?;
        let took = stage.drained(JobKind::Payout, &worker).await?;
        anyhow::ensure!(stage.count(DONE).await? == i64::from(count), "some payouts were not made");
        let effects = stage.ask(&stage.heleket, "/_effects").await?;
        let effects = effects["effects"].as_array().map_or(0, Vec::len);
        anyhow::ensure!(effects == usize::try_from(count)?, "{effects} effects of {count} payouts");
        stage.dismiss(worker).await?;
        Ok(f64::from(count) / took.as_secs_f64())
    };
    let found = bench.beside_pgbench(pgbench::PAYOUT, ours).await?;
    let about = format!(
        "{count} payouts from the queue to settled and posted; pgbench: the rows of the two transactions of each"
    );
    Ok(Measured::of("payouts", about, "payouts/s", &found, Target::Ratio(0.5)))
}

/// The job that the producer makes of a request.
fn first_job(new: NewOperation) -> anyhow::Result<NewJob> {
    let (id, kind) = (new.id(), new.request.kind());
    let subject = Subject { id, kind, tenant: new.tenant.clone() };
    let job = jobs::advance(&subject, JobId::first_of(id), std::time::Duration::ZERO, Origin::Api)?;
    let dedupe = Dedupe { key: id.to_string(), body_hash: new.request.hash() };
    let payload = Advance { operation_id: id, request: Some(new), event: None };
    Ok(NewJob { payload: serde_json::value::to_raw_value(&payload)?, dedupe: Some(dedupe), ..job })
}
