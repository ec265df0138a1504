//! Private servers for `payfleet dev` and for tests: Redis and Postgres as children of this process,
//! on loopback ports of their own, with their data in a folder of their own.
//!
//! Invariants: a child never outlives this process, however it ends (parent-death signal; pid files
//! are swept at the next start for what even that missed). One folder is used by one process at a
//! time (a file lock). Nothing needs root; as root, Postgres runs under another user, as it insists.

pub mod child;
mod owner;
mod ports;
pub mod postgres;
mod programs;
pub mod redis;
pub mod redis_cluster;
pub mod redis_sentinel;
mod sweep;

pub use child::{Child, Launch, Orphaned};
pub use ports::free_port;
pub use postgres::{PostgresOptions, PostgresServer};
pub use redis::{AppendFsync, RedisOptions, RedisServer};
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
pub use rustix::process::Signal;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder a server works in: locked for this process, and removed at the end if it was made
/// for the occasion.
struct Home {
    path: PathBuf,
    _lock: File,
    _temporary: Option<tempfile::TempDir>,
}

impl Home {
    /// `dir`, created if need be, or a temporary folder.
    fn open(dir: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = match dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("payfleet-").tempdir()?),
        };
        let path = match (dir, &temporary) {
            (_, Some(temporary)) => temporary.path().to_owned(),
            (dir, None) => std::path::absolute(dir.unwrap_or(Path::new(".")))?,
        };
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be created", path.display()))?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock, _temporary: temporary })
    }
}

/// Locks a folder for this process, so that nobody sweeps away servers that are in use. The lock
/// ends with the returned file, or with the process.
///
/// # Errors
/// Another process holds it.
pub fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.try_lock().map_err(|_| {
        anyhow::anyhow!(
            "{} is in use by another process: stop that one first, or use another folder",
            dir.display()
        )
    })?;
    Ok(file)
}
