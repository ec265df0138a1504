//! What stands above the table in docs/benchmarks.md.

use payfleet_tests::measure::kernel::machine;

use crate::bench::Bench;

/// The section's heading, and how its rows were measured.
pub(crate) fn head(bench: &Bench) -> String {
    let (machine, times) = (machine(), bench.times);
    format!(
        "## Money\n\n\
         `make bench-money` on a machine with {machine}, which Postgres (with fsync), Redis (AOF everysec), the\n\
         sandboxes and the worker share. Each row was measured {times} times, turn by turn with its reference, each time\n\
         on a database, a Redis and sandboxes of its own. The worker is the release build with its defaults; only the\n\
         limits of the sandbox's provider are lifted. Every round ends with a count: each payout has one effect, each\n\
         event its rows. The row of confirmations looks each second and does not reconcile. The rows of\n\
         reconciliation were measured once, on a Postgres without fsync and with whatever statistics it had made by\n\
         then, and end with a report that nothing differs.\n\n\
         - **pgbench**: the same rows on the same Postgres by plain statements, with as many clients as are fastest\n  \
           (`tests/bench_money/payout.sql`, `webhook.sql`)."
    )
}
