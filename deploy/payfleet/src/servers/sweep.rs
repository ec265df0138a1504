//! Pid files, and the end of processes that a run before this one left behind.
//!
//! A pid alone is no identity: it is used again. A process is known by its pid, the moment it
//! started, and the boot it belongs to; only one that matches all three is ended.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(20);

/// Remembers that `pid` is ours. One that has ended already needs no sweeping.
pub(super) fn write(file: &Path, pid: Pid) -> anyhow::Result<()> {
    let Some(identity) = identity(pid.as_raw_nonzero().get()) else { return Ok(()) };
    fs::write(file, identity).with_context(|| format!("{} cannot be written", file.display()))
}

/// Removes the pid file of a process that has ended, unless its successor has written its own.
pub(super) fn forget(file: &Path, pid: Pid) {
    let prefix = format!("{} ", pid.as_raw_nonzero());
    if fs::read_to_string(file).is_ok_and(|remembered| remembered.starts_with(&prefix)) {
        // One that stays names a process that does not run: the next sweep sees that.
        let _ = fs::remove_file(file);
    }
}

/// Ends the process that `file` remembers, if it still runs: `gently` first, SIGKILL after 5 s.
pub(super) async fn sweep(file: &Path, gently: Signal) -> anyhow::Result<()> {
    let Ok(remembered) = fs::read_to_string(file) else { return Ok(()) };
    let raw = remembered.split(' ').next().and_then(|pid| pid.parse::<i32>().ok());
    let still_runs = || raw.and_then(identity).is_some_and(|identity| identity == remembered);
    if let Some(pid) = raw.and_then(Pid::from_raw).filter(|_| still_runs()) {
        tracing::warn!(process.pid = raw, "Ending a process that an earlier run left behind.");
        for signal in [gently, Signal::KILL] {
            if still_runs() {
                kill_process(pid, signal)?;
            }
            for _ in 0..250 {
                if !still_runs() {
                    break;
                }
                tokio::time::sleep(POLL).await;
            }
        }
        anyhow::ensure!(!still_runs(), "process {pid:?} of an earlier run does not end");
    }
    fs::remove_file(file).with_context(|| format!("{} cannot be removed", file.display()))
}

/// `PID STARTED BOOT` of a process that runs; a zombie does not.
fn identity(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces; what follows the last one does not.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?;
    let started = fields.nth(18)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    (!matches!(state, "Z" | "X")).then(|| format!("{pid} {started} {}", boot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_more_than_its_pid() {
        let own = identity(std::process::id().cast_signed()).unwrap();
        assert_eq!(own.split(' ').count(), 3, "{own}");
        assert_eq!(identity(i32::MAX), None);
    }

    #[tokio::test]
    async fn a_pid_that_now_belongs_to_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pid");
        let own = identity(std::process::id().cast_signed()).unwrap();
        let (pid, _) = own.split_once(' ').unwrap();
        fs::write(&file, format!("{pid} 1 another-boot")).unwrap();
        sweep(&file, Signal::KILL).await.unwrap();
        assert!(!file.exists(), "and we are still here to see it");
    }
}
