//! The operator's command in documents: `payfleet dlq show` in backticks or a block must be a
//! command that there is. What there is, is read from the enums clap is derived from.

use crate::docs::{Piece, is_document, pieces};
use crate::tree::Tree;
use crate::{assert_none, assert_one};

const SOURCES: &str = "deploy/payfleet/src/";

/// A command's name, and the names below it.
type Commands = Vec<(String, Vec<String>)>;

fn commands(tree: &Tree) -> Commands {
    let of = |path: &str| variants(tree.text(&format!("{SOURCES}{path}")).unwrap_or_default());
    let with_those_below = |(name, holds): (String, String)| {
        let file = holds.strip_suffix("::Command").map(|module| module.replace("::", "/"));
        let below = file.map_or_else(Vec::new, |file| of(&format!("{file}.rs")));
        (name, below.into_iter().map(|(name, _)| name).collect())
    };
    of("main.rs").into_iter().map(with_those_below).collect()
}

/// The variants of a file's subcommand enum: the command's name, and the type it holds.
fn variants(source: &str) -> Vec<(String, String)> {
    let lines = source.lines().skip_while(|line| !line.contains("Subcommand)]"));
    let variants = lines.take_while(|line| *line != "}").filter_map(|line| line.strip_prefix("    "));
    let named = variants.filter(|line| line.starts_with(|letter: char| letter.is_ascii_uppercase()));
    let parts = named.map(|line| line.trim_end_matches([',', ')']).split_once('(').unwrap_or((line, "")));
    parts.map(|(name, holds)| (spoken(name.trim_end_matches([',', ' ', '{'])), holds.to_owned())).collect()
}

/// As clap names a variant: `HashToken` is `hash-token`.
fn spoken(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn unknown_commands(tree: &Tree) -> Vec<String> {
    let commands = commands(tree);
    let mut violations = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_document(path)) {
        for (number, piece) in pieces(text) {
            let (Piece::Span(code) | Piece::Block(code)) = piece else { continue };
            let unknown = given(code).into_iter().filter(|words| !is_known(&commands, words));
            violations.extend(
                unknown.map(|words| format!("{path}:{number}: there is no payfleet {}", words.join(" "))),
            );
        }
    }
    violations
}

fn is_known(commands: &Commands, words: &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else { return true };
    commands.iter().filter(|(name, _)| name == first).any(|(_, below)| {
        rest.first().is_none_or(|second| below.is_empty() || below.iter().any(|name| name == second))
    })
}

/// The first two words after `payfleet` in each command of a line of shell, without options and
/// placeholders.
fn given(code: &str) -> Vec<Vec<&str>> {
    let is_name = |word: &&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    let mut found = Vec::new();
    for command in code.split('#').next().unwrap_or(code).split(['&', ';', '|']) {
        let mut words = command.trim().trim_start_matches("$ ").split_whitespace();
        let program = words.find(|word| !word.contains('=') && *word != "sudo").unwrap_or_default();
        if program == "payfleet" || program.ends_with("/payfleet") {
            found.push(words.take_while(is_name).take_while(|word| !word.starts_with('-')).take(2).collect());
        }
    }
    found
}

#[test]
fn every_command_a_document_names_exists() {
    let tree = Tree::of_the_repository();
    assert!(commands(&tree).iter().any(|(name, below)| name == "dlq" && !below.is_empty()));
    assert_none(&unknown_commands(&tree));
}

#[test]
fn a_command_that_is_not_there_is_refused() {
    let main = "#[derive(Subcommand)]\nenum Command {\n    /// Runs.\n    Dev(dev::Options),\n    \
                Dlq(commands::dlq::Command),\n    HashToken,\n}\n";
    let dlq = "#[derive(clap::Subcommand)]\npub(crate) enum Command {\n    List(List),\n}\nstruct List;\n";
    let of = |text: &str| {
        Tree::of(&[
            ("deploy/payfleet/src/main.rs", main),
            ("deploy/payfleet/src/commands/dlq.rs", dlq),
            ("README.md", text),
        ])
    };
    assert_one(&unknown_commands(&of("`payfleet why JOB`")), "payfleet why");
    assert_one(&unknown_commands(&of("```\nX=1 ./bin/payfleet dlq lists\n```")), "payfleet dlq lists");
    let fine = "`payfleet`, `payfleet dev --once`, `payfleet hash-token`, `payfleet dlq list 1`, `payfleet DLQ`, \
                payfleet why, `payfleet-worker x`";
    assert_none(&unknown_commands(&of(fine)));
}
