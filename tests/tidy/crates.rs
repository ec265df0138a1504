//! Which of our crates may use which, and which libraries have one home. The table of
//! docs/ARCHITECTURE.md, held against every Cargo.toml and every `use`.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::assert_none;
use crate::tree::{Tree, root};

const TESTS: &str = "payfleet-tests";

/// A crate, and which of ours it may use.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("payfleet-core", &[]),
    ("payfleet-process", &["core"]),
    ("payfleet-queue", &["core"]),
    ("payfleet-providers", &["core"]),
    ("payfleet-store", &["core"]),
    ("payfleet-producer", &["core", "process", "queue", "providers", "store"]),
    ("payfleet-worker", &["core", "process", "queue", "providers", "store"]),
    ("payfleet", &["core", "process", "queue", "providers", "store", "producer", "worker"]),
];

/// Libraries that belong in one place.
struct Home {
    /// The library, and the first word of those that belong to it.
    crate_name: &'static str,
    /// As sources write them.
    written: &'static [&'static str],
    /// The only crates that may name it.
    crates: &'static [&'static str],
}

const HOMES: [Home; 4] = [
    Home { crate_name: "redis", written: &["redis"], crates: &["payfleet-queue"] },
    Home { crate_name: "sqlx", written: &["sqlx"], crates: &["payfleet-store"] },
    // In the operator's command it is the client of its demo.
    Home { crate_name: "reqwest", written: &["reqwest"], crates: &["payfleet-providers", "payfleet"] },
    Home {
        crate_name: "apalis",
        written: &["apalis", "apalis_core"],
        crates: &["payfleet-queue", "payfleet-worker"],
    },
];

/// What the rules ask of a crate.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    /// Its folder, from the root.
    folder: String,
    /// What it needs to run; what only its tests need is its own affair.
    needs: Vec<String>,
    has_license: bool,
    has_rust_version: bool,
    is_published: bool,
}

impl From<&Package> for Member {
    fn from(package: &Package) -> Self {
        let folder = package.manifest_path.parent().unwrap().as_std_path();
        let runs = package.dependencies.iter().filter(|needed| needed.kind != DependencyKind::Development);
        Self {
            name: package.name.to_string(),
            folder: folder
                .strip_prefix(root().canonicalize().unwrap())
                .unwrap()
                .to_string_lossy()
                .into_owned(),
            needs: runs.map(|needed| needed.name.clone()).collect(),
            has_license: package.license.is_some(),
            has_rust_version: package.rust_version.is_some(),
            is_published: package.publish.as_ref().is_none_or(|registries| !registries.is_empty()),
        }
    }
}

fn members() -> Vec<Member> {
    let mut command = MetadataCommand::new();
    command.current_dir(root()).no_deps().other_options(["--offline".to_owned()]);
    command.exec().unwrap().packages.iter().map(Member::from).collect()
}

/// Every crate uses only those of ours that stand below it.
fn uses_of_ours(members: &[Member]) -> Vec<String> {
    let mut violations = Vec::new();
    for member in members.iter().filter(|member| member.name != TESTS) {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == member.name) else {
            violations.push(format!("{}: a new crate; say in MAY_USE what it may use", member.name));
            continue;
        };
        for needed in member.needs.iter().filter(|needed| needed.starts_with("payfleet")) {
            if !allowed.iter().any(|allowed| *needed == format!("payfleet-{allowed}")) {
                violations.push(format!("{}: may not use {needed}", member.name));
            }
        }
    }
    violations
}

/// A library with a home is a dependency nowhere else.
fn needs_away_from_home(members: &[Member]) -> Vec<String> {
    let mut violations = Vec::new();
    for member in members.iter().filter(|member| member.name != TESTS) {
        for Home { crate_name, crates, .. } in HOMES {
            let family =
                |needed: &&String| *needed == crate_name || needed.starts_with(&format!("{crate_name}-"));
            for needed in member.needs.iter().filter(family) {
                if !crates.contains(&member.name.as_str()) {
                    violations.push(format!("{}: {needed} belongs to {}", member.name, crates.join(", ")));
                }
            }
        }
    }
    violations
}

/// A library with a home is named in no other crate's sources, not even through a re-export, and
/// its home does not hand it on.
fn names_away_from_home(members: &[Member], tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for member in members.iter().filter(|member| member.name != TESTS) {
        let folder = format!("{}/src/", member.folder);
        let sources: Vec<(&str, &str)> =
            tree.ending(".rs").filter(|(path, _)| path.starts_with(&folder)).collect();
        for home in &HOMES {
            // A module of ours may have a library's name.
            let modules = [format!("/{}.rs", home.crate_name), format!("/{}/mod.rs", home.crate_name)];
            if sources.iter().any(|(path, _)| modules.iter().any(|module| path.ends_with(module))) {
                continue;
            }
            for (path, text) in &sources {
                let wrong = crate::sources::code(text).filter(|(_, line)| is_wrong(line, member, home));
                violations.extend(wrong.map(|(number, _)| {
                    format!("{path}:{number}: {} belongs to {}", home.crate_name, home.crates.join(", "))
                }));
            }
        }
    }
    violations
}

fn is_wrong(line: &str, member: &Member, home: &Home) -> bool {
    let is_home = home.crates.contains(&member.name.as_str());
    home.written.iter().any(|word| {
        let handed = line.trim_start().strip_prefix("pub use ").and_then(|used| used.strip_prefix(word));
        let hands_on = handed.is_some_and(|rest| rest.starts_with([':', ';', ' ']));
        hands_on || (!is_home && names(line, word))
    })
}

/// Whether a line of code names the library: `redis::x`, `payfleet_queue::redis::x`.
fn names(line: &str, word: &str) -> bool {
    let is_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut places = line.match_indices(word);
    places.any(|(at, _)| !line[..at].ends_with(is_of_word) && line[at + word.len()..].starts_with("::"))
}

/// What every Cargo.toml says of itself.
fn unfinished_manifests(members: &[Member], tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for member in members {
        let path = format!("{}/Cargo.toml", member.folder);
        let manifest = tree.text(&path).unwrap_or_default();
        let shares = manifest.contains("[lints]\nworkspace = true");
        let own =
            member.name == TESTS && manifest.contains("[lints.rust]") && manifest.contains("[lints.clippy]");
        let said = [
            (shares || own, "no lints"),
            (member.has_license, "no license"),
            (member.has_rust_version, "no rust-version"),
            (!member.is_published, "could be published by accident"),
        ];
        violations.extend(said.iter().filter(|(is, _)| !is).map(|(_, what)| format!("{path}: {what}")));
    }
    violations
}

/// The compiler is the reader's own, and every library comes from the public registry.
fn foreign_sources(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree.files() {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with("rust-toolchain") {
            violations.push(format!("{path}: rust-version in Cargo.toml says which compiler"));
        }
        if path == "Cargo.lock" {
            let public = concat!("source = \"registry+https://github.com/rust-lang/crates.io", "-index\"");
            let foreign = text.lines().filter(|line| line.starts_with("source = ") && *line != public);
            violations.extend(foreign.map(|line| format!("{path}: {line}")));
        }
        if path.starts_with(".cargo/") {
            let replaced = text.lines().filter(|line| {
                line.starts_with("[source") || line.starts_with("[registr") || line.contains("replace-with")
            });
            violations.extend(replaced.map(|line| format!("{path}: {line}")));
        }
    }
    violations
}

#[test]
fn every_crate_uses_only_those_below_it() {
    assert_none(&uses_of_ours(&members()));
}

#[test]
fn a_library_with_a_home_is_needed_and_named_only_there() {
    let members = members();
    assert_none(&needs_away_from_home(&members));
    assert_none(&names_away_from_home(&members, &Tree::of_the_repository()));
}

#[test]
fn every_crate_has_lints_a_license_and_a_rust_version_and_is_not_published() {
    assert_none(&unfinished_manifests(&members(), &Tree::of_the_repository()));
}

#[test]
fn every_library_comes_from_the_public_registry_and_no_compiler_is_pinned() {
    assert_none(&foreign_sources(&Tree::of_the_repository()));
}

mod refused {
    use super::*;
    use crate::assert_one;

    fn member(name: &str, needs: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            folder: "here".to_owned(),
            needs: needs.iter().map(|&need| need.to_owned()).collect(),
            has_license: true,
            has_rust_version: true,
            is_published: false,
        }
    }

    #[test]
    fn a_store_that_uses_the_queue_and_a_crate_nobody_placed() {
        assert_one(
            &uses_of_ours(&[member("payfleet-store", &["payfleet-core", "payfleet-queue"])]),
            "may not use",
        );
        assert_one(&uses_of_ours(&[member("payfleet-extra", &[])]), "MAY_USE");
        assert_one(&uses_of_ours(&[member("payfleet-core", &["payfleet"])]), "may not use");
    }

    #[test]
    fn a_library_needed_away_from_its_home() {
        assert_one(
            &needs_away_from_home(&[member("payfleet-producer", &["apalis-core", "time"])]),
            "apalis-core",
        );
        assert_none(&needs_away_from_home(&[member("payfleet-queue", &["apalis-core", "redis"])]));
        assert_none(&needs_away_from_home(&[member("payfleet-producer", &["redistribute"])]));
    }

    #[test]
    fn a_library_named_away_from_its_home_or_handed_on() {
        let refused = |name: &str, text: &str| {
            names_away_from_home(&[member(name, &[])], &Tree::of(&[("here/src/lib.rs", text)]))
        };
        assert_one(&refused("payfleet-worker", "use sqlx::query;\n"), "here/src/lib.rs:1");
        assert_one(
            &refused("payfleet-worker", "\nlet x = payfleet_queue::redis::cmd(1);"),
            "here/src/lib.rs:2",
        );
        assert_one(&refused("payfleet-store", "use apalis_core::task;"), "apalis");
        assert_one(&refused("payfleet-queue", "pub use redis;"), "redis belongs");
        assert_one(&refused("payfleet-queue", "pub use redis as driver;"), "redis belongs");
        assert_none(&refused("payfleet-store", "/// Like redis::cmd.\nuse sqlx::query; // not redis::x"));
        assert_none(&refused("payfleet-store", "fn f() { predis::x(); redist::y() }"));
    }

    #[test]
    fn a_module_of_ours_may_have_a_library_s_name() {
        let tree = Tree::of(&[("here/src/redis.rs", ""), ("here/src/lib.rs", "use redis::Server;")]);
        assert_none(&names_away_from_home(&[member("payfleet", &[])], &tree));
    }

    #[test]
    fn a_manifest_without_lints_or_license() {
        let bare = Tree::of(&[("here/Cargo.toml", "[package]\n")]);
        assert_one(&unfinished_manifests(&[member("payfleet-core", &[])], &bare), "no lints");
        let full = Tree::of(&[("here/Cargo.toml", "[lints]\nworkspace = true\n")]);
        let unlicensed = Member { has_license: false, ..member("payfleet-core", &[]) };
        assert_one(&unfinished_manifests(&[unlicensed], &full), "no license");
        let published = Member { is_published: true, ..member("payfleet-core", &[]) };
        assert_one(&unfinished_manifests(&[published], &full), "published");
    }

    #[test]
    fn a_pinned_compiler_and_a_library_from_elsewhere() {
        assert_one(&foreign_sources(&Tree::of(&[("rust-toolchain.toml", "")])), "rust-version");
        let lock = "source = \"registry+https://mirror.example/index\"\n";
        assert_one(&foreign_sources(&Tree::of(&[("Cargo.lock", lock)])), "mirror.example");
        let config = Tree::of(&[(".cargo/config.toml", "[source.crates-io]\n")]);
        assert_one(&foreign_sources(&config), "[source");
    }
}
