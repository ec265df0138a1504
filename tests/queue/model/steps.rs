//! What can happen to a queue, as random steps. A step names jobs and leases only loosely ("the
//! second of those you hold"), so that a sequence still means something when shrinking has taken
//! steps out of it.

use payfleet_core::ids::RequestHash;
use payfleet_core::job::{Dedupe, NewJob, QueueName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::world::{LEASE, id, job_in};

/// Workers, each with leases in its hands.
pub(super) const WORKERS: usize = 3;
/// Jobs have one of so many ids, so that ids come back.
const IDS: u64 = 14;
const LANES: u8 = 2;

/// A job to be enqueued.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    id: u64,
    priority: u8,
    delay_ms: u64,
    /// One of few keys with one of two bodies.
    key: Option<(u8, u8)>,
    lane: Option<u8>,
    max_attempts: u32,
}

impl Spec {
    /// `serial` tells jobs of the same id apart.
    pub(super) fn job(&self, queue: &QueueName, serial: u64) -> NewJob {
        let mut job = job_in(queue, self.id);
        job.payload = serde_json::value::to_raw_value(&serial).unwrap();
        job.priority = self.priority;
        job.delay_ms = self.delay_ms;
        job.max_attempts = self.max_attempts;
        job.lane = self.lane.map(|lane| format!("lane-{lane}"));
        job.dedupe = self
            .key
            .map(|(key, body)| Dedupe { key: format!("key-{key}"), body_hash: RequestHash::of(&[body]) });
        job
    }
}

/// How a worker ends a lease.
#[derive(Clone, Debug)]
pub(super) enum End {
    Done(Vec<Spec>),
    Retry(u64),
    Defer(u64),
    Unknown(u64),
    Dead,
}

/// Which lease a worker speaks of: one it holds, or one that somebody once held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Held(usize),
    Old(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Enqueue(Vec<Spec>),
    Take {
        worker: usize,
        max: usize,
    },
    Renew {
        worker: usize,
        old: usize,
    },
    Settle {
        worker: usize,
        ends: Vec<(Which, End)>,
    },
    Release {
        worker: usize,
        which: Vec<Which>,
    },
    /// A suspect begins to run alone.
    Start {
        worker: usize,
        which: Which,
    },
    /// A job does the work of those of its lane that are only scheduled.
    Absorb {
        worker: usize,
        which: Which,
    },
    /// A worker dies: it forgets what it holds.
    Crash {
        worker: usize,
    },
    Cancel(u64),
    Promote(u64),
    Reschedule(u64, u64),
    RemoveDead(u64),
    Pause,
    Resume,
    /// The time goes on by so many milliseconds.
    Pass(u64),
    /// Redis forgets its scripts.
    ForgetScripts,
}

/// What the generator remembers to make steps that matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    is_paused: bool,
    has_jobs: bool,
    may_hold: [bool; WORKERS],
}

/// The generator of sequences.
pub(super) struct Plan;

impl ReferenceStateMachine for Plan {
    type State = Sketch;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Sketch> {
        Just(Sketch::default()).boxed()
    }

    fn transitions(sketch: &Sketch) -> BoxedStrategy<Step> {
        let worker = || 0..WORKERS;
        let some_id = || 0..IDS;
        let resume_often = if sketch.is_paused { 4 } else { 1 };
        prop_oneof![
            8 => vec(spec(), 1..5).prop_map(Step::Enqueue),
            8 => (worker(), 1..7_usize).prop_map(|(worker, max)| Step::Take { worker, max }),
            8 => (worker(), vec((which(), end()), 1..5)).prop_map(|(worker, ends)| Step::Settle { worker, ends }),
            6 => prop_oneof![1..100_u64, 500..3_000_u64, Just(lease_ms() / 2), Just(lease_ms()), Just(lease_ms() - 1)]
                .prop_map(Step::Pass),
            3 => (worker(), any_index()).prop_map(|(worker, old)| Step::Renew { worker, old }),
            2 => (worker(), vec(which(), 1..4)).prop_map(|(worker, which)| Step::Release { worker, which }),
            2 => worker().prop_map(|worker| Step::Crash { worker }),
            2 => (worker(), which()).prop_map(|(worker, which)| Step::Start { worker, which }),
            1 => (worker(), which()).prop_map(|(worker, which)| Step::Absorb { worker, which }),
            2 => some_id().prop_map(Step::Cancel),
            2 => some_id().prop_map(Step::Promote),
            2 => (some_id(), delay()).prop_map(|(n, delay)| Step::Reschedule(n, delay)),
            2 => some_id().prop_map(Step::RemoveDead),
            1 => Just(Step::Pause),
            resume_often => Just(Step::Resume),
            1 => Just(Step::ForgetScripts),
        ]
        .boxed()
    }

    fn preconditions(sketch: &Sketch, step: &Step) -> bool {
        match step {
            Step::Take { .. }
            | Step::Cancel(_)
            | Step::Promote(_)
            | Step::Reschedule(..)
            | Step::RemoveDead(_) => sketch.has_jobs,
            Step::Settle { worker, .. }
            | Step::Release { worker, .. }
            | Step::Start { worker, .. }
            | Step::Absorb { worker, .. }
            | Step::Crash { worker } => sketch.may_hold[*worker],
            Step::Renew { .. } => sketch.may_hold.contains(&true),
            Step::Resume => sketch.is_paused,
            Step::Enqueue(_) | Step::Pause | Step::Pass(_) | Step::ForgetScripts => true,
        }
    }

    fn apply(mut sketch: Sketch, step: &Step) -> Sketch {
        match step {
            Step::Enqueue(_) => sketch.has_jobs = true,
            Step::Take { worker, .. } => sketch.may_hold[*worker] |= !sketch.is_paused,
            Step::Pause => sketch.is_paused = true,
            Step::Resume => sketch.is_paused = false,
            _ => {}
        }
        sketch
    }
}

fn lease_ms() -> u64 {
    u64::try_from(LEASE.as_millis()).unwrap()
}

fn any_index() -> impl Strategy<Value = usize> {
    0..8_usize
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![5 => any_index().prop_map(Which::Held), 1 => any_index().prop_map(Which::Old)]
}

fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 2 => 1..5_000_u64, 1 => Just(60_000)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => vec(spec(), 0..3).prop_map(End::Done),
        3 => delay().prop_map(End::Retry),
        2 => delay().prop_map(End::Defer),
        1 => delay().prop_map(End::Unknown),
        1 => Just(End::Dead),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let key = prop_oneof![3 => Just(None), 1 => (0..3_u8, 0..2_u8).prop_map(Some)];
    let lane = prop_oneof![3 => Just(None), 1 => (0..LANES).prop_map(Some)];
    (0..IDS, 0..3_u8, delay(), key, lane, 1..4_u32).prop_map(
        |(id, priority, delay_ms, key, lane, max_attempts)| Spec {
            id,
            priority,
            delay_ms,
            key,
            lane,
            max_attempts,
        },
    )
}

/// The job that a step means by `n`.
pub(super) fn named(n: u64) -> payfleet_core::JobId {
    id(n)
}
