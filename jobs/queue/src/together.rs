//! Enqueue calls that arrive while one is in flight go out together, in one round trip.
//!
//! Per queue, a task lives as long as calls wait: it takes all of them, sends one script call, and
//! hands each caller its own answer. So many concurrent producers cost Redis little more than one,
//! and a caller that goes away in mid-call takes nobody's answer with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use payfleet_core::job::QueueName;
use tokio::sync::oneshot;

use crate::enqueue::Prepared;
use crate::{Enqueued, Error, Queue};

/// Jobs and bytes that go out together; one call alone may be more.
const MAX_JOBS: usize = 512;
const MAX_BYTES: usize = 1024 * 1024;

type Answer = Result<Vec<Enqueued>, Error>;

struct Call {
    jobs: Vec<Prepared>,
    answer: oneshot::Sender<Answer>,
}

/// The calls that wait, by queue; a queue that is here has a task.
#[derive(Default)]
pub(crate) struct Together {
    waiting: Mutex<HashMap<QueueName, Vec<Call>>>,
}

impl Together {
    /// Adds a call; `true` if its queue needs a task.
    fn add(&self, queue: &QueueName, call: Call) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = waiting.get_mut(queue) {
            calls.push(call);
            return false;
        }
        waiting.insert(queue.clone(), vec![call]);
        true
    }

    /// The calls that go out next; empty when none wait, and then the task's time is over.
    fn next(&self, queue: &QueueName) -> Vec<Call> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(calls) = waiting.get_mut(queue) else {
            return Vec::new();
        };
        let (mut jobs, mut bytes) = (0_usize, 0_usize);
        let fits = |call: &&Call| {
            let first = jobs == 0;
            jobs = jobs.saturating_add(call.jobs.len());
            bytes = call.jobs.iter().fold(bytes, |sum, job| sum.saturating_add(job.size()));
            first || (jobs <= MAX_JOBS && bytes <= MAX_BYTES)
        };
        let count = calls.iter().take_while(fits).count();
        let rest = calls.split_off(count);
        let next = std::mem::replace(calls, rest);
        if next.is_empty() {
            waiting.remove(queue);
        }
        next
    }
}

impl Queue {
    /// Enqueues jobs of one queue together with what others enqueue just now.
    pub(crate) async fn enqueue_together(&self, queue: &QueueName, jobs: Vec<Prepared>) -> Answer {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        if jobs.len() >= MAX_JOBS {
            return self.enqueue_now(queue, &jobs).await;
        }
        let (answer, answered) = oneshot::channel();
        if self.inner.together.add(queue, Call { jobs, answer }) {
            crate::backend::spawn(send_all(self.clone(), queue.clone()));
        }
        let ended = |_| Error::encoding("an enqueue", "its task ended with the runtime");
        answered.await.unwrap_or_else(|error| Err(ended(error)))
    }
}

async fn send_all(queue: Queue, name: QueueName) {
    loop {
        let mut calls = queue.inner.together.next(&name);
        if calls.is_empty() {
            return;
        }
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
    }
}
