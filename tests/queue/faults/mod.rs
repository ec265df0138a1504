//! Faults that the queue survives: crashed workers, a Redis that is killed, stalls, runs out of memory
//! or disk, forgets its scripts, and a network that breaks in every way.
//!
//! A test here plants a fault, proves that it happened, and accounts for every job afterwards: the
//! accepted ids are those that are done and those that are dead, and none was settled twice. Workers are
//! processes of their own. The numbers are the rows of the project's list of faults. Long variants run
//! with `PAYFLEET_FULL=1` (`make test-full`).

mod account;
mod backlog;
mod cable;
mod clocks;
mod crashes;
mod lost_replies;
mod network;
mod process;
mod records;
mod refusals;
mod restarts;
mod rolling;
mod scripts;
mod stalls;

/// Whether the long variants are asked for.
fn is_full() -> bool {
    std::env::var_os("PAYFLEET_FULL").is_some_and(|value| value == "1")
}
