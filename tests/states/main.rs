//! Writes the state diagrams of payout and mint from the code that moves them, and fails when the
//! committed ones in docs/states differ: a diagram that can rot is worse than none.
//! `UPDATE_DOCS=1 cargo test -p payfleet-tests --test states` renews them.

mod events;
mod page;
mod pairs;
mod sequences;

use std::collections::BTreeSet;
use std::path::Path;

use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::State;

use crate::pairs::{Pair, Step};

#[test]
fn the_committed_state_diagrams_are_what_the_code_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/states");
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    for kind in OperationKind::ALL {
        let page = page::render(kind);
        let path = folder.join(format!("{}.md", kind.as_str()));
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == page,
            "docs/states/{}.md is not what the code does; look at the change, then \
             run UPDATE_DOCS=1 cargo test -p payfleet-tests --test states",
            kind.as_str()
        );
    }
}

#[test]
fn every_state_and_every_event_appears_on_every_page() {
    for kind in OperationKind::ALL {
        let page = page::render(kind);
        for state in pairs::states_of(kind) {
            assert!(page.contains(&format!("## {}\n", state.name())), "{kind:?} {}", state.name());
        }
        for name in events::NAMES {
            assert!(page.contains(&format!("`{name}`")), "{kind:?} {name}");
        }
    }
}

#[test]
fn every_state_is_in_the_list_of_names() {
    assert_eq!(pairs::states().iter().map(State::name).collect::<Vec<_>>(), State::NAMES);
}

#[test]
fn every_kind_of_event_is_tried_in_every_state() {
    let pairs = pairs::all(OperationKind::Payout);
    for state in pairs::states() {
        let of_state = pairs.iter().filter(|pair| pair.state == state.name());
        let tried: BTreeSet<&str> = of_state.map(|pair| pair.event).collect();
        assert_eq!(tried, BTreeSet::from(events::NAMES), "{}", state.name());
    }
}

#[test]
fn every_state_is_some_kinds_and_only_what_is_compared_or_returned_is_not_everyones() {
    let everyones: BTreeSet<&str> = OperationKind::ALL
        .into_iter()
        .map(|kind| pairs::states_of(kind).iter().map(State::name).collect::<BTreeSet<_>>())
        .reduce(|some, others| &some & &others)
        .unwrap();
    let some: BTreeSet<&str> =
        OperationKind::ALL.into_iter().flat_map(pairs::states_of).map(|state| state.name()).collect();
    assert_eq!(some, pairs::states().iter().map(State::name).collect());
    assert_eq!(&some - &everyones, BTreeSet::from(["quarantined", "returned"]));
}

#[test]
fn nothing_but_a_return_or_a_persons_word_leaves_a_final_state_and_some_edge_leaves_every_other() {
    for kind in OperationKind::ALL {
        let edges = pairs::edges(&pairs::all(kind));
        for state in pairs::states_of(kind) {
            let leaves = edges
                .keys()
                .any(|(from, to)| *from == state.name() && *to != "returned" && !is_by_hand(from, to));
            assert_eq!(leaves, !state.is_final(), "{kind:?} {}", state.name());
        }
    }
}

/// An order that has ended can be confirmed by hand: a person knows more.
fn is_by_hand(from: &str, to: &str) -> bool {
    (from, to) == ("failed", "settled")
}

#[test]
fn a_changed_answer_changes_the_page() {
    let pairs = pairs::all(OperationKind::Payout);
    let mut changed: Vec<Pair> = pairs.clone();
    let legal = changed.iter_mut().find(|pair| pair.step != Step::Illegal).unwrap();
    legal.step = Step::Illegal;
    assert_ne!(
        page::of_pairs(OperationKind::Payout, &pairs),
        page::of_pairs(OperationKind::Payout, &changed)
    );
}
