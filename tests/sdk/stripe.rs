//! Stripe's own libraries against our sandbox of Stripe.

use std::sync::Arc;
use std::time::Duration;

use payfleet_process::SystemClock;
use payfleet_providers::sandbox::{self, Options, Sandbox};
use tokio::process::Command;

use crate::install::{here, installed};

/// No script takes as long.
const LONGEST: Duration = Duration::from_secs(120);

async fn sandbox() -> (Sandbox, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path().to_owned(), Arc::new(SystemClock));
    options.api_key = "sk_test_sandbox".into();
    (sandbox::start_stripe(options).await.unwrap(), dir)
}

async fn passes(mut script: Command) {
    let (sandbox, _dir) = sandbox().await;
    script.env("SANDBOX_PORT", sandbox.addr().port().to_string()).kill_on_drop(true);
    let output = tokio::time::timeout(LONGEST, script.output()).await.expect("it ends").unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("all as Stripe does it"), "it ended before its end: {said}");
}

#[tokio::test]
async fn stripes_library_for_node_takes_our_sandbox_for_stripe() {
    let Some(library) = installed("node") else { return };
    // A module finds its libraries beside itself.
    std::fs::copy(here().join("stripe.mjs"), library.join("stripe.mjs")).unwrap();
    let mut script = Command::new("node");
    script.arg(library.join("stripe.mjs"));
    passes(script).await;
}

#[tokio::test]
async fn stripes_library_for_python_takes_our_sandbox_for_stripe() {
    let Some(library) = installed("python") else { return };
    let mut script = Command::new(library.join("venv/bin/python"));
    script.arg(here().join("stripe_sandbox.py"));
    passes(script).await;
}
