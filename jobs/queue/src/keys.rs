//! The names of every Redis key this crate touches; there is no other place.
//!
//! All keys of a queue share the hash tag `{prefix:queue}`, so a script never leaves its slot.
//! Scripts get the tag as `KEYS[1]` and build the rest through [`lua`], which is prepended to them.

use payfleet_core::job::QueueName;

/// Lua's name of a key, and what it appends to the tag.
///
/// | key | type | content |
/// |---|---|---|
/// | `:fresh` | stream | seq -> record (record.rs), as name and value: its time and the rest, of a job that waits for its first delivery or is at it |
/// | `:kept` | hash | seq -> 6 bytes of "due since" (ms) and the record of any other job |
/// | `:ids:B` | hash | id -> seq; B is 13 bits of the id |
/// | `:ready:P` | list | seq, or `@lane` for the first of a lane; one list per priority P |
/// | `:stale` | set | seqs of ready jobs that were cancelled or moved: their list entries mean nothing |
/// | `:suspects` | list | seq of jobs whose lease expired; each is to run alone |
/// | `:delayed` | zset | seq, scored due time (ms) * 4 + priority |
/// | `:lease:T` | set | the seqs that were handed out under token T and not settled yet |
/// | `:leases` | zset | token, scored expiry (ms) |
/// | `:holders` | hash | token -> leased since, worker |
/// | `:splits` | hash | token -> how many groups T.1, T.2, ... renewals left out (leases.lua) |
/// | `:started` | hash | seq of a suspect that runs -> token |
/// | `:lane:L` | zset | due jobs of a lane, scored run_at |
/// | `:lanes` | hash | lane -> whose turn it is (lanes.lua) |
/// | `:holding` | hash | seq -> lane, of jobs that hold one |
/// | `:held` | hash | lane -> since when a strict job keeps it through its own delays |
/// | `:scheduled` | hash | seq -> lane, of delayed jobs |
/// | `:later:L` | set | seqs of delayed jobs of a lane |
/// | `:dead` | zset | seq, scored time of death (ms) |
/// | `:deaths` | hash | seq -> time of death, failure |
/// | `:history` | hash | seq -> failed attempts, one JSON object a line |
/// | `:notes` | hash | seq -> when and why the job was last put off |
/// | `:dedupe:B` | hash | dedupe key -> expiry, id and half the body hash; B is 12 bits of a hash of the key |
/// | `:meta` | hash | counters, `paused`, when workers were last seen, `limiters` that its workers heed |
/// | `:schedules` | hash | name -> when, and on a second line the definition (schedule.rs) |
/// | `:ticks` | hash | name of a schedule -> last tick (ms), id of its last job |
/// | `:wake` | list | tokens on which idle workers block |
const LUA_NAMES: [(&str, &str); 29] = [
    ("FRESH", ":fresh"),
    ("KEPT", ":kept"),
    ("IDS", ":ids:"),
    ("READY_0", ":ready:0"),
    ("READY_1", ":ready:1"),
    ("READY_2", ":ready:2"),
    ("STALE", ":stale"),
    ("SUSPECTS", ":suspects"),
    ("DELAYED", ":delayed"),
    ("LEASE", ":lease:"),
    ("LEASES", ":leases"),
    ("HOLDERS", ":holders"),
    ("SPLITS", ":splits"),
    ("STARTED", ":started"),
    ("LANE", ":lane:"),
    ("LANES", ":lanes"),
    ("HOLDING", ":holding"),
    ("HELD", ":held"),
    ("SCHEDULED", ":scheduled"),
    ("LATER", ":later:"),
    ("DEAD", ":dead"),
    ("DEATHS", ":deaths"),
    ("HISTORY", ":history"),
    ("NOTES", ":notes"),
    ("DEDUPE", ":dedupe:"),
    ("META", META),
    ("WAKE", WAKE),
    ("SCHEDULES", ":schedules"),
    ("TICKS", ":ticks"),
];
const META: &str = ":meta";
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

/// The hash of what is known of a queue as a whole.
pub(crate) fn meta(prefix: &str, queue: &QueueName) -> String {
    format!("{}{META}", tag(prefix, queue))
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
