//! The binaries of the workspace, built as they are needed, so that a test of processes never runs an
//! old one.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// The path of `payfleet`, `payfleet-producer` or `payfleet-worker`, in the profile of this test.
pub fn binary(name: &str) -> PathBuf {
    BUILT.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    let exe = std::env::current_exe().expect("a test binary has a path");
    let folder = exe.parent().expect("target/PROFILE or target/PROFILE/deps");
    if !folder.ends_with("deps") {
        // A benchmark: built with them, by one command.
        return folder.to_owned();
    }
    let profile = folder.parent().expect("target/PROFILE").to_owned();
    let packages = ["payfleet", "payfleet-producer", "payfleet-worker"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg("build").arg("--quiet").args(packages.iter().flat_map(|name| ["--package", name]));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "the binaries cannot be built");
    profile
}
