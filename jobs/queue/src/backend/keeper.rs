//! Heartbeats: renews every lease that is held, on a timer of its own, whatever handlers, buffers
//! and the worker's loop do.
//!
//! A job that was taken ahead and has not begun soon after goes back: handlers have become slower than
//! they were when it was taken, so others should have it. That also keeps the innocent from being
//! suspected. The queue is told of no start, which would cost a command a job, so it takes every lease that
//! expires for one that was started; all that a worker can lose unstarted is what it has just taken.

use std::sync::Arc;
use std::time::Duration;

use super::hold::Hold;
use super::trouble::Trouble;
use crate::Error;

/// Jobs are taken ahead to begin within a fiftieth of this.
const STAY: Duration = Duration::from_secs(1);

pub(super) async fn run(hold: Arc<Hold>) {
    // Two heartbeats may fail before a lease expires.
    let every = hold.options.renew_every.min(hold.queue.config().lease / 3);
    let mut trouble = Trouble::new("renewing leases", &hold.name);
    let mut pause = every;
    loop {
        tokio::select! {
            () = hold.finished() => return,
            () = tokio::time::sleep(pause) => {}
        }
        give_back_overstayed(&hold).await;
        pause = match renew_all(&hold).await {
            Ok(()) => {
                trouble.over();
                every
            }
            Err(error) => trouble.failed(&error).min(every),
        };
    }
}

async fn give_back_overstayed(hold: &Hold) {
    let back = hold.take_overstayed(STAY);
    if back.is_empty() {
        return;
    }
    if let Err(error) = hold.queue.release(&hold.name, &back).await {
        let jobs = back.len();
        tracing::warn!(queue.name = %hold.name, jobs, %error, "jobs that wait too long here could not be given back; their leases will expire");
    }
}

/// Renews all leases once, and tells the holders of those that had ended.
pub(super) async fn renew_all(hold: &Hold) -> Result<(), Error> {
    let leases = hold.leases();
    if leases.is_empty() {
        return Ok(());
    }
    let answers = hold.queue.renew(&hold.name, &leases).await?;
    for (lease, held) in leases.into_iter().zip(answers) {
        if !held {
            // Also said of a lease that was settled a moment ago; nobody holds that one any more.
            hold.lost(lease);
        }
    }
    Ok(())
}
