//! Documents speak of things that exist: files in backticks and links, headings behind `#`, and
//! targets of the Makefile. A document that sends a reader nowhere at 3 a.m. is worse than none.
//!
//! A word in backticks is taken for a path of the repository when it has only letters of a path, and
//! either begins with a folder of the root and `/`, or is all capitals and ends in `.md`.

use crate::tree::Tree;
use crate::{assert_none, assert_one};

/// A piece of a document that is code, or the target of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Between single backticks.
    Span(&'a str),
    /// A line of a fenced block.
    Block(&'a str),
    /// What a link points to.
    Link(&'a str),
}

pub(crate) fn is_document(path: &str) -> bool {
    let is_root = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].contains(&path);
    is_root || (path.ends_with(".md") && (path.starts_with("docs/") || path.starts_with("deploy/")))
}

pub(crate) fn pieces(text: &str) -> Vec<(usize, Piece<'_>)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push((number, Piece::Block(line)));
        } else {
            // Every second part of a line split at backticks is code.
            for (at, part) in line.split('`').enumerate() {
                if at % 2 == 1 {
                    found.push((number, Piece::Span(part)));
                }
            }
            let links = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(links.map(|(target, _)| (number, Piece::Link(target))));
        }
    }
    found
}

/// Files and folders that are not there, in backticks.
fn missing_files(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_document(path)) {
        for (number, piece) in pieces(text) {
            let Piece::Span(span) = piece else { continue };
            let missing = span.split_whitespace().filter_map(|word| repository_path(tree, word));
            let missing = missing.filter(|named| !tree.has(named));
            violations.extend(missing.map(|named| format!("{path}:{number}: there is no {named}")));
        }
    }
    violations
}

/// What a word names, if it looks like a path of the repository. See the top of this file.
fn repository_path<'a>(tree: &Tree, word: &'a str) -> Option<&'a str> {
    let word = word.trim_start_matches("./").trim_end_matches(['.', ',', ':', ';', ')']);
    // `path.rs:12` names a line.
    let word = word.split(':').next().unwrap_or(word);
    let is_plain = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/@".contains(letter));
    let in_folder = word.split_once('/').is_some_and(|(first, _)| !first.is_empty() && tree.has(first));
    let is_loud =
        word.strip_suffix(".md").is_some_and(|name| name.chars().all(|letter| letter.is_ascii_uppercase()));
    (is_plain && (in_folder || is_loud)).then_some(word)
}

/// Sources point to documents too.
fn missing_documents(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let sources = tree.files().filter(|(path, _)| !path.ends_with(".md") && !path.starts_with("tests/tidy/"));
    for (path, text) in sources {
        for (number, line) in (1..).zip(text.lines()) {
            let words =
                line.split(|letter: char| !(letter.is_ascii_alphanumeric() || "._-/".contains(letter)));
            let missing = words
                .map(|word| word.trim_end_matches('.'))
                .filter(|word| word.starts_with("docs/") && word.ends_with(".md") && !tree.has(word));
            violations.extend(missing.map(|named| format!("{path}:{number}: there is no {named}")));
        }
    }
    violations
}

/// Relative links to files or headings that are not there.
fn broken_links(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_document(path)) {
        for (number, piece) in pieces(text) {
            let Piece::Link(target) = piece else { continue };
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { relative(path, file) };
            let has_heading =
                || tree.text(&file).is_some_and(|text| headings(text).any(|slug| slug == heading));
            if !tree.has(&file) || (!heading.is_empty() && !has_heading()) {
                violations.push(format!("{path}:{number}: the link to {target} is broken"));
            }
        }
    }
    violations
}

/// `target` as seen from the folder of `path`.
fn relative(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The names by which links find the headings of a document.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    })
}

/// `make x` where the Makefile has no x.
fn missing_targets(tree: &Tree) -> Vec<String> {
    let makefile = tree.text("Makefile").unwrap_or_default();
    let targets: Vec<&str> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, rest)| !rest.starts_with('=') && !name.starts_with(['.', '\t', '#']))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut violations = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_document(path)) {
        for (number, piece) in pieces(text) {
            let (Piece::Span(code) | Piece::Block(code)) = piece else { continue };
            let missing = made(code).into_iter().filter(|target| !targets.contains(target));
            violations.extend(missing.map(|target| format!("{path}:{number}: there is no make {target}")));
        }
    }
    violations
}

/// The targets that a line of shell makes.
fn made(code: &str) -> Vec<&str> {
    let commands = code.split('#').next().unwrap_or(code).split(['&', ';', '|']).map(str::trim);
    let mut targets = Vec::new();
    for command in commands {
        let mut words =
            command.trim_start_matches("$ ").split_whitespace().skip_while(|word| word.contains('='));
        if words.next() == Some("make") {
            targets.extend(words.filter(|word| !word.starts_with('-') && !word.contains('=')));
        }
    }
    targets
}

#[test]
fn every_file_a_document_names_exists() {
    assert_none(&missing_files(&Tree::of_the_repository()));
}

#[test]
fn every_document_a_source_names_exists() {
    assert_none(&missing_documents(&Tree::of_the_repository()));
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    assert_none(&broken_links(&Tree::of_the_repository()));
}

#[test]
fn every_make_target_a_document_names_exists() {
    assert_none(&missing_targets(&Tree::of_the_repository()));
}

mod refused {
    use super::*;

    fn readme(text: &str) -> Tree {
        let makefile = "X := 1\n.PHONY: run\nrun: build ## Runs.\n\techo a: b\nbuild:\n";
        let files = [
            ("README.md", text),
            ("Makefile", makefile),
            ("jobs/core/src/lib.rs", ""),
            ("docs/a.md", "# A b!"),
        ];
        Tree::of(&files)
    }

    #[test]
    fn a_file_that_is_not_there() {
        assert_one(
            &missing_files(&readme("See `jobs/core/src/lip.rs`.")),
            "README.md:1: there is no jobs/core/src/lip.rs",
        );
        assert_one(&missing_files(&readme("Read `SECURITY.md`.")), "SECURITY.md");
        assert_one(&missing_files(&readme("Run `sh docs/x.sh --now`.")), "docs/x.sh");
        let fine =
            "`jobs/core/src/lib.rs:3`, `jobs/core/`, `cat README.md`, `other/x.rs`, `jobs/*.rs`, `a/b`";
        assert_none(&missing_files(&readme(fine)));
    }

    #[test]
    fn a_document_that_a_source_names_and_nobody_wrote() {
        let tree =
            Tree::of(&[("docs/a.md", ""), ("producer/src/x.rs", "/// See docs/a.md.\n// See (docs/b.md).")]);
        assert_one(&missing_documents(&tree), "x.rs:2: there is no docs/b.md");
    }

    #[test]
    fn a_link_to_no_file_or_to_no_heading() {
        assert_one(&broken_links(&readme("[a](docs/b.md)")), "docs/b.md");
        assert_one(&broken_links(&readme("[a](docs/a.md#b)")), "#b");
        assert_none(&broken_links(&readme(
            "# C\n[a](docs/a.md#a-b) [b](https://example.com/x) [c](#c) [d](jobs/core)",
        )));
        let upward = Tree::of(&[("README.md", ""), ("docs/a.md", "[r](../README.md) [x](../x.md)")]);
        assert_one(&broken_links(&upward), "../x.md");
    }

    #[test]
    fn a_make_target_that_is_not_there() {
        assert_one(&missing_targets(&readme("Say `make sure`.")), "make sure");
        assert_one(
            &missing_targets(&readme("```sh\n$ X=1 make -j2 run tests Y=2 # make it\n```")),
            "make tests",
        );
        assert_none(&missing_targets(&readme("We make sure. `make run && make build`, `make`.")));
    }
}
