//! Why a target is missed after honest effort, and where the time goes. Filled in by hand.

use payfleet_tests::measure::Whys;

pub(crate) const WHYS: &Whys = &[
    (
        "payouts",
        "both cores are busy: of 2.6 ms of CPU a payout (start of the worker and filling of the queue counted in) 1.5 \
         are Postgres', 0.7 the worker's, 0.3 Redis' and 0.2 the provider's, where pgbench has the cores for its rows \
         alone. Claim and intent in one transaction gained little: three runs by turns on a busy machine had ratios \
         of 0.33 to 0.37 before and 0.37 to 0.41 after",
    ),
    (
        "webhooks",
        "both cores are busy: of 0.21 ms of CPU an event (start and filling counted in) 0.09 are Postgres', 0.07 the \
         worker's, 0.05 Redis'; the last two alone would want about two cores at the target's rate. A third of the \
         time of Postgres' statements is the next wake-up of an operation, an entry in each of its indexes. No second \
         job for what is due, which here is every second event as the payouts' queue stands still, shows no gain: \
         three runs by turns on a busy machine had 0.50 to 0.65 before and 0.57 to 0.62 after",
    ),
];
