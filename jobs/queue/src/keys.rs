//! The names of every Redis key this crate touches; there is no other place.
//!
//! All keys of a queue share the hash tag `{prefix:queue}`, so a script never leaves its slot.
//! Scripts get the tag as `KEYS[1]` and build the rest through [`lua`], which is prepended to them.

use payfleet_core::job::QueueName;

/// Lua's name of a key, and what it appends to the tag.
///
/// | key | type | content |
/// |---|---|---|
/// | `:jobs` | hash | id (16 bytes) -> record: header and body (record.rs) |
/// | `:ready:P` | list | id, 6 bytes of "ready since" (ms); one list per priority P |
/// | `:delayed` | zset | id, scored due time (ms) * 4 + priority |
/// | `:leased` | zset | id, scored expiry (ms) |
/// | `:leases` | hash | id -> token, ready since, leased since, priority, worker |
/// | `:dead` | zset | id, scored time of death (ms) |
/// | `:deaths` | hash | id -> time of death, failure |
/// | `:history` | hash | id -> failed attempts, one JSON object a line |
/// | `:dedupe:KEY` | string | id and body hash; expires, never evicted |
/// | `:meta` | hash | `token`, `done`, `paused`, `stale` (entries of cancelled jobs in ready lists) |
/// | `:wake` | list | tokens on which idle workers block |
const LUA_NAMES: [(&str, &str); 13] = [
    ("JOBS", ":jobs"),
    ("READY_0", ":ready:0"),
    ("READY_1", ":ready:1"),
    ("READY_2", ":ready:2"),
    ("DELAYED", ":delayed"),
    ("LEASED", ":leased"),
    ("LEASES", ":leases"),
    ("DEAD", ":dead"),
    ("DEATHS", ":deaths"),
    ("HISTORY", ":history"),
    ("DEDUPE", ":dedupe:"),
    ("META", ":meta"),
    ("WAKE", WAKE),
];
const WAKE: &str = ":wake";

/// The lines that give scripts their key names.
pub(crate) fn lua() -> String {
    let line = |(name, suffix): (&str, &str)| format!("local {name} = KEYS[1] .. '{suffix}'\n");
    LUA_NAMES.map(line).concat()
}

/// The hash tag of a queue, and `KEYS[1]` of its scripts.
pub(crate) fn tag(prefix: &str, queue: &QueueName) -> String {
    format!("{{{prefix}:{queue}}}")
}

/// The list an idle worker blocks on.
pub(crate) fn wake(prefix: &str, queue: &QueueName) -> String {
    format!("{}{WAKE}", tag(prefix, queue))
}

/// The sorted set of ticks of `schedule` that were claimed.
pub(crate) fn ticks(prefix: &str, schedule: &str) -> String {
    format!("{{{prefix}}}:ticks:{schedule}")
}

/// What a fleet shares beside its queues; each has a slot of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shared {
    Limiter,
    Breaker,
}

impl Shared {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Limiter => "limiter",
            Self::Breaker => "breaker",
        }
    }
}

/// The hash of one limiter or breaker.
pub(crate) fn shared(prefix: &str, what: Shared, name: &str) -> String {
    format!("{{{prefix}:{}:{name}}}", what.as_str())
}

/// The set of names of all limiters or breakers.
pub(crate) fn shared_names(prefix: &str, what: Shared) -> String {
    format!("{{{prefix}}}:{}s", what.as_str())
}
