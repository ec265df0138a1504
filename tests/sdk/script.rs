//! Running a script of another language to its end.

use std::time::Duration;

use payfleet_providers::sandbox::Sandbox;
use tokio::process::Command;

use crate::install::{here, installed};

/// No script takes as long.
const LONGEST: Duration = Duration::from_secs(300);

/// `name` in Node, beside its libraries; `None` where there are none.
pub(crate) fn in_node(name: &str) -> Option<Command> {
    let library = installed("node")?;
    // A module finds its libraries beside itself. Tests that run together write the same.
    let beside = library.join(name);
    if std::fs::read(&beside).ok() != std::fs::read(here().join(name)).ok() {
        let me = (std::process::id(), std::thread::current().id());
        let new = library.join(format!("{name}.{me:?}"));
        std::fs::copy(here().join(name), &new).unwrap();
        std::fs::rename(new, &beside).unwrap();
    }
    let mut script = Command::new("node");
    script.arg(beside).kill_on_drop(true);
    Some(script)
}

/// What `script` prints. It must end well.
pub(crate) async fn said(script: &mut Command) -> String {
    let output = tokio::time::timeout(LONGEST, script.output()).await.expect("it ends").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}{errors}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// `script` against `sandbox`: it must come to its end, where it says `passed`.
pub(crate) async fn passes(mut script: Command, sandbox: &Sandbox, passed: &str) {
    script.env("SANDBOX_PORT", sandbox.addr().port().to_string()).kill_on_drop(true);
    let said = said(&mut script).await;
    assert!(said.contains(passed), "it ended before its end: {said}");
}
