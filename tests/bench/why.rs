//! Why a target is missed after honest effort, and where the time goes. Filled in by hand.

use payfleet_tests::measure::Whys;

pub(crate) const WHYS: &Whys = &[
    (
        "enqueue",
        "calls wait for turns: two are in flight, with about eight jobs each, and a turn's way through the producer's \
         tasks leaves Redis idle; Redis itself needs 10.9 us a job in calls of 16, lease 14.8 in calls of one",
    ),
    (
        "bulk",
        "of Redis' 10.6 us a job (lease: 4.6) a third is the log, which gets three writes a job (index of ids, key, \
         record) where lease has one; the rest is those writes, and Lua hashing each byte of a record. No gain: \
         shorter answers, numbers unformatted, no garbage collection; 0.5 us: no look at a key's expiry",
    ),
    (
        "lanes",
        "the tenth with a lane is in the figure: each of them waits its turn and costs about 26 us more, the others \
         share an HMGET a batch",
    ),
    (
        "pickup-500-p50",
        "one round trip where lease has two, but its scripts do more on the way: the one that enqueues takes Redis \
         25 us (lease: 13), and a take looks at leases, delays, suspects and three priorities",
    ),
    (
        "pickup-500-p99",
        "what the median lacks, and moments in which producer, worker and Redis want three cores of two; what else the \
         slowest wait for is not found",
    ),
];
