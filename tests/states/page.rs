//! One page of docs/states as Markdown: a diagram, a table of all pairs, and each state in detail.

use std::fmt::Write;

use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::State;

use crate::events::NAMES;
use crate::pairs::{self, Pair, Step};

const UNCHANGED: &str = "·";

const LEGEND: &str = "In the tables below, *pending*, *succeeded*, *failed* and *unknown status* are what the \
    provider says about the operation, and *error* with its class is a call that brought no such answer. Where an \
    event speaks of an intent, it is the open one unless the table says *another intent*. A row without a case \
    holds for all of them.\n";

/// The page of `kind`, from the code.
pub(crate) fn render(kind: OperationKind) -> String {
    of_pairs(kind, &pairs::all(kind))
}

/// The page of `kind`, from pairs.
pub(crate) fn of_pairs(kind: OperationKind, pairs: &[Pair]) -> String {
    let mut page = format!(
        "# States of a {kind}\n\n\
         Generated from `jobs/core/src/kinds/lifecycle/apply.rs`; do not edit. `UPDATE_DOCS=1 cargo test -p \
         payfleet-tests --test states` renews it.\n\n",
        kind = kind.as_str()
    );
    let states = pairs::states_of(kind);
    diagram(&mut page, &states, pairs);
    overview(&mut page, &states, pairs);
    write!(page, "\n{LEGEND}").unwrap();
    for state in states {
        detail(&mut page, kind, &state, pairs);
    }
    page
}

fn diagram(page: &mut String, states: &[State], pairs: &[Pair]) {
    let names: Vec<&str> = states.iter().map(State::name).collect();
    page.push_str("```mermaid\nstateDiagram-v2\n    [*] --> requested\n");
    for ((from, to), events) in pairs::edges(pairs).into_iter().filter(|((from, _), _)| names.contains(from))
    {
        writeln!(page, "    {from} --> {to}: {}", events.join(", ")).unwrap();
    }
    for state in states.iter().filter(|state| state.is_final()) {
        writeln!(page, "    {} --> [*]", state.name()).unwrap();
    }
    page.push_str("```\n\n");
}

fn overview(page: &mut String, states: &[State], pairs: &[Pair]) {
    page.push_str("Where each event can lead from each state (`·`: it stays as it is):\n\n| state |");
    for name in NAMES {
        write!(page, " `{name}` |").unwrap();
    }
    page.push_str("\n|---|");
    page.push_str(&"---|".repeat(NAMES.len()));
    page.push('\n');
    for state in states {
        write!(page, "| **{}** |", state.name()).unwrap();
        for name in NAMES {
            write!(page, " {} |", cell(pairs, state.name(), name)).unwrap();
        }
        page.push('\n');
    }
}

fn cell(pairs: &[Pair], state: &str, event: &str) -> String {
    let mut results: Vec<&str> = Vec::new();
    for pair in pairs.iter().filter(|pair| pair.state == state && pair.event == event) {
        if let Step::Legal { to, .. } = &pair.step {
            let result = to.unwrap_or(UNCHANGED);
            if !results.contains(&result) {
                results.push(result);
            }
        }
    }
    results.sort_by_key(|result| *result == UNCHANGED);
    if results.is_empty() { "illegal".to_owned() } else { results.join(", ") }
}

fn detail(page: &mut String, kind: OperationKind, state: &State, pairs: &[Pair]) {
    let name = state.name();
    writeln!(page, "\n## {name}\n\nPlan: {}.\n", pairs::plan(kind, state)).unwrap();
    page.push_str("| event | case | state afterwards | also |\n|---|---|---|---|\n");
    let mut illegal: Vec<String> = Vec::new();
    for event in NAMES {
        let of_event: Vec<&Pair> =
            pairs.iter().filter(|pair| pair.state == name && pair.event == event).collect();
        if of_event.iter().all(|pair| pair.step == Step::Illegal) {
            illegal.push(format!("`{event}`"));
            continue;
        }
        for group in groups(&of_event) {
            let (to, also) = result(&group[0].step);
            writeln!(page, "| `{event}` | {} | {to} | {also} |", cases(&group, &of_event)).unwrap();
        }
    }
    if !illegal.is_empty() {
        writeln!(page, "\nIllegal here: {}.", illegal.join(", ")).unwrap();
    }
}

fn result(step: &Step) -> (String, String) {
    match step {
        Step::Illegal => ("illegal".to_owned(), String::new()),
        Step::Legal { to: Some(to), also } => (format!("**{to}**"), also.join(", ")),
        Step::Legal { to: None, also } => ("unchanged".to_owned(), also.join(", ")),
    }
}

/// The pairs with the same result together.
fn groups<'a>(pairs: &[&'a Pair]) -> Vec<Vec<&'a Pair>> {
    let mut groups: Vec<Vec<&Pair>> = Vec::new();
    for pair in pairs {
        match groups.iter_mut().find(|group| group[0].step == pair.step) {
            Some(group) => group.push(pair),
            None => groups.push(vec![pair]),
        }
    }
    groups
}

/// Which cases of an event a group holds, in as few words as tell them from `all`.
fn cases(group: &[&Pair], all: &[&Pair]) -> String {
    let whats = |pairs: &[&Pair], another: bool| -> Vec<&'static str> {
        let of_intent = pairs.iter().filter(|pair| pair.when.another_intent == another);
        of_intent.map(|pair| pair.when.what).collect()
    };
    let (open, another) = (whats(group, false), whats(group, true));
    if group.len() == all.len() {
        String::new()
    } else if open == another {
        format!("{}; of any intent", open.join("; "))
    } else if another.is_empty() && open == whats(all, false) {
        "the open intent".to_owned()
    } else if another == whats(all, true) && !another.is_empty() {
        [open, vec!["another intent"]].concat().join("; ")
    } else {
        let another = another.iter().map(|what| format!("{what} (another intent)"));
        open.iter().map(|what| (*what).to_owned()).chain(another).collect::<Vec<_>>().join("; ")
    }
}
