//! Heartbeats: renews every lease that is held, on a timer of its own, whatever handlers, buffers
//! and the worker's loop do.

use std::sync::Arc;

use super::hold::Hold;
use super::trouble::Trouble;
use crate::Error;

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
        pause = match renew_all(&hold).await {
            Ok(()) => {
                trouble.over();
                every
            }
            Err(error) => trouble.failed(&error).min(every),
        };
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
