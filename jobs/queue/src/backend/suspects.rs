//! Runs suspects, one after the other, each while nothing else runs in the process.
//!
//! The queue is told before each begins. If the process ends then, that delivery counts against the
//! job; the other suspects in hand were only unlucky.

use std::sync::Arc;

use super::hold::Hold;
use super::trouble::Trouble;

pub(super) async fn run(hold: Arc<Hold>) {
    let mut trouble = Trouble::new("starting suspects", &hold.name);
    loop {
        tokio::select! {
            () = hold.suspect_waits() => {}
            () = hold.stopping() => return,
        }
        let alone = tokio::select! {
            alone = hold.queue.inner.floor.alone() => alone,
            () = hold.stopping() => return,
        };
        while let Some(suspect) = hold.next_suspect() {
            match hold.queue.start(&hold.name, suspect.lease.lease()).await {
                Ok(true) => {
                    trouble.over();
                    hold.run_alone(suspect).await;
                }
                Ok(false) => {
                    trouble.over();
                    hold.lost(suspect.lease.lease());
                    hold.drop_lost(suspect.lease.lease());
                }
                Err(error) => {
                    let pause = trouble.failed(&error);
                    hold.put_back_suspect(suspect);
                    tokio::time::sleep(pause).await;
                }
            }
            if hold.is_stopping() {
                return;
            }
        }
        drop(alone);
        hold.want_suspects();
    }
}
