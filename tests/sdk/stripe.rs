//! Stripe's own libraries against our sandbox of Stripe.

use std::sync::Arc;

use payfleet_process::SystemClock;
use payfleet_providers::sandbox::{self, Options, Sandbox};
use tokio::process::Command;

use crate::install::{here, installed};
use crate::script::{in_node, passes};

const PASSED: &str = "all as Stripe does it";

async fn sandbox() -> (Sandbox, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path().to_owned(), Arc::new(SystemClock));
    options.api_key = "sk_test_sandbox".into();
    (sandbox::start_stripe(options).await.unwrap(), dir)
}

#[tokio::test]
async fn stripes_library_for_node_takes_our_sandbox_for_stripe() {
    let Some(script) = in_node("stripe.mjs") else { return };
    let (sandbox, _dir) = sandbox().await;
    passes(script, &sandbox, PASSED).await;
}

#[tokio::test]
async fn stripes_library_for_python_takes_our_sandbox_for_stripe() {
    let Some(library) = installed("python") else { return };
    let (sandbox, _dir) = sandbox().await;
    let mut script = Command::new(library.join("venv/bin/python"));
    script.arg(here().join("stripe_sandbox.py"));
    passes(script, &sandbox, PASSED).await;
}
