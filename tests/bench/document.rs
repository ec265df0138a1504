//! What stands above the table in docs/benchmarks.md.

use payfleet_tests::measure::kernel::machine;

use crate::bench::Bench;

/// The section's heading, and how its rows were measured.
pub(crate) fn head(bench: &Bench) -> String {
    let (machine, times, jobs) = (machine(), bench.times, bench.jobs);
    format!(
        "## The queue\n\n\
         `make bench-queue` on a machine with {machine}, which the worker and Redis share. Each row was measured\n\
         {times} times, turn by turn with its references, on a Redis of its own with nothing else in it (AOF\n\
         everysec unless said); {jobs} jobs where a row names no number, 300 bytes of JSON each, parsed by a handler\n\
         that does nothing else. `ARGS=--json` prints one object a row.\n\n\
         - **lease**: a batched Lua lease queue by hand, with dedupe key, attempt count and lease, nothing else.\n\
         - **stream**: XADD; XREADGROUP COUNT 256 + XACK + XDEL by hand, two readers. No keys, no delays.\n\
         - **apalis-redis**: 1.0.0 with its defaults, but batches of 256, keys that last, polled each 100 ms; never more\n  \
           than 7,500 jobs waiting, since above about 8,000 it runs none."
    )
}
