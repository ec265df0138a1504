//! Sends outcomes to Redis, many in one call, again and again until Redis has answered.

use std::sync::Arc;

use super::hold::Hold;
use super::trouble::Trouble;
use crate::settle::follow_ups;
use crate::{Error, Settled, Settlement};

/// Outcomes in one call.
const BATCH: usize = 500;

pub(super) async fn run(hold: Arc<Hold>) {
    let mut trouble = Trouble::new("settling jobs", &hold.name);
    let mut waiting = Vec::new();
    loop {
        hold.take_outcomes(&mut waiting);
        if waiting.is_empty() {
            tokio::select! {
                () = hold.outcomes() => {}
                () = hold.finished() => return,
            }
            continue;
        }
        match settle_all(&hold, &mut waiting, trouble.is_on()).await {
            Ok(()) => trouble.over(),
            Err(error) => tokio::time::sleep(trouble.failed(&error)).await,
        }
    }
}

/// Settles what can be settled and leaves the rest in `waiting`. Jobs with follow-ups in another queue go
/// apart: that queue may be full, and must not hold up the others.
async fn settle_all(hold: &Hold, waiting: &mut Vec<Settlement>, repeated: bool) -> Result<(), Error> {
    let is_foreign = |s: &Settlement| follow_ups(s).iter().any(|job| job.queue != hold.name);
    let (foreign, own): (Vec<_>, Vec<_>) = waiting.drain(..).partition(is_foreign);
    let mut result = Ok(());
    for batch in own.chunks(BATCH).chain(foreign.chunks(BATCH)) {
        let settled = match settle(hold, batch, repeated).await {
            // Together they ask too much of another queue; some of them may not.
            Err(Error::QueueFull { .. } | Error::OutOfMemory) if batch.len() > 1 => {
                settle_each(hold, batch, waiting, repeated).await
            }
            Err(error) => {
                waiting.extend_from_slice(batch);
                Err(error)
            }
            Ok(()) => Ok(()),
        };
        if settled.is_err() {
            result = settled;
        }
    }
    result
}

async fn settle_each(
    hold: &Hold,
    batch: &[Settlement],
    waiting: &mut Vec<Settlement>,
    repeated: bool,
) -> Result<(), Error> {
    let mut result = Ok(());
    for one in batch.chunks(1) {
        if let Err(error) = settle(hold, one, repeated).await {
            waiting.extend_from_slice(one);
            result = Err(error);
        }
    }
    result
}

async fn settle(hold: &Hold, batch: &[Settlement], repeated: bool) -> Result<(), Error> {
    let answers = hold.queue.settle(&hold.name, batch).await?;
    for (settlement, answer) in batch.iter().zip(answers) {
        report(hold, settlement, answer, repeated);
    }
    hold.settled(batch.iter().map(|settlement| settlement.lease));
    Ok(())
}

fn report(hold: &Hold, settlement: &Settlement, answer: Settled, repeated: bool) {
    if answer == Settled::Applied {
        return;
    }
    let id = settlement.lease.id;
    if repeated {
        tracing::info!(queue.name = %hold.name, job.id = %id, "an outcome sent during an outage was already in, or its lease had ended");
    } else {
        tracing::warn!(queue.name = %hold.name, job.id = %id, "a job's lease had ended before its outcome was known");
    }
}
