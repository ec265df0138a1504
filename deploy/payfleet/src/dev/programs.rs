//! The fleet's own programs: where they are, and what they inherit from our environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;

/// What producer and workers take over from our environment. Nothing else: a provider's live key in
/// somebody's shell must not reach a fleet that talks to sandboxes.
const INHERITED: [&str; 3] = ["LOG", "LOG_FORMAT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Variables for logs and traces, as we were given them.
pub(super) fn inherited() -> BTreeMap<String, String> {
    let given = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
    INHERITED.into_iter().filter_map(given).collect()
}

/// One of the fleet's programs, which lie beside this one.
pub(super) fn beside_us(name: &str) -> anyhow::Result<PathBuf> {
    let ours = std::env::current_exe().context("this program does not know where it is")?;
    let program = ours.with_file_name(name);
    anyhow::ensure!(
        program.is_file(),
        "{} is missing; build it: cargo build -p {name} (add --release if this is a release build)",
        program.display()
    );
    Ok(program)
}
