//! What one backend holds: leases, from the take until Redis has their outcome. The worker's loop
//! and the three tasks meet only here.
//!
//! A lease is in `held` all that time, which is what keeps its heartbeat going. Until a handler
//! starts it is in the buffer too; while one runs it counts as running.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use payfleet_core::JobId;
use payfleet_core::job::QueueName;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{BackendOptions, Delivery, LeaseHandle};
use crate::{LeaseRef, Leased, Queue, Settlement};

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) queue: Queue,
    pub(super) name: QueueName,
    pub(super) options: BackendOptions,
    state: Mutex<State>,
    outbox: mpsc::UnboundedSender<Settlement>,
    /// A slot became free.
    freed: Notify,
    /// Take no more.
    stopping: CancellationToken,
    /// Stopped, and nothing is held any more.
    finished: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    buffer: VecDeque<Delivery>,
    held: HashMap<JobId, LeaseHandle>,
    running: usize,
    fetching: bool,
    waker: Option<Waker>,
}

impl Hold {
    pub(super) fn new(
        queue: Queue,
        name: QueueName,
        options: BackendOptions,
        outbox: mpsc::UnboundedSender<Settlement>,
    ) -> Self {
        Self {
            queue,
            name,
            options,
            state: Mutex::default(),
            outbox,
            freed: Notify::new(),
            stopping: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    /// No code that can panic runs under this lock, so a poisoned one is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // For the worker's loop.

    /// Hands the next job to the loop, or remembers whom to wake when there is one.
    pub(super) fn start_next(&self, waker: &Waker) -> Option<Delivery> {
        let mut state = self.state();
        let next = state.buffer.pop_front();
        if next.is_some() {
            state.running = state.running.saturating_add(1);
        } else {
            state.waker = Some(waker.clone());
        }
        next
    }

    /// Takes no more; what runs goes on.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
        self.finish_if_empty(&mut self.state());
    }

    /// Whether all is settled or given back; if not, remembers whom to wake.
    pub(super) fn is_finished(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        state.waker = Some(waker.clone());
        self.finished.is_cancelled()
    }

    /// A handler has ended. Its slot is free at once; its lease is held until Redis has the outcome.
    pub(super) fn handler_ended(&self, settlement: Settlement) {
        let mut state = self.state();
        state.running = state.running.saturating_sub(1);
        drop(state);
        // The settler outlives every lease that is held, so it is there to receive this.
        let _ = self.outbox.send(settlement);
        self.freed.notify_one();
    }

    // For the fetcher.

    pub(super) fn begin_fetching(&self) {
        self.state().fetching = true;
    }

    /// How many jobs may be taken now. None while more outcomes wait for Redis than jobs may run:
    /// what cannot be settled must not pile up.
    pub(super) fn free_slots(&self) -> usize {
        let state = self.state();
        let in_hand = state.running.saturating_add(state.buffer.len());
        let unsettled = state.held.len().saturating_sub(in_hand);
        let limit = self.options.concurrency.max(1);
        if unsettled > limit { 0 } else { limit.saturating_sub(in_hand) }
    }

    /// Returns when a slot may have become free.
    pub(super) async fn slot_freed(&self) {
        self.freed.notified().await;
    }

    pub(super) fn add(&self, jobs: Vec<Leased>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = self.state();
        for leased in jobs {
            let delivery = Delivery::from(leased);
            let before = state.held.insert(delivery.job.envelope.id, delivery.lease.clone());
            // A lease of ours on the same job had ended unnoticed; its handler may still run.
            if let Some(before) = before {
                before.lose();
            }
            state.buffer.push_back(delivery);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes back what no handler has started.
    pub(super) fn empty_buffer(&self) -> Vec<LeaseRef> {
        let mut state = self.state();
        let unstarted: Vec<LeaseRef> = state.buffer.drain(..).map(|d| d.lease.lease()).collect();
        for lease in &unstarted {
            state.held.remove(&lease.id);
        }
        unstarted
    }

    pub(super) fn end_fetching(&self) {
        let mut state = self.state();
        state.fetching = false;
        self.finish_if_empty(&mut state);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    pub(super) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    // For the keeper and the settler.

    pub(super) fn leases(&self) -> Vec<LeaseRef> {
        self.state().held.values().map(LeaseHandle::lease).collect()
    }

    /// A lease has ended without us. One that was not started is forgotten; a running handler is
    /// told, and its outcome will be refused.
    pub(super) fn lost(&self, lease: LeaseRef) {
        let mut state = self.state();
        let Some(handle) = state.held.get(&lease.id).filter(|handle| handle.lease() == lease).cloned() else {
            return;
        };
        handle.lose();
        let buffered = state.buffer.len();
        state.buffer.retain(|delivery| delivery.lease.lease() != lease);
        if state.buffer.len() < buffered {
            state.held.remove(&lease.id);
            self.finish_if_empty(&mut state);
        }
    }

    /// Redis has the outcome, or refused it for good.
    pub(super) fn settled(&self, lease: LeaseRef) {
        let mut state = self.state();
        if state.held.get(&lease.id).is_some_and(|handle| handle.lease() == lease) {
            state.held.remove(&lease.id);
        }
        self.finish_if_empty(&mut state);
        drop(state);
        self.freed.notify_one();
    }

    pub(super) async fn finished(&self) {
        self.finished.cancelled().await;
    }

    fn finish_if_empty(&self, state: &mut State) {
        if !self.stopping.is_cancelled() || state.fetching || !state.held.is_empty() {
            return;
        }
        self.finished.cancel();
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}
