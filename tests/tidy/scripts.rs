//! The two places where code runs inside a store: Lua in Redis and SQL in Postgres. A script says
//! what it reads, writes and costs before it does anything; a migration never waits for a lock for
//! ever, because everything else would queue behind it.

use crate::tree::Tree;
use crate::{assert_none, assert_one};

const SCRIPTS: &str = "jobs/queue/src/scripts/";

/// What earlier releases loaded, as it was.
const RELEASED: &str = "tests/queue/released/";

/// Prepended to others, so they run nowhere by themselves.
const FRAGMENTS: [&str; 6] =
    ["clock_key.lua", "clock_redis.lua", "insert.lua", "lanes.lua", "leases.lua", "prelude.lua"];

const FIELDS: [&str; 5] = ["Input:", "Output:", "Keys:", "Atomic:", "Bound:"];

fn undocumented_scripts(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".lua").filter(|(path, _)| !path.starts_with(RELEASED)) {
        let Some(name) = path.strip_prefix(SCRIPTS) else {
            violations.push(format!("{path}: scripts live in {SCRIPTS}"));
            continue;
        };
        let is_fragment = FRAGMENTS.contains(&name);
        let is_whole = text.starts_with("#!lua");
        let header: Vec<&str> =
            text.lines().skip(usize::from(is_whole)).map_while(|line| line.strip_prefix("--")).collect();
        if is_whole == is_fragment {
            violations.push(format!("{path}: a whole script starts with #!lua, a fragment does not"));
        }
        if header.is_empty() {
            violations.push(format!("{path}: no header"));
        } else if !is_fragment {
            let says = |field: &str| header.iter().any(|line| line.trim_start().starts_with(field));
            let missing = FIELDS.iter().filter(|field| !says(field));
            violations.extend(missing.map(|field| format!("{path}: its header lacks {field}")));
        }
    }
    violations
}

fn careless_migrations(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let migrations = tree.ending(".sql").filter(|(path, _)| path.starts_with("migrations/"));
    let mut before = 0;
    for (path, text) in migrations {
        // A gap is a number that somebody else is writing under; two of one number would be one to a database.
        let digits =
            path.strip_prefix("migrations/").and_then(|name| name.split_once('_')).map(|(digits, _)| digits);
        let number = digits.filter(|digits| digits.len() == 4).and_then(|digits| digits.parse::<u32>().ok());
        if number.is_none_or(|number| number <= before) {
            violations.push(format!("{path}: needs a number of its own after {before:04}, of four digits"));
        }
        before = number.unwrap_or(before);
        if !text.starts_with("-- ") {
            violations.push(format!("{path}: does not say what it is for"));
        }
        let first = text.lines().find(|line| !line.is_empty() && !line.starts_with("--")).unwrap_or_default();
        if !first.starts_with("SET lock_timeout = ") {
            violations.push(format!("{path}: its first statement must set lock_timeout"));
        }
    }
    violations
}

#[test]
fn every_script_says_what_it_takes_gives_touches_and_costs() {
    let tree = Tree::of_the_repository();
    assert!(tree.has(&format!("{SCRIPTS}take.lua")));
    assert_none(&undocumented_scripts(&tree));
}

#[test]
fn every_migration_is_numbered_explained_and_gives_up_waiting_for_a_lock() {
    assert_none(&careless_migrations(&Tree::of_the_repository()));
}

#[test]
fn a_script_without_its_bound_is_refused() {
    let full = "#!lua\n-- Does x.\n-- Input:  a.\n-- Output: b.\n-- Keys:   c.\n-- Atomic: d.\n-- Bound:  e.\nreturn 1\n";
    let refused =
        |name: &str, text: &str| undocumented_scripts(&Tree::of(&[(&format!("{SCRIPTS}{name}"), text)]));
    assert_none(&refused("x.lua", full));
    assert_one(&refused("x.lua", &full.replace("-- Bound:  e.\n", "")), "Bound:");
    assert_one(&refused("x.lua", &full.replace("#!lua\n", "")), "#!lua");
    assert_one(&refused("prelude.lua", "local x = 1\n"), "no header");
    assert_one(&undocumented_scripts(&Tree::of(&[("worker/x.lua", full)])), "scripts live in");
}

#[test]
fn a_migration_that_waits_for_ever_or_is_misnumbered_is_refused() {
    let good = "-- Why.\nSET lock_timeout = '5s';\n\nCREATE TABLE x ();\n";
    assert_none(&careless_migrations(&Tree::of(&[("migrations/0001_x.sql", good)])));
    let twice = Tree::of(&[("migrations/0002_x.sql", good), ("migrations/0002_y.sql", good)]);
    assert_one(&careless_migrations(&twice), "after 0002");
    assert_one(&careless_migrations(&Tree::of(&[("migrations/x.sql", good)])), "of four digits");
    let waits =
        Tree::of(&[("migrations/0001_x.sql", "-- Why.\nCREATE TABLE x ();\nSET lock_timeout = '5s';\n")]);
    assert_one(&careless_migrations(&waits), "lock_timeout");
}
