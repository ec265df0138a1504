//! The rules of the house, as tests: who may depend on whom, what a file may look like, and that
//! documents speak of files that exist.
//!
//! A rule is a function from a [`tree::Tree`] (or from what cargo says) to its violations, one line
//! each, so that every rule is also shown a made-up tree which it must refuse.

mod commands;
mod crates;
mod docs;
mod graph;
mod scripts;
mod shape;
mod sources;
mod tree;
mod words;

/// Fails with every violation, one a line.
#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

/// Fails unless there is exactly one violation and it names `what`: for the made-up ones.
#[track_caller]
fn assert_one(violations: &[String], what: &str) {
    assert!(
        violations.len() == 1 && violations[0].contains(what),
        "expected one about {what}: {violations:?}"
    );
}
