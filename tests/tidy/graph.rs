//! What is really built into each process: features and libraries after cargo has resolved them,
//! where a feature that another crate switched on would show.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::assert_none;
use crate::tree::root;

/// A process, a crate in it, and the features that must be off there.
const FORBIDDEN: [(&str, &str, &[&str]); 2] = [
    // It verifies webhooks and calls nobody.
    ("payfleet-producer", "payfleet-providers", &["client", "sandbox"]),
    // A service has no provider in it that pays out play money.
    ("payfleet-worker", "payfleet-providers", &["sandbox"]),
];

/// Core decides; it neither waits nor speaks to anyone.
const NOT_IN_CORE: [&str; 11] =
    ["async-std", "axum", "hyper", "mio", "redis", "reqwest", "rustls", "smol", "socket2", "sqlx", "tokio"];

/// Every package that goes into one of ours, with the features it has there.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph_of(package: &str) -> Graph {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments =
        ["tree", "--offline", "-e", "normal,build", "--prefix", "none", "-f", "{p}|{f}", "-p", package];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    parse(&String::from_utf8(output.stdout).unwrap())
}

/// Reads lines such as `name v1.0.0 (path)|feature,feature`.
fn parse(tree: &str) -> Graph {
    let mut graph = Graph::new();
    for line in tree.lines() {
        let Some((package, features)) = line.split_once('|') else { continue };
        let name = package.split_whitespace().next().unwrap_or_default();
        let features = features.trim_end_matches(" (*)").split(',').filter(|feature| !feature.is_empty());
        graph.entry(name.to_owned()).or_default().extend(features.map(str::to_owned));
    }
    graph
}

fn forbidden_features(process: &str, graph: &Graph) -> Vec<String> {
    let rules = FORBIDDEN.iter().filter(|(of, _, _)| *of == process);
    let mut violations = Vec::new();
    for (_, package, forbidden) in rules {
        let on = graph.get(*package).unwrap_or_else(|| panic!("{process} is built without {package}"));
        let wrong = forbidden.iter().filter(|feature| on.contains(**feature));
        violations.extend(wrong.map(|feature| format!("{process} has {package} with feature {feature}")));
    }
    violations
}

fn input_and_output_in_core(graph: &Graph) -> Vec<String> {
    let wrong = NOT_IN_CORE.iter().filter(|name| graph.contains_key(**name));
    wrong.map(|name| format!("payfleet-core is built with {name}")).collect()
}

#[test]
fn the_producer_cannot_call_a_provider_and_no_service_contains_a_sandbox() {
    for (process, _, _) in FORBIDDEN {
        assert_none(&forbidden_features(process, &graph_of(process)));
    }
}

#[test]
fn core_is_built_without_a_runtime_and_without_input_or_output() {
    let graph = graph_of("payfleet-core");
    assert!(graph.contains_key("serde"), "{graph:?}");
    assert_none(&input_and_output_in_core(&graph));
}

#[test]
fn a_sandbox_in_the_worker_and_a_runtime_in_core_are_refused() {
    let graph =
        parse("payfleet-worker v0.1.0 (here)|\npayfleet-providers v0.1.0 (there)|client,sandbox (*)\n");
    crate::assert_one(&forbidden_features("payfleet-worker", &graph), "sandbox");
    crate::assert_one(&input_and_output_in_core(&parse("tokio v1.0.0|rt\n")), "tokio");
}
