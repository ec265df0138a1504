//! What a worker's handlers do and remember: they parse the payload, count, and on request keep how
//! long each job was on its way and how often it ran.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::load::{Payload, monotonic_ns};

/// What a handler does after it has parsed its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Act {
    /// Nothing.
    Nothing,
    /// Takes 10 ms.
    TakeTenMs,
    /// Never ends.
    Hang,
}

/// What the worker saw, as it tells its parent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Jobs that ended.
    pub(crate) ended: u64,
    /// Numbers that ran, if runs are tracked.
    pub(crate) distinct: u64,
    /// Runs beyond the first of a number.
    pub(crate) repeated: u64,
    /// When the first job and the last job started, by the monotonic clock.
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    /// How long the jobs were on their way, microseconds.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

/// The memory of one worker.
pub(crate) struct Seen {
    act: Act,
    expected: u64,
    started: AtomicU64,
    ended: AtomicU64,
    all: Notify,
    tracked: Option<Tracked>,
}

struct Tracked {
    runs: Vec<AtomicU8>,
    latencies_ns: Mutex<Vec<u64>>,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
}

impl Seen {
    /// For `expected` jobs; `track` keeps more about each, which costs a little.
    pub(crate) fn new(act: Act, expected: u64, track: bool) -> Self {
        let tracked = || Tracked {
            runs: (0..expected).map(|_| AtomicU8::new(0)).collect(),
            latencies_ns: Mutex::default(),
            first_ns: AtomicU64::new(0),
            last_ns: AtomicU64::new(0),
        };
        Self {
            act,
            expected,
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            all: Notify::new(),
            tracked: track.then(tracked),
        }
    }

    /// Whether handlers only parse and count, so that a loop may run them inline.
    pub(crate) fn is_instant(&self) -> bool {
        self.act == Act::Nothing
    }

    /// A handler, for a payload as it was stored.
    pub(crate) async fn handle(&self, payload: &[u8]) {
        let payload: Payload = serde_json::from_slice(payload).expect("a payload of ours");
        self.run(&payload).await;
    }

    /// The same without waiting, for handlers that are instant.
    pub(crate) fn handle_now(&self, payload: &[u8]) {
        let payload: Payload = serde_json::from_slice(payload).expect("a payload of ours");
        self.start(&payload);
        self.end();
    }

    /// A handler, for a payload that somebody else has parsed.
    pub(crate) async fn run(&self, payload: &Payload) {
        self.start(payload);
        match self.act {
            Act::Nothing => {}
            // tidy: sleeps because the job is said to take 10 ms
            Act::TakeTenMs => tokio::time::sleep(Duration::from_millis(10)).await,
            Act::Hang => std::future::pending().await,
        }
        self.end();
    }

    fn start(&self, payload: &Payload) {
        if let Some(tracked) = &self.tracked {
            tracked.start(payload);
        }
        let started = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        if self.act == Act::Hang && started >= self.expected {
            self.all.notify_one();
        }
    }

    fn end(&self) {
        if self.ended.fetch_add(1, Ordering::Relaxed) + 1 >= self.expected {
            self.all.notify_one();
        }
    }

    /// Returns when all expected jobs have ended, or started where none ends.
    pub(crate) async fn all(&self) {
        self.all.notified().await;
    }

    /// What was seen so far.
    pub(crate) fn report(&self) -> Report {
        let ended = self.ended.load(Ordering::Relaxed);
        match &self.tracked {
            Some(tracked) => tracked.report(ended),
            None => Report { ended, ..Report::default() },
        }
    }
}

impl Tracked {
    fn start(&self, payload: &Payload) {
        // The job that warmed things up has a number beyond them, and does not count.
        let Some(run) = usize::try_from(payload.n).ok().and_then(|n| self.runs.get(n)) else { return };
        run.fetch_add(1, Ordering::Relaxed);
        let now = monotonic_ns();
        let _ = self.first_ns.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        self.last_ns.fetch_max(now, Ordering::Relaxed);
        self.latencies_ns.lock().expect("nobody panics here").push(now.saturating_sub(payload.sent_ns));
    }

    fn report(&self, ended: u64) -> Report {
        let mut latencies = self.latencies_ns.lock().expect("nobody panics here").clone();
        latencies.sort_unstable();
        let at = |share: f64| {
            let last = latencies.len().saturating_sub(1);
            let place = (last as f64 * share).round() as usize;
            latencies.get(place).map_or(0.0, |ns| *ns as f64 / 1_000.0)
        };
        let runs = || self.runs.iter().map(|run| u64::from(run.load(Ordering::Relaxed)));
        Report {
            ended,
            distinct: runs().filter(|&count| count > 0).count() as u64,
            repeated: runs().map(|count| count.saturating_sub(1)).sum(),
            first_ns: self.first_ns.load(Ordering::Relaxed),
            last_ns: self.last_ns.load(Ordering::Relaxed),
            p50_us: at(0.5),
            p99_us: at(0.99),
            max_us: at(1.0),
        }
    }
}
