//! What is to go wrong, and what did.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Replies.
    ToClient,
}

/// How often each fault has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    /// Connections that were accepted.
    pub connections: u64,
    /// Pieces that came late.
    pub delayed: u64,
    /// Pieces that were held back by silence; they pass after healing, unless half open.
    pub held: u64,
    /// Connections that were reset by plan.
    pub resets: u64,
    /// Connections that were cut in the middle.
    pub cuts: u64,
    /// Replies that the server gave and the client did not get.
    pub replies_dropped: u64,
}

/// What holds until it is changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) delay: Duration,
    pub(super) silent: bool,
    pub(super) refuse: bool,
    /// Connections with smaller numbers are silent for ever.
    pub(super) silent_before: u64,
    /// Connections with smaller numbers are reset.
    pub(super) reset_before: u64,
}

impl Rules {
    pub(super) fn resets(self, number: u64) -> bool {
        self.refuse || number < self.reset_before
    }

    pub(super) fn silences(self, number: u64) -> bool {
        self.silent || number < self.silent_before
    }
}

#[derive(Debug, Default)]
struct Armed {
    cut: Option<(Direction, usize)>,
    /// Texts whose next requests get no reply; one entry a request.
    drops: VecDeque<Vec<u8>>,
    fired: Fired,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    rules: watch::Sender<Rules>,
    connections: AtomicU64,
    armed: Mutex<Armed>,
}

impl Plan {
    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rules(&self) -> watch::Receiver<Rules> {
        self.rules.subscribe()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.rules.send_modify(change);
    }

    pub(super) fn next_connection(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// The number of a new connection.
    pub(super) fn connected(&self) -> u64 {
        self.count(|fired| fired.connections += 1);
        self.connections.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn fired(&self) -> Fired {
        self.armed().fired
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Fired)) {
        count(&mut self.armed().fired);
    }

    pub(super) fn arm_cut(&self, direction: Direction, bytes: usize) {
        self.armed().cut = Some((direction, bytes));
    }

    pub(super) fn arm_drop(&self, text: Vec<u8>, times: usize) {
        self.armed().drops.extend(std::iter::repeat_n(text, times));
    }

    pub(super) fn heal(&self) {
        let mut armed = self.armed();
        armed.cut = None;
        armed.drops.clear();
        drop(armed);
        self.change(|rules| {
            rules.delay = Duration::ZERO;
            rules.silent = false;
            rules.refuse = false;
        });
    }

    /// How much of a piece still passes, if the cut falls into it.
    pub(super) fn cut_within(&self, direction: Direction, length: usize) -> Option<usize> {
        let mut armed = self.armed();
        let (_, left) = armed.cut.as_mut().filter(|(planned, _)| *planned == direction)?;
        if length < *left {
            *left -= length;
            return None;
        }
        let passes = *left;
        armed.cut = None;
        armed.fired.cuts += 1;
        Some(passes)
    }

    /// The planned text that this request contains. Spends the plan.
    pub(super) fn drop_for(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut armed = self.armed();
        let contains = |text: &Vec<u8>| request.windows(text.len().max(1)).any(|part| part == &text[..]);
        let at = armed.drops.iter().position(contains)?;
        armed.drops.remove(at)
    }
}
