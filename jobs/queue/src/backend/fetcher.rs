//! Takes jobs into free slots, and sleeps on the wake list while there are none.

use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::context::WorkerContext;
use tokio::time::Instant;

use super::admission::{Admission, declare};
use super::hold::Hold;
use super::keeper;
use super::trouble::Trouble;
use crate::{Error, PATIENCE, Taken, Waiter};

/// apalis tells nobody that a worker is shutting down or paused while its handlers run, so it is
/// looked at this often.
const LOOK_AT_WORKER: Duration = Duration::from_millis(200);
/// Jobs due and none handed out for so long: something is wrong with what we are connected to.
const STALLED: Duration = Duration::from_secs(10);

pub(super) async fn run(hold: Arc<Hold>, worker: WorkerContext) {
    let mut waiter = hold.queue.waiter(&hold.name);
    let mut trouble = Trouble::new("taking jobs", &hold.name);
    // For how long there will be nothing to take, as far as is known.
    let mut idle = Duration::ZERO;
    let (mut is_declared, mut admission) = (false, Admission::default());
    while !is_stopping(&hold, &worker) {
        if !is_declared {
            is_declared = declare(&hold.queue, &hold.name, &hold.options.limiters).await.is_ok();
        }
        let pause = std::mem::take(&mut idle);
        if worker.is_paused() {
            wait_for_work(&hold, &worker, &mut waiter, &mut trouble, LOOK_AT_WORKER).await;
        } else if is_full(&hold) {
            wait_for_slot(&hold, &mut waiter).await;
        } else if !pause.is_zero() && !may_leave_to_redis(&hold, &waiter, pause) {
            wait_for_work(&hold, &worker, &mut waiter, &mut trouble, pause).await;
        } else {
            // Never cancelled midway: the jobs of a lost answer would be out of reach for a lease.
            let taken = if pause.is_zero() {
                take(&hold, &mut admission, trouble.is_on()).await.map(Some)
            } else {
                wait_and_take(&hold, &worker, &mut waiter).await
            };
            match taken {
                Ok(taken) => {
                    trouble.over();
                    idle = receive(&hold, taken).await;
                }
                Err(error) => sleep_unless_stopped(&hold, trouble.failed(&error)).await,
            }
        }
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

/// Whether Redis may keep the next take until there is work: nothing must be due before, and what there
/// is room for must not change meanwhile, other than that there is more.
fn may_leave_to_redis(hold: &Hold, waiter: &Waiter, pause: Duration) -> bool {
    pause >= PATIENCE
        && hold.options.limiters.is_empty()
        && !waiter.is_pending()
        && hold.room_for_suspects() > 0
}

async fn wait_and_take(
    hold: &Hold,
    worker: &WorkerContext,
    waiter: &mut Waiter,
) -> Result<Option<Taken>, Error> {
    let (room, suspects) = (hold.room(), hold.room_for_suspects());
    let call = hold.queue.take_call(&hold.name, &hold.options.worker, room, suspects);
    let mut taken = waiter.wait_and_take(call).await?;
    if let Some(taken) = &mut taken
        && worker.is_paused()
    {
        let leases: Vec<_> = std::mem::take(&mut taken.jobs).iter().map(|job| job.lease).collect();
        hold.queue.release(&hold.name, &leases).await?;
    }
    Ok(taken)
}

/// Takes as much as there is room for, once. After trouble the leases at hand are renewed first: they may have
/// expired meanwhile, and this take would give our own running jobs to us a second time.
async fn take(hold: &Hold, admission: &mut Admission, after_trouble: bool) -> Result<Taken, Error> {
    if after_trouble {
        keeper::renew_all(hold).await?;
    }
    let (room, suspects) = (hold.room(), hold.room_for_suspects());
    let limiters = &hold.options.limiters;
    if limiters.is_empty() {
        return hold.queue.take_with(&hold.name, &hold.options.worker, room, suspects).await;
    }
    match admission.of(limiters, room).await? {
        Ok(room) => {
            let taken = hold.queue.take_with(&hold.name, &hold.options.worker, room, suspects).await?;
            admission.let_in(taken.jobs.len());
            Ok(taken)
        }
        Err(wait) => {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            Ok(Taken { next_due_ms: Some(wait), ..Taken::default() })
        }
    }
}

/// Takes in what was taken; answers for how long there is nothing more.
async fn receive(hold: &Hold, taken: Option<Taken>) -> Duration {
    let Some(taken) = taken else { return Duration::ZERO };
    let idle = idle_time(&taken);
    if !taken.jobs.is_empty() || !idle.is_zero() {
        hold.progress.made();
    } else if hold.progress.stalled_for() > STALLED {
        tracing::warn!(queue.name = %hold.name, "jobs are due and none is handed out; connecting anew");
        hold.queue.reconnect().await;
        sleep_unless_stopped(hold, LOOK_AT_WORKER).await;
    }
    if taken.undecodable > 0 {
        tracing::error!(
            queue.name = %hold.name,
            jobs = taken.undecodable,
            "jobs whose records cannot be read are dead; their raw bytes are kept"
        );
    }
    if !taken.jobs.is_empty() {
        hold.add(taken.jobs);
    }
    idle
}

/// How long there will be nothing to take.
fn idle_time(taken: &Taken) -> Duration {
    match taken.next_due_ms {
        Some(0) if !taken.paused => Duration::ZERO,
        Some(ms) if !taken.paused => Duration::from_millis(ms).min(PATIENCE),
        _ => PATIENCE,
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
            () = hold.suspects_ran() => return,
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
