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
         event its rows. The rows of reconciliation were measured once, on a Postgres without fsync, and end with a\n\
         report that both records are whole and nothing differs.\n\n\
         - **pgbench**: the same rows on the same Postgres by plain statements, with as many clients as are fastest\n  \
           (`tests/bench_money/payout.sql`, `webhook.sql`)."
    )
}
