//! The nine defects of apalis-redis 1.0.0, as nine promises of ours. The same cases run against both
//! in the side-by-side table, docs/versus-apalis-redis.md.

mod cases;
mod ours;
mod stock;
mod watch;

use std::path::Path;

async fn holds(case: &str) {
    let saw = cases::run(cases::Side::Ours, case, Path::new(env!("CARGO_BIN_EXE_versus-apalis-redis"))).await;
    assert!(saw.fine, "{case}: {}", saw.words);
}

#[tokio::test]
async fn a1_ten_thousand_due_jobs_are_all_run() {
    holds("A1").await;
}

#[tokio::test]
async fn a2_a_failing_redis_ends_neither_the_worker_nor_a_running_handler() {
    holds("A2").await;
}

#[tokio::test]
async fn a3_five_requests_under_one_key_are_one_execution() {
    holds("A3").await;
}

#[tokio::test]
async fn a4_jobs_longer_than_a_heartbeat_run_once_with_two_live_workers() {
    holds("A4").await;
}

#[tokio::test]
async fn a5_a_stopped_worker_starts_again_at_once_under_its_name() {
    holds("A5").await;
}

#[tokio::test]
async fn a6_a_job_with_three_attempts_is_tried_three_times_and_is_dead() {
    holds("A6").await;
}

#[tokio::test]
async fn a7_a_job_that_aborts_its_process_is_dead_in_the_end_and_the_good_ones_are_done() {
    holds("A7").await;
}

#[tokio::test]
async fn a8_a_clean_up_takes_nothing_from_a_job_that_waits_for_its_retry() {
    holds("A8").await;
}

#[tokio::test]
async fn a9_a_full_redis_refuses_new_jobs_and_the_waiting_ones_are_done() {
    holds("A9").await;
}

#[tokio::test]
async fn a_case_that_is_not_there_is_no_success() {
    assert!(!cases::run(cases::Side::Stock, "A10", Path::new("")).await.fine);
    assert_eq!(cases::CASES.map(|case| case.name).len(), 9);
}
