//! Takes jobs into free slots, and sleeps on the wake list while there are none.

use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::context::WorkerContext;
use tokio::time::Instant;

use super::hold::Hold;
use super::keeper;
use super::trouble::Trouble;
use crate::{PATIENCE, Taken, Waiter};

/// apalis tells nobody that a worker is shutting down or paused while its handlers run, so it is
/// looked at this often.
const LOOK_AT_WORKER: Duration = Duration::from_millis(200);
/// Jobs due and none handed out for so long: something is wrong with what we are connected to.
const STALLED: Duration = Duration::from_secs(10);

pub(super) async fn run(hold: Arc<Hold>, worker: WorkerContext) {
    let mut waiter = hold.queue.waiter(&hold.name);
    let mut trouble = Trouble::new("taking jobs", &hold.name);
    while !is_stopping(&hold, &worker) {
        let pause = if worker.is_paused() {
            LOOK_AT_WORKER
        } else if is_full(&hold) {
            wait_for_slot(&hold, &mut waiter).await;
            continue;
        } else {
            // Never cancelled midway: the jobs of a lost answer would be out of reach for a lease.
            match take(&hold, &mut trouble).await {
                Ok(taken) => match idle_time(&taken) {
                    Some(time) => time,
                    None => continue,
                },
                Err(pause) => {
                    sleep_unless_stopped(&hold, pause).await;
                    continue;
                }
            }
        };
        wait_for_work(&hold, &worker, &mut waiter, &mut trouble, pause).await;
    }
    give_back(&hold).await;
    hold.end_fetching();
}

fn is_stopping(hold: &Hold, worker: &WorkerContext) -> bool {
    hold.is_stopping() || worker.is_shutting_down()
}

/// Nothing may be taken now; or so little, beside what is in hand, that it is not worth a call yet.
fn is_full(hold: &Hold) -> bool {
    hold.pace.measure();
    let (room, ahead) = (hold.room(), hold.pace.prefetch());
    let is_full = room == 0 || room.saturating_mul(2) < ahead;
    if is_full {
        hold.progress.made();
    }
    is_full
}

/// Takes as much as there is room for, once. After trouble the leases at hand are renewed first: they may have
/// expired meanwhile, and this take would give our own running jobs to us a second time.
async fn take(hold: &Hold, trouble: &mut Trouble) -> Result<Taken, Duration> {
    if trouble.is_on() {
        keeper::renew_all(hold).await.map_err(|error| trouble.failed(&error))?;
    }
    let (room, suspects) = (hold.room(), hold.room_for_suspects());
    match hold.queue.take_with(&hold.name, &hold.options.worker, room, suspects).await {
        Ok(mut taken) => {
            trouble.over();
            if taken.paused || !taken.jobs.is_empty() || taken.next_due_ms != Some(0) {
                hold.progress.made();
            } else if hold.progress.stalled_for() > STALLED {
                tracing::warn!(queue.name = %hold.name, "jobs are due and none is handed out; connecting anew");
                hold.queue.reconnect().await;
                return Err(LOOK_AT_WORKER);
            }
            if taken.undecodable > 0 {
                tracing::error!(
                    queue.name = %hold.name,
                    jobs = taken.undecodable,
                    "jobs whose records cannot be read are dead; their raw bytes are kept"
                );
            }
            let jobs = std::mem::take(&mut taken.jobs);
            if !jobs.is_empty() {
                hold.add(jobs);
                taken.next_due_ms = Some(0);
            }
            Ok(taken)
        }
        Err(error) => Err(trouble.failed(&error)),
    }
}

/// How long there will be nothing to take; `None`: look again at once.
fn idle_time(taken: &Taken) -> Option<Duration> {
    match taken.next_due_ms {
        Some(0) if !taken.paused => None,
        Some(ms) => Some(Duration::from_millis(ms.max(1)).min(PATIENCE)),
        None => Some(PATIENCE),
    }
}

/// While all slots are busy a signal may still arrive on the pending command: it is passed on.
async fn wait_for_slot(hold: &Hold, waiter: &mut Waiter) {
    tokio::select! {
        () = hold.freed() => {}
        () = hold.stopping() => {}
        () = tokio::time::sleep(LOOK_AT_WORKER) => {}
        woken = waiter.leftover() => if woken {
            // Lost if this fails, which delays another worker by its patience at most.
            let _ = hold.queue.wake(&hold.name).await;
        }
    }
}

/// Returns when work was signalled, after `pause`, or when the worker shall stop.
async fn wait_for_work(
    hold: &Hold,
    worker: &WorkerContext,
    waiter: &mut Waiter,
    trouble: &mut Trouble,
    pause: Duration,
) {
    let end = Instant::now() + pause;
    while !is_stopping(hold, worker) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = hold.stopping() => return,
            answer = waiter.wait(left.min(LOOK_AT_WORKER)) => match answer {
                Ok(true) => return,
                Ok(false) => {}
                // Redis may have been away for long: the next take renews what is held first.
                Err(error) => return sleep_unless_stopped(hold, trouble.failed(&error)).await,
            }
        }
    }
}

async fn sleep_unless_stopped(hold: &Hold, pause: Duration) {
    tokio::select! {
        () = hold.stopping() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// Jobs that were leased but not started go back at once.
async fn give_back(hold: &Hold) {
    let unstarted = hold.empty_buffer();
    if unstarted.is_empty() {
        return;
    }
    if let Err(error) = hold.queue.release(&hold.name, &unstarted).await {
        let jobs = unstarted.len();
        tracing::warn!(queue.name = %hold.name, jobs, %error, "jobs could not be given back; their leases will expire");
    }
}
