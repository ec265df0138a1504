//! Enqueue calls that arrive while others are in flight go out together, in one round trip.
//!
//! Per queue, [`AT_ONCE`] script calls may be in flight, so that Redis works while answers are handed
//! out. A call that finds a turn lets others that are about to call come along, and sends; one that does
//! not waits, and whoever's turn ends passes it on to all that wait. So many concurrent producers cost
//! Redis little more than one, and a caller that goes away in mid-call takes nobody else's answer with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use payfleet_core::job::QueueName;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::enqueue::Prepared;
use crate::{Enqueued, Error, Queue};

/// Script calls of one queue in flight.
const AT_ONCE: usize = 2;
/// Jobs and bytes that go out together; one call alone may be more.
const MAX_JOBS: usize = 512;
const MAX_BYTES: usize = 1024 * 1024;

type Answer = Result<Vec<Enqueued>, Error>;

struct Call {
    jobs: Vec<Prepared>,
    answer: oneshot::Sender<Answer>,
}

/// The queues that are sending just now.
#[derive(Default)]
pub(crate) struct Together {
    lines: Mutex<HashMap<QueueName, Line>>,
}

#[derive(Default)]
struct Line {
    /// Turns that were given.
    sending: usize,
    /// Calls that wait for one.
    waiting: Vec<Call>,
}

enum Joined {
    /// It may send by itself.
    Turn(Turn, Vec<Prepared>),
    Waits(oneshot::Receiver<Answer>),
}

/// The right to send one script call. Whoever drops it passes it on to the calls that wait.
struct Turn {
    queue: Queue,
    name: QueueName,
    runtime: Handle,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let calls = self.queue.inner.together.next(&self.name);
        if !calls.is_empty() {
            let turn =
                Self { queue: self.queue.clone(), name: self.name.clone(), runtime: self.runtime.clone() };
            crate::backend::spawn_on(&self.runtime, send(turn, calls));
        }
    }
}

impl Together {
    fn join(&self, queue: &Queue, name: &QueueName, jobs: Vec<Prepared>) -> Joined {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(name.clone()).or_default();
        if line.sending < AT_ONCE {
            line.sending = line.sending.saturating_add(1);
            let turn = Turn { queue: queue.clone(), name: name.clone(), runtime: Handle::current() };
            return Joined::Turn(turn, jobs);
        }
        let (answer, answered) = oneshot::channel();
        line.waiting.push(Call { jobs, answer });
        Joined::Waits(answered)
    }

    /// The calls that go out next. None when none wait: then the turn is given back.
    fn next(&self, name: &QueueName) -> Vec<Call> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = lines.get_mut(name) else {
            return Vec::new();
        };
        let next = line.take();
        if next.is_empty() {
            line.sending = line.sending.saturating_sub(1);
            if line.sending == 0 {
                lines.remove(name);
            }
        }
        next
    }

    /// The calls that wait just now, for one that has a turn.
    fn gather(&self, name: &QueueName) -> Vec<Call> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get_mut(name).map(Line::take).unwrap_or_default()
    }
}

impl Line {
    /// As many of the waiting calls as may go out together.
    fn take(&mut self) -> Vec<Call> {
        let (mut jobs, mut bytes) = (0_usize, 0_usize);
        let fits = |call: &&Call| {
            let first = jobs == 0;
            jobs = jobs.saturating_add(call.jobs.len());
            bytes = call.jobs.iter().fold(bytes, |sum, job| sum.saturating_add(job.size()));
            first || (jobs <= MAX_JOBS && bytes <= MAX_BYTES)
        };
        let count = self.waiting.iter().take_while(fits).count();
        let rest = self.waiting.split_off(count);
        std::mem::replace(&mut self.waiting, rest)
    }
}

impl Queue {
    /// Enqueues jobs of one queue together with what others enqueue just now.
    pub(crate) async fn enqueue_together(&self, name: &QueueName, jobs: Vec<Prepared>) -> Answer {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        if jobs.len() >= MAX_JOBS {
            return self.enqueue_now(name, &jobs).await;
        }
        match self.inner.together.join(self, name, jobs) {
            Joined::Turn(turn, jobs) => self.send_with_others(turn, jobs).await,
            Joined::Waits(answered) => told(answered).await,
        }
    }

    /// One that went out alone would make all others wait for its round trip.
    async fn send_with_others(&self, turn: Turn, jobs: Vec<Prepared>) -> Answer {
        tokio::task::yield_now().await;
        let mut calls = self.inner.together.gather(&turn.name);
        if calls.is_empty() {
            return self.enqueue_now(&turn.name, &jobs).await;
        }
        let (answer, answered) = oneshot::channel();
        calls.push(Call { jobs, answer });
        // On a task of its own: the others' answers must not go with this caller.
        crate::backend::spawn(send(turn, calls));
        told(answered).await
    }
}

async fn told(answered: oneshot::Receiver<Answer>) -> Answer {
    let ended = |_| Error::encoding("an enqueue", "its task ended with the runtime");
    answered.await.unwrap_or_else(|error| Err(ended(error)))
}

/// Sends waiting calls, and hands each its own answer; then those who call again come along next.
async fn send(turn: Turn, mut calls: Vec<Call>) {
    let (queue, name) = (turn.queue.clone(), turn.name.clone());
    let counts: Vec<usize> = calls.iter().map(|call| call.jobs.len()).collect();
    let jobs: Vec<Prepared> = calls.iter_mut().flat_map(|call| std::mem::take(&mut call.jobs)).collect();
    let answer = queue.enqueue_now(&name, &jobs).await;
    let alone = calls.len() == 1;
    let mut jobs = &jobs[..];
    let mut answers = answer.as_ref().map(Vec::as_slice).unwrap_or_default();
    for (call, count) in calls.into_iter().zip(counts) {
        let (own, others) = jobs.split_at_checked(count).unwrap_or_default();
        jobs = others;
        let said = match &answer {
            Ok(_) => {
                let (own, others) = answers.split_at_checked(count).unwrap_or_default();
                answers = others;
                Ok(own.to_vec())
            }
            // Together they were too many; some of them may not be.
            Err(Error::QueueFull { .. }) if !alone => queue.enqueue_now(&name, own).await,
            Err(error) => Err(error.clone()),
        };
        // A caller that is gone wants no answer.
        let _ = call.answer.send(said);
    }
    tokio::task::yield_now().await;
    drop(turn);
}
