//! Where the servers' programs are installed, and what to type where they are not.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The full path of `name`, looked for on PATH.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// `redis-server`.
pub(super) fn redis_server() -> anyhow::Result<PathBuf> {
    on_path("redis-server").context("redis-server was not found; install it: apt-get install redis-server")
}

/// The folder that holds `postgres` and `initdb`: on PATH, or where Debian puts them. Data that
/// exists already says which major version it needs.
pub(super) fn postgres_bin(needed_version: Option<&str>) -> anyhow::Result<PathBuf> {
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, dir)| is_complete(dir))
        .collect();
    installed.sort();
    let needed = needed_version.and_then(|version| version.trim().parse::<u32>().ok());
    if let Some((_, dir)) = installed.iter().find(|(version, _)| Some(*version) == needed) {
        return Ok(dir.clone());
    }
    on_path("postgres")
        .and_then(|file| Some(file.parent()?.to_owned()))
        .filter(|dir| is_complete(dir))
        .or_else(|| installed.pop().map(|(_, dir)| dir))
        .context("postgres and initdb were not found; install them: apt-get install postgresql")
}

fn is_complete(dir: &Path) -> bool {
    dir.join("postgres").is_file() && dir.join("initdb").is_file()
}
