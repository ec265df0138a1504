//! Whether a library can be run here.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of this test.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}

/// Where the library of `language` is installed; `None`, said loudly, where it cannot be. In CI that is
/// a failure.
pub(crate) fn installed(language: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk").join(language);
    let status = Command::new("sh").arg(here().join("install.sh")).arg(language).arg(&target).status();
    match status.ok().and_then(|status| status.code()) {
        Some(0) => Some(target),
        Some(3) => {
            let why = format!("the official library for {language} cannot be installed here");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            // Not println: it is meant to be seen when the test passes.
            let mut terminal = std::io::stderr();
            writeln!(terminal, "\n!!! SKIPPED, NOTHING WAS SHOWN: {why} !!!\n").unwrap();
            None
        }
        code => panic!("install.sh {language} ended with {code:?}"),
    }
}
