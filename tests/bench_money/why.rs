//! Why a target is missed after honest effort, and where the time goes. Filled in by hand.

use payfleet_tests::measure::Whys;

pub(crate) const WHYS: &Whys = &[
    (
        "payouts",
        "both cores are busy, more than one of the two with Postgres: beside pgbench's rows a payout is a claim with \
         its inbox, a job that confirms, its poll and its events; worker, provider and Redis want the rest",
    ),
    (
        "webhooks",
        "an event is also a lease, a settle and a job in the queue of its operation, and its operation is claimed \
         beside; Postgres, Redis and the worker share what pgbench has for itself",
    ),
];
