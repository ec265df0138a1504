//! The jobs of every row: 300 bytes of JSON, numbered, so that whoever runs them can count them and
//! say how long each was on its way.

use std::time::Duration;

use payfleet_core::ids::{JobId, RequestHash, TenantId};
use payfleet_core::job::{Dedupe, NewJob, Origin, QueueName, TraceContext};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of a payload.
pub(crate) const PAYLOAD: usize = 300;

/// The name of the queue, stream or list.
pub(crate) const QUEUE: &str = "bench";

/// What a handler parses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// The job's number, from 0.
    pub(crate) n: u64,
    /// When it was sent or is due: nanoseconds of this machine's monotonic clock.
    pub(crate) sent_ns: u64,
    /// The rest.
    pub(crate) memo: String,
}

impl Payload {
    fn new(n: u64, sent_ns: u64) -> Self {
        let mut payload = Self { n, sent_ns, memo: String::new() };
        let room = PAYLOAD - serde_json::to_string(&payload).expect("it is JSON").len();
        payload.memo = "pay rent of flat 7, thank you; ".chars().cycle().take(room).collect();
        payload
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("it is JSON")
    }
}

/// Which jobs to make.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kind {
    /// Each with a dedupe key of its own.
    pub(crate) keyed: bool,
    /// Due so much later.
    pub(crate) delay: Duration,
    /// One in so many is in one of 1,000 lanes; 0: none.
    pub(crate) lane_each: u64,
}

/// A job for the references.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) id: [u8; 16],
    pub(crate) key: String,
    pub(crate) payload: String,
}

/// The queue's name as ours.
pub(crate) fn queue_name() -> QueueName {
    QueueName::try_from(QUEUE).expect("a good name")
}

/// The time that is the same in every process of this machine.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

fn id(n: u64) -> Uuid {
    // Spread like real ones, and the same for the same number.
    Uuid::from_u64_pair(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), n)
}

fn key(n: u64) -> String {
    format!("request-{n:012}")
}

/// Jobs for the references.
pub(crate) fn plain(numbers: std::ops::Range<u64>, sent_ns: u64, kind: Kind) -> Vec<Plain> {
    let make = |n| Plain {
        id: *id(n).as_bytes(),
        key: if kind.keyed { key(n) } else { String::new() },
        payload: Payload::new(n, sent_ns).json(),
    };
    numbers.map(make).collect()
}

/// Jobs for apalis-redis: it encodes the payload itself.
pub(crate) fn payloads(numbers: std::ops::Range<u64>, sent_ns: u64) -> Vec<Payload> {
    numbers.map(|n| Payload::new(n, sent_ns)).collect()
}

/// The key of a payload, for apalis-redis.
pub(crate) fn key_of(payload: &Payload) -> String {
    key(payload.n)
}

/// Jobs of ours.
pub(crate) fn ours(numbers: std::ops::Range<u64>, sent_ns: u64, kind: Kind) -> Vec<NewJob> {
    let queue = queue_name();
    let make = |n| {
        let json = Payload::new(n, sent_ns).json();
        let body_hash = RequestHash::of(json.as_bytes());
        let in_lane = kind.lane_each > 0 && n % kind.lane_each == 0;
        NewJob {
            id: JobId::from_uuid(id(n)),
            kind: "bench".to_owned(),
            queue: queue.clone(),
            tenant: TenantId::default(),
            payload: serde_json::value::RawValue::from_string(json).expect("it is JSON"),
            payload_version: 1,
            facts: std::collections::BTreeMap::new(),
            dedupe: kind.keyed.then(|| Dedupe { key: key(n), body_hash }),
            lane: in_lane.then(|| format!("operation:{}", n / kind.lane_each % 1_000)),
            priority: 1,
            delay_ms: u64::try_from(kind.delay.as_millis()).unwrap_or(u64::MAX),
            max_attempts: 3,
            deadline: None,
            trace: TraceContext::default(),
            origin: Origin::Api,
            parent: None,
        }
    };
    numbers.map(make).collect()
}
