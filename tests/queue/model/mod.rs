//! The queue against a model of its contract: random operations of several workers, of operators and
//! of the clock, crashes in between, on the real scripts and a real Redis; every answer is compared,
//! and a sequence that fails is shrunk to the shortest that does.
//!
//! `PAYFLEET_CASES` says how many sequences are tried.

mod oracle;
mod real;
mod steps;

use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use real::Real;
use steps::Plan;

const CASES: u32 = 300;
const STEPS: std::ops::Range<usize> = 1..60;

fn cases() -> u32 {
    let asked = std::env::var("PAYFLEET_CASES").ok();
    asked.map_or(CASES, |cases| cases.parse().expect("PAYFLEET_CASES is a number"))
}

fn run<const ROLLING: bool>(cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_global_rejects: u32::MAX,
        max_local_rejects: u32::MAX,
        ..Config::default()
    };
    let sequences = Plan::sequential_strategy(STEPS);
    let run = TestRunner::new(config.clone()).run(&sequences, |(sketch, steps, seen)| {
        Real::<ROLLING>::test_sequential(config.clone(), sketch, steps, seen);
        Ok(())
    });
    if let Err(failed) = run {
        panic!("{failed}");
    }
}

#[test]
fn whatever_happens_in_whatever_order_the_queue_does_what_its_contract_says() {
    run::<false>(cases());
}

/// The scripts of the first release lie in tests/queue/released. Nothing is released yet: until then they
/// may be copied anew (with keys.lua, which is what keys.rs prepends) when a change of both is meant. From
/// then on a script that must be called otherwise, or keeps its data otherwise, has to be one that the
/// earlier release's processes can work beside.
#[test]
fn processes_of_an_earlier_release_and_of_this_one_work_on_the_same_queue() {
    run::<true>(cases() / 3);
}
