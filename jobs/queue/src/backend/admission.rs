//! Admission: no more jobs are taken than the limiters of their queue would let call at once. So a limited
//! queue leases few jobs that may not run, and holds up no other.
//!
//! This only looks. Every call takes its own permit just before it is made, and a permit that was held
//! here meanwhile would be missing there.

use std::time::Duration;

use payfleet_core::job::QueueName;
use tokio::time::Instant;

use crate::limits::Limiter;
use crate::{Error, PATIENCE, Queue, keys};

/// Of the queue's `:meta`.
const FIELD: &str = "limiters";
/// Jobs that were taken within this time may still be about to take their permits.
const ABOUT_TO_CALL: Duration = Duration::from_millis(100);

/// How many jobs were let in, and when last.
#[derive(Default)]
pub(super) struct Admission {
    latest: Option<(Instant, usize)>,
}

impl Admission {
    /// Of `room`, how many jobs may be taken; if none, when to ask again.
    pub(super) async fn of(
        &self,
        limiters: &[Limiter],
        room: usize,
    ) -> Result<Result<usize, Duration>, Error> {
        let recent = self.latest.filter(|(at, _)| at.elapsed() < ABOUT_TO_CALL).map_or(0, |(_, jobs)| jobs);
        let mut room = room;
        for limiter in limiters {
            let state = limiter.state().await?;
            let available = usize::try_from(state.available).unwrap_or(usize::MAX);
            room = room.min(available.saturating_sub(recent));
            if room == 0 {
                let wait = state.next_in.unwrap_or(PATIENCE);
                return Ok(Err(if wait.is_zero() { ABOUT_TO_CALL } else { wait }));
            }
        }
        Ok(Ok(room))
    }

    /// So many were let in.
    pub(super) fn let_in(&mut self, jobs: usize) {
        let recent = self.latest.filter(|(at, _)| at.elapsed() < ABOUT_TO_CALL).map_or(0, |(_, jobs)| jobs);
        if jobs > 0 {
            self.latest = Some((Instant::now(), recent.saturating_add(jobs)));
        }
    }
}

/// Keeps with the queue which limiters its workers heed, for whoever asks why a job waits.
pub(super) async fn declare(queue: &Queue, name: &QueueName, limiters: &[Limiter]) -> Result<(), Error> {
    let key = keys::meta(&queue.config().prefix, name);
    let command = if limiters.is_empty() {
        let mut forget = redis::cmd("HDEL");
        forget.arg(key).arg(FIELD);
        forget
    } else {
        let names: Vec<&str> = limiters.iter().map(Limiter::name).collect();
        let mut keep = redis::cmd("HSET");
        keep.arg(key).arg(FIELD).arg(names.join(" "));
        keep
    };
    queue.command::<u64>(&command).await.map(|_| ())
}
