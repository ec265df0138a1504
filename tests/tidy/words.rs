//! What may stand in no file: where somebody's machine keeps things, hosts that only one network can
//! reach or needs, and words about how the text was made.

use crate::tree::Tree;
use crate::{assert_none, assert_one};

// Built from parts, so that this file keeps its own rule.

/// Folders of a person's or a builder's machine.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Package registries: cargo knows them, nobody else needs to.
const REGISTRY_HOSTS: [&str; 6] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("crates.io", "-index"),
    concat!("registry.npm", "js.org"),
    concat!("py", "pi.org"),
    concat!("proxy.gol", "ang.org"),
];

/// Whole words, whatever their case.
const WORDS: [&str; 9] = [
    concat!("cla", "ude"),
    concat!("anth", "ropic"),
    concat!("ope", "nai"),
    concat!("chatg", "pt"),
    concat!("gp", "t"),
    concat!("cop", "ilot"),
    concat!("ll", "m"),
    concat!("ll", "ms"),
    concat!("a", "i"),
];

/// Whole words too, except after `user`: `User-Agent` is a header.
const AFTER_USER_ONLY: [&str; 3] = [concat!("ag", "ent"), concat!("ag", "ents"), concat!("ag", "entic")];

fn forbidden(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| *path != "Cargo.lock") {
        for (number, line) in (1..).zip(text.lines()) {
            violations.extend(in_line(line).iter().map(|what| format!("{path}:{number}: {what}")));
        }
    }
    violations
}

fn in_line(line: &str) -> Vec<String> {
    let paths = MACHINE_PATHS.iter().filter(|path| starts_a_path(line, path));
    let hosts = REGISTRY_HOSTS.iter().filter(|host| line.contains(**host));
    let mut found: Vec<String> = paths.chain(hosts).map(|&what| what.to_owned()).collect();
    let lower = line.to_lowercase();
    let mut before = "";
    for word in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if WORDS.contains(&word) || (AFTER_USER_ONLY.contains(&word) && before != "user") {
            found.push(word.to_owned());
        }
        before = word;
    }
    found
}

/// `path` as the beginning of an absolute path, not as a part of a longer one.
fn starts_a_path(line: &str, path: &str) -> bool {
    let is_of_path = |letter: char| letter.is_alphanumeric() || "._-/*}".contains(letter);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(is_of_path))
}

#[test]
fn no_file_names_a_machine_s_folders_a_registry_or_how_it_was_made() {
    assert_none(&forbidden(&Tree::of_the_repository()));
}

#[test]
fn every_forbidden_word_is_refused_in_any_case() {
    for word in WORDS.iter().chain(&AFTER_USER_ONLY) {
        for text in [format!("an {word}."), format!("an {}-made one", word.to_uppercase())] {
            assert_one(&forbidden(&Tree::of(&[("README.md", &text)])), word);
        }
        assert_none(&forbidden(&Tree::of(&[("README.md", &format!("x{word}y"))])));
    }
    let header = format!("User-{}: payfleet", AFTER_USER_ONLY[0]);
    assert_none(&forbidden(&Tree::of(&[("README.md", &header)])));
}

#[test]
fn a_machine_s_path_and_a_registry_are_refused_but_not_a_folder_of_ours() {
    for path in MACHINE_PATHS {
        assert_one(&forbidden(&Tree::of(&[("a.toml", &format!("x = \"{path}y\""))])), path);
        assert_none(&forbidden(&Tree::of(&[("a.toml", &format!("see docs{path}y"))])));
    }
    for host in REGISTRY_HOSTS {
        assert!(!forbidden(&Tree::of(&[("a.toml", &format!("https://{host}/x"))])).is_empty(), "{host}");
    }
}
