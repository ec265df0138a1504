//! What no source may say: core reads no clock, nothing is left to do, no test is skipped, and no
//! test waits for time to pass.

use crate::tree::Tree;
use crate::{assert_none, assert_one};

/// Time, files, the network and the environment: what makes a decision depend on where it is made.
const NOT_IN_CORE: [&str; 6] = ["SystemTime", "Instant::now", "now_utc", "std::fs", "std::net", "std::env"];

/// Built from parts, so that this file keeps its own rule.
const LEFT_UNDONE: [&str; 5] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

const SLEEP: &str = concat!("sle", "ep(");

/// On the line of an exception or on the one above it, with its reason.
const SLEEPS_BECAUSE: &str = "// tidy: sleeps because ";

/// The lines that are code, numbered, without comments.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number, line.split_once(" // ").map_or(line, |(code, _)| code)))
}

/// Whether nothing in this file is built into a process.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Where the unit tests at the end of a file begin; its length where it has none.
pub(crate) fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let unit_tests =
        lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    unit_tests.unwrap_or(lines.len())
}

fn outside_world_in_core(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| path.starts_with("jobs/core/src/")) {
        for (number, line) in code(text) {
            let named = NOT_IN_CORE.iter().filter(|name| line.contains(**name));
            violations.extend(
                named.map(|name| format!("{path}:{number}: {name}; take what it gives as an argument")),
            );
        }
    }
    violations
}

fn left_undone(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| *path != "Cargo.lock") {
        for (number, line) in (1..).zip(text.lines()) {
            let said = LEFT_UNDONE.iter().filter(|word| line.contains(**word));
            violations.extend(said.map(|word| format!("{path}:{number}: {word}")));
        }
    }
    violations
}

fn sleeps_in_tests(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let first = if is_test_file(path) { 0 } else { production_lines(text) };
        let mut above = "";
        for (number, line) in (1..).zip(text.lines()) {
            let is_excused = line.contains(SLEEPS_BECAUSE) || above.contains(SLEEPS_BECAUSE);
            if number > first && line.contains(SLEEP) && !is_excused {
                violations
                    .push(format!("{path}:{number}: waits; wait for a signal, or say {SLEEPS_BECAUSE}..."));
            }
            above = line;
        }
    }
    violations
}

#[test]
fn core_reads_no_clock_no_file_no_network_and_no_environment() {
    assert_none(&outside_world_in_core(&Tree::of_the_repository()));
}

#[test]
fn nothing_is_left_undone_and_no_test_is_skipped() {
    assert_none(&left_undone(&Tree::of_the_repository()));
}

#[test]
fn no_test_waits_for_time_to_pass() {
    assert_none(&sleeps_in_tests(&Tree::of_the_repository()));
}

#[test]
fn a_clock_in_core_is_refused_but_may_be_spoken_of() {
    let refused =
        Tree::of(&[("jobs/core/src/x.rs", "//! No SystemTime.\nlet t = SystemTime::now(); // std::fs\n")]);
    assert_one(&outside_world_in_core(&refused), "x.rs:2: SystemTime");
    assert_none(&outside_world_in_core(&Tree::of(&[("jobs/queue/src/x.rs", "std::fs::read()")])));
}

#[test]
fn unfinished_code_and_a_skipped_test_are_refused() {
    for word in LEFT_UNDONE {
        assert_one(&left_undone(&Tree::of(&[("producer/src/x.rs", word)])), word);
    }
}

#[test]
fn a_sleeping_test_is_refused_unless_it_says_why() {
    let sleeping = format!("fn f() {{\n    {SLEEP}1);\n}}\n");
    assert_one(&sleeps_in_tests(&Tree::of(&[("tests/x/main.rs", &sleeping)])), "main.rs:2");
    assert_none(&sleeps_in_tests(&Tree::of(&[("worker/app/src/x.rs", &sleeping)])));
    let in_unit_tests = format!("#[cfg(test)]\nmod tests {{\n{sleeping}}}\n");
    assert_one(&sleeps_in_tests(&Tree::of(&[("worker/app/src/x.rs", &in_unit_tests)])), "x.rs:4");
    let excused = sleeping.replace("    sle", &format!("    {SLEEPS_BECAUSE}the clock is paused\n    sle"));
    assert_none(&sleeps_in_tests(&Tree::of(&[("tests/x/main.rs", &excused)])));
}
