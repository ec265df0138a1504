//! The worker's binary: its settings, its help, and several of them on one queue.

use std::process::Command;

use payfleet_tests::binaries::binary;
use payfleet_tests::world::{Setup, World};

fn worker(environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(binary("payfleet-worker"))
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the worker runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_mistake_in_its_settings_is_named_at_once_and_no_secret_is_repeated() {
    let (code, said) = worker(&[
        ("REDIS_URL", "http://not-redis"),
        ("DATABASE_URL", "mysql://user:hunter2@host/db"),
        ("CONCURRENCY", "many"),
        ("LEASE_MS", "10"),
        ("HELEKET_PROJECT_URL", "https://api.heleket.com"),
        ("TROVOTECH_TIMEOUT_MS", "100000"),
    ]);
    assert_eq!(code, Some(2), "{said}");
    for name in [
        "REDIS_URL",
        "DATABASE_URL",
        "CONCURRENCY",
        "LEASE_MS",
        "HELEKET_MERCHANT_ID",
        "HELEKET_API_KEY",
        "TROVOTECH_TIMEOUT_MS",
    ] {
        assert!(said.contains(name), "{name} is not named in: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn without_any_settings_it_says_which_it_needs() {
    let (code, said) = worker(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("REDIS_URL") && said.contains("DATABASE_URL"), "{said}");
}

#[test]
fn its_help_lists_every_variable_it_reads() {
    let output = Command::new(binary("payfleet-worker")).arg("--help").output().expect("the worker runs");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success());
    for name in
        ["REDIS_URL", "DATABASE_URL", "CONCURRENCY", "HELEKET_API_KEY", "BANTU_EXPANSION_URL", "Examples:"]
    {
        assert!(help.contains(name), "{name} is not in the help");
    }
}

#[tokio::test]
async fn three_workers_started_by_hand_share_the_work() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    for index in 0..60 {
        world.api.payout(&format!("order-{index}"), "1.25").await.accepted();
    }
    let names = ["first", "second", "third"];
    let mut workers = Vec::new();
    for name in names {
        workers.push(world.worker_process(name).await);
    }
    world.run_until_idle().await;
    let shares = world.claims_by_worker().await;
    for name in names {
        assert!(shares.get(name).is_some_and(|claims| *claims > 0), "{name} did nothing: {shares:?}");
    }
    for worker in &workers {
        assert!(worker.stop().await.success(), "{}", worker.last_words());
    }
    world.finish().await;
}
