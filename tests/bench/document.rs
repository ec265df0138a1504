//! The table as a document: docs/benchmarks.md holds the last full run.

use std::path::Path;

use crate::bench::Bench;
use crate::measured::HEAD;
use crate::process::machine;

/// What stands above the rows.
pub(crate) fn head(bench: &Bench) -> String {
    let (machine, times, jobs) = (machine(), bench.times, bench.jobs);
    format!(
        "# Benchmarks of the queue\n\n\
         `make bench-queue` on a machine with {machine}, which the worker and Redis share. Each row was measured\n\
         {times} times, turn by turn with its references, on a Redis of its own with nothing else in it (AOF\n\
         everysec unless said); {jobs} jobs where a row names no number, 300 bytes of JSON each, parsed by a handler\n\
         that does nothing else. `ARGS=--json` prints one object a row.\n\n\
         - **lease**: a batched Lua lease queue by hand, with dedupe key, attempt count and lease, nothing else.\n\
         - **stream**: XADD; XREADGROUP COUNT 256 + XACK + XDEL by hand, two readers. No keys, no delays.\n\
         - **apalis-redis**: 1.0.0 with its defaults, but batches of 256, keys that last, polled each 100 ms; never more\n  \
           than 7,500 jobs waiting, since above about 8,000 it runs none.\n\n{HEAD}"
    )
}

/// Writes the document.
pub(crate) fn write(text: &str) -> std::io::Result<()> {
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md"), text)
}
