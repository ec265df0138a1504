//! The kill matrix: every kind that the executor runs, at every point at which a worker can die, three
//! ways: it dies there; the job is delivered again while the first worker still holds it there; the
//! client repeats its request meanwhile. And for every kind two workers on one operation, webhooks early,
//! late, twice, backwards and contradictory, and cancellations that come too late. For the two kinds of jobs
//! that no executor runs: their worker dies at every point.
//!
//! `cargo test -p payfleet-tests --test matrix` lists each cell by name; any part of a name runs a part.
//! Each kind has a World of its own, in which its cells take turns; kinds run side by side.

mod cells;
mod jobs;
mod rows;
mod stage;
mod verdict;

use std::sync::{Arc, LazyLock};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use payfleet_core::kinds::OperationKind;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::cells::Cell;
use crate::jobs::Death;
use crate::rows::Row;
use crate::stage::Stage;

/// How many kinds run side by side: mostly they wait for a lease to end.
const AT_ONCE: usize = 10;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// The World of a row, once one of its cells has run.
type Shared = Arc<Mutex<Option<Stage>>>;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let rows: Vec<(Row, Shared)> = Row::ALL.into_iter().map(|row| (row, Shared::default())).collect();
    let mut trials = vec![Trial::test("every_kind_has_a_row", every_kind_has_a_row)];
    // One cell of each row after the other, so that those that run side by side are of different rows.
    for cell in Cell::all() {
        let of_cell = rows.iter().filter(|(row, _)| cell.is_of(*row));
        trials.extend(of_cell.map(|(row, shared)| trial(*row, cell, Arc::clone(shared))));
    }
    trials.extend(Death::all().into_iter().map(|death| {
        let run = move || {
            RUNTIME.block_on(death.run());
            Ok(())
        };
        Trial::test(death.name(), run)
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    let kept = rows.iter().filter(|(_, shared)| !is_kept(shared)).count();
    if kept > 0 {
        eprintln!("{kept} kinds did not keep the promise when all their cells had run; see above");
        std::process::exit(101);
    }
    Conclusion::exit(&conclusion);
}

fn trial(row: Row, cell: Cell, shared: Shared) -> Trial {
    Trial::test(format!("{}::{}", row.name(), cell.name()), move || {
        RUNTIME.block_on(async {
            let mut shared = shared.lock().await;
            // A cell that fails takes its World with it, and the next one begins anew.
            let mut stage = match shared.take() {
                Some(stage) => stage,
                None => Stage::set(row).await,
            };
            cell.run(&mut stage).await;
            *shared = Some(stage);
        });
        Ok(())
    })
}

/// The World of a row as a whole, when all its cells have run.
fn is_kept(shared: &Shared) -> bool {
    let Some(stage) = RUNTIME.block_on(shared.lock()).take() else { return true };
    let finishing = std::panic::AssertUnwindSafe(|| RUNTIME.block_on(stage.finish()));
    std::panic::catch_unwind(finishing).is_ok()
}

/// [`Row::of`] does not compile without a word on a new kind, destination, splitter or change; here each
/// kind that calls a provider shows that it has a row.
fn every_kind_has_a_row() -> Result<(), Failed> {
    let without: Vec<&str> = OperationKind::ALL
        .into_iter()
        .filter(|kind| *kind != OperationKind::PayoutSchedule)
        .filter(|kind| !Row::ALL.iter().any(|row| row.kind() == *kind))
        .map(OperationKind::as_str)
        .collect();
    if without.is_empty() { Ok(()) } else { Err(format!("no row runs {without:?}").into()) }
}
