//! What the processes of a World were doing when it never came to rest: their last lines and what each
//! of their threads waits for, so that a hang that happens once in a hundred runs is not seen in vain.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// How many lines of each log are shown.
const LINES: usize = 40;

/// The processes that were started, ended ones among them.
#[derive(Debug, Default)]
pub(super) struct Processes {
    seen: Mutex<Vec<(u32, PathBuf)>>,
}

impl Processes {
    pub(super) fn add(&self, pid: u32, log: PathBuf) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((pid, log));
    }

    /// One paragraph a process that is still there.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (pid, log) in self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // The folder of a process that was dropped is gone.
            let Ok(log) = std::fs::read_to_string(log) else { continue };
            let _ = writeln!(text, "\nprocess {pid}:\n{}", threads(*pid));
            let lines: Vec<&str> = log.lines().collect();
            for line in lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default() {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }
}

/// Name, state and place in the kernel of each thread.
fn threads(pid: u32) -> String {
    let read = |task: &std::path::Path, what: &str| {
        std::fs::read_to_string(task.join(what)).unwrap_or_default().trim().to_owned()
    };
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return "  it has ended".to_owned();
    };
    let lines = tasks.flatten().map(|task| {
        let task = task.path();
        let stat = read(&task, "stat");
        let state = stat.rsplit(')').next().unwrap_or_default().trim().chars().next().unwrap_or('?');
        format!("  {} {state} {} {}", read(&task, "comm"), read(&task, "wchan"), read(&task, "syscall"))
    });
    lines.collect::<Vec<_>>().join("\n")
}
