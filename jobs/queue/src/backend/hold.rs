//! What one backend holds: leases, from the take until Redis has their outcome. The worker's loop
//! and the backend's tasks meet only here.
//!
//! A lease is in `held` all that time, which is what keeps its heartbeat going. Until a handler
//! starts it is in the buffer too, or among the suspects; while one runs it counts as running.
//! Tasks are woken when there is enough to do for them, not once per job.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use payfleet_core::JobId;
use payfleet_core::job::QueueName;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::progress::Progress;
use super::{BackendOptions, Delivery, LeaseHandle};
use crate::{LeaseRef, Leased, Outcome, Queue, Settlement};

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) queue: Queue,
    pub(super) name: QueueName,
    pub(super) options: BackendOptions,
    pub(super) pace: Pace,
    pub(super) progress: Progress,
    state: Mutex<State>,
    /// There is room for more jobs.
    freed: Notify,
    /// The outbox is no longer empty.
    ended: Notify,
    /// A suspect waits, or the one that ran alone has ended.
    suspect: Notify,
    alone_ended: Notify,
    /// All suspects in hand have run.
    suspects_ran: Notify,
    /// Take no more.
    stopping: CancellationToken,
    /// Stopped, and nothing is held any more.
    finished: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    buffer: VecDeque<Delivery>,
    suspects: VecDeque<Delivery>,
    /// The suspect that may start now.
    alone: Option<Delivery>,
    held: HashMap<JobId, LeaseHandle>,
    running: usize,
    outbox: Vec<Settlement>,
    fetching: bool,
    waker: Option<Waker>,
}

impl Hold {
    pub(super) fn new(queue: Queue, name: QueueName, options: BackendOptions) -> Self {
        Self {
            queue,
            name,
            options,
            pace: Pace::default(),
            progress: Progress::default(),
            state: Mutex::default(),
            freed: Notify::new(),
            ended: Notify::new(),
            suspect: Notify::new(),
            alone_ended: Notify::new(),
            suspects_ran: Notify::new(),
            stopping: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    /// No code that can panic runs under this lock, so a poisoned one is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit(&self) -> usize {
        self.options.concurrency.max(1)
    }

    // For the worker's loop.

    /// Hands the next job to the loop, or remembers whom to wake when there is one.
    pub(super) fn start_next(&self, waker: &Waker) -> Option<Delivery> {
        let mut state = self.state();
        if let Some(suspect) = state.alone.take() {
            return Some(suspect);
        }
        let may =
            state.running < self.limit() && !state.buffer.is_empty() && self.queue.inner.floor.enter(waker);
        let next = if may { state.buffer.pop_front() } else { None };
        if next.is_some() {
            state.running = state.running.saturating_add(1);
        } else if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
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
    pub(super) fn handler_ended(&self, settlement: Settlement, suspect: bool) {
        let mut state = self.state();
        let first = state.outbox.is_empty();
        state.outbox.push(settlement);
        let mut waker = None;
        if suspect {
            self.alone_ended.notify_one();
        } else {
            // The loop was told to wait if all slots were taken.
            if state.running >= self.limit() {
                waker = state.waker.take();
            }
            state.running = state.running.saturating_sub(1);
            self.queue.inner.floor.leave();
        }
        let hungry = state.buffer.len().saturating_mul(2) <= self.pace.prefetch();
        drop(state);
        self.pace.ended();
        if let Some(waker) = waker {
            waker.wake();
        }
        if first {
            self.ended.notify_one();
        }
        if hungry {
            self.freed.notify_one();
        }
    }

    /// A handler was handed to a loop that went away before it began: the job goes back.
    pub(super) fn dropped(&self, lease: LeaseRef, suspect: bool) {
        let outcome = Outcome::Defer { delay: Duration::ZERO, reason: "its handler never began".to_owned() };
        self.handler_ended(Settlement { lease, outcome }, suspect);
    }

    // For the fetcher.

    pub(super) fn begin_fetching(&self) {
        self.state().fetching = true;
    }

    /// How many jobs may be taken now: into free slots, and as many beside them as will start within
    /// moments. None while more outcomes wait for Redis than may: what cannot be settled must not
    /// pile up.
    pub(super) fn room(&self) -> usize {
        let state = self.state();
        let ahead = self.pace.prefetch();
        let most = self.limit().saturating_add(ahead);
        let in_hand = state.running.saturating_add(state.buffer.len());
        let unsettled = state.held.len().saturating_sub(in_hand);
        if unsettled > most.saturating_mul(4) { 0 } else { most.saturating_sub(in_hand) }
    }

    /// How many suspects may be taken now.
    pub(super) fn room_for_suspects(&self) -> usize {
        const AT_ONCE: usize = 16;
        let state = self.state();
        if state.suspects.is_empty() && state.alone.is_none() { AT_ONCE } else { 0 }
    }

    /// Returns when there may be room again.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Returns when there may be room for suspects again.
    pub(super) async fn suspects_ran(&self) {
        self.suspects_ran.notified().await;
    }

    /// The suspects in hand have run.
    pub(super) fn want_suspects(&self) {
        self.freed.notify_one();
        self.suspects_ran.notify_one();
    }

    pub(super) fn add(&self, jobs: Vec<Leased>) {
        let mut state = self.state();
        for leased in jobs {
            let delivery = Delivery::from(leased);
            let before = state.held.insert(delivery.job.envelope.id, delivery.lease.clone());
            // A lease of ours on the same job had ended unnoticed; its handler may still run.
            if let Some(before) = before {
                before.lose();
            }
            if delivery.lease.is_suspect() {
                state.suspects.push_back(delivery);
                self.suspect.notify_one();
            } else {
                state.buffer.push_back(delivery);
            }
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes back what no handler has started, once the first of it has been here for longer than `stay`: the
    /// rest would have to wait as well, and given back later it would come before the first.
    pub(super) fn take_overstayed(&self, stay: Duration) -> Vec<LeaseRef> {
        let mut state = self.state();
        if state.buffer.front().is_none_or(|delivery| delivery.lease.here_for() <= stay) {
            return Vec::new();
        }
        let back: Vec<LeaseRef> = state.buffer.drain(..).map(|d| d.lease.lease()).collect();
        for lease in &back {
            state.held.remove(&lease.id);
        }
        back
    }

    /// Takes back what no handler has started.
    pub(super) fn empty_buffer(&self) -> Vec<LeaseRef> {
        let mut state = self.state();
        let mut unstarted: Vec<LeaseRef> = state.suspects.drain(..).map(|d| d.lease.lease()).collect();
        unstarted.extend(state.alone.take().map(|d| d.lease.lease()));
        unstarted.extend(state.buffer.drain(..).map(|d| d.lease.lease()));
        for lease in &unstarted {
            state.held.remove(&lease.id);
        }
        self.alone_ended.notify_one();
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

    // For the suspects' task.

    pub(super) async fn suspect_waits(&self) {
        while self.state().suspects.is_empty() {
            self.suspect.notified().await;
        }
    }

    pub(super) fn next_suspect(&self) -> Option<Delivery> {
        self.state().suspects.pop_front()
    }

    pub(super) fn put_back_suspect(&self, suspect: Delivery) {
        self.state().suspects.push_front(suspect);
    }

    /// Has the loop start this job, and waits for the end of its handler.
    pub(super) async fn run_alone(&self, suspect: Delivery) {
        let waker = {
            let mut state = self.state();
            state.alone = Some(suspect);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        self.alone_ended.notified().await;
    }

    // For the keeper and the settler.

    pub(super) fn leases(&self) -> Vec<LeaseRef> {
        self.state().held.values().map(LeaseHandle::lease).collect()
    }

    /// Returns once outcomes wait.
    pub(super) async fn outcomes(&self) {
        self.ended.notified().await;
    }

    pub(super) fn take_outcomes(&self, into: &mut Vec<Settlement>) {
        into.append(&mut self.state().outbox);
    }

    /// A lease has ended without us. One that was not started is forgotten; a running handler is
    /// told, and its outcome will be refused.
    pub(super) fn lost(&self, lease: LeaseRef) {
        let mut state = self.state();
        let Some(handle) = state.held.get(&lease.id).filter(|handle| handle.lease() == lease).cloned() else {
            return;
        };
        handle.lose();
        let before = state.buffer.len().saturating_add(state.suspects.len());
        state.buffer.retain(|delivery| delivery.lease.lease() != lease);
        state.suspects.retain(|delivery| delivery.lease.lease() != lease);
        if state.buffer.len().saturating_add(state.suspects.len()) < before {
            state.held.remove(&lease.id);
            self.finish_if_empty(&mut state);
        }
    }

    /// A lost lease whose job was in nobody's hands but ours.
    pub(super) fn drop_lost(&self, lease: LeaseRef) {
        self.settled(std::iter::once(lease));
    }

    /// Redis has the outcomes, or refused them for good.
    pub(super) fn settled(&self, leases: impl Iterator<Item = LeaseRef>) {
        let mut state = self.state();
        for lease in leases {
            if state.held.get(&lease.id).is_some_and(|handle| handle.lease() == lease) {
                state.held.remove(&lease.id);
            }
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
