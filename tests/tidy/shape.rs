//! How a file looks from outside: its size, its first lines, its name.

use std::io::Write;

use crate::sources::{is_test_file, production_lines};
use crate::tree::Tree;
use crate::{assert_none, assert_one};

const PRODUCTION_LINES: usize = 500;
const TEST_FILE_LINES: usize = 800;

/// Says why a file is longer; tidy lists such files on every run.
const LONG_BECAUSE: &str = "// tidy: long because ";

/// An example in a header costs nothing; prose beyond this is a document's.
const HEADER_LINES: usize = 12;

/// A name that says nothing collects everything.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "shared"];

fn lines(path: &str, text: &str) -> (usize, usize) {
    if is_test_file(path) {
        (text.lines().count(), TEST_FILE_LINES)
    } else {
        (production_lines(text), PRODUCTION_LINES)
    }
}

/// Files that say why they are long, as `path: reason`.
fn long_with_a_reason(tree: &Tree) -> Vec<String> {
    let said = tree.ending(".rs").filter_map(|(path, text)| {
        let reason = text.lines().find_map(|line| line.strip_prefix(LONG_BECAUSE))?;
        Some(format!("{path}: {reason}"))
    });
    said.collect()
}

fn too_long(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let (lines, most) = lines(path, text);
        let has_reason = text.lines().any(|line| line.starts_with(LONG_BECAUSE));
        if lines > most && !has_reason {
            violations
                .push(format!("{path}: {lines} lines, at most {most}; split it, or say {LONG_BECAUSE}..."));
        }
        if lines <= most && has_reason {
            violations.push(format!("{path}: says why it is long, and is not"));
        }
    }
    violations
}

fn bad_headers(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let header = text.lines().map_while(|line| line.strip_prefix("//!"));
        let mut is_example = false;
        let mut prose = 0;
        for line in header {
            let is_fence = line.trim_start().starts_with("```");
            prose += usize::from(!is_fence && !is_example);
            is_example ^= is_fence;
        }
        if prose == 0 || prose > HEADER_LINES {
            violations.push(format!(
                "{path}: a header of {prose} lines; say in 1 to {HEADER_LINES} what it is for"
            ));
        }
    }
    violations
}

fn empty_names(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, _) in tree.files() {
        let is_empty = |part: &str| {
            let stem = part.split('.').next().unwrap_or(part);
            let version = stem.strip_prefix('v').and_then(|rest| rest.split_once('_'));
            let is_version = version.is_some_and(|(number, _)| number.parse::<u8>().is_ok());
            EMPTY_NAMES.contains(&stem) || stem.starts_with("new_") || is_version
        };
        if path.split('/').any(is_empty) {
            violations.push(format!("{path}: a name that does not say what is inside"));
        }
    }
    violations
}

#[test]
fn no_file_is_too_long_without_saying_why() {
    let tree = Tree::of_the_repository();
    for line in long_with_a_reason(&tree) {
        // Not println: it is meant to be seen when the test passes.
        writeln!(std::io::stderr(), "tidy: long: {line}").unwrap();
    }
    assert_none(&too_long(&tree));
}

#[test]
fn every_source_says_in_a_few_lines_what_it_is_for() {
    assert_none(&bad_headers(&Tree::of_the_repository()));
}

#[test]
fn every_name_says_what_is_inside() {
    assert_none(&empty_names(&Tree::of_the_repository()));
}

#[test]
fn a_long_file_is_refused_and_its_unit_tests_do_not_count() {
    let long = "x\n".repeat(PRODUCTION_LINES + 1);
    assert_one(&too_long(&Tree::of(&[("producer/src/x.rs", &long)])), "501 lines");
    assert_none(&too_long(&Tree::of(&[("tests/world/x.rs", &long)])));
    assert_one(&too_long(&Tree::of(&[("tests/world/x.rs", &"x\n".repeat(801))])), "801 lines");
    let with_tests = format!("x\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert_none(&too_long(&Tree::of(&[("producer/src/x.rs", &with_tests)])));
}

#[test]
fn a_long_file_may_say_why_and_a_short_one_may_not() {
    let reason = format!("{LONG_BECAUSE}one table\n");
    let long = Tree::of(&[("producer/src/x.rs", &(reason.clone() + &"x\n".repeat(600)))]);
    assert_none(&too_long(&long));
    assert_one(&long_with_a_reason(&long), "one table");
    assert_one(&too_long(&Tree::of(&[("producer/src/x.rs", &reason)])), "is not");
}

#[test]
fn a_file_without_a_header_or_with_an_essay_is_refused_but_an_example_is_not() {
    assert_one(&bad_headers(&Tree::of(&[("a.rs", "use x;\n")])), "header of 0");
    assert_one(&bad_headers(&Tree::of(&[("a.rs", &"//! x\n".repeat(13))])), "header of 13");
    let example = format!("//! x\n//! ```\n{}//! ```\n", "//! f();\n".repeat(30));
    assert_none(&bad_headers(&Tree::of(&[("a.rs", &example)])));
}

#[test]
fn names_that_say_nothing_are_refused() {
    for path in ["producer/src/utils.rs", "jobs/common/x.rs", "a/new_store.rs", "a/v2_api/x.rs", "helpers/x"]
    {
        assert_one(&empty_names(&Tree::of(&[(path, "")])), path);
    }
    assert_none(&empty_names(&Tree::of(&[("docs/adr/0001-view_of_news.md", ""), ("a/renew.rs", "")])));
}
