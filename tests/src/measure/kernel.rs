//! What the kernel says of a process, and of this machine.

use std::path::PathBuf;

/// CPU time that a process has used, nanoseconds, by all its threads that still run.
pub fn cpu_ns(pid: u32) -> u64 {
    let threads = std::fs::read_dir(PathBuf::from(format!("/proc/{pid}/task"))).into_iter().flatten();
    let of = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(of).sum()
}

/// The most memory a process has had resident, MiB.
pub fn peak_rss_mib(pid: u32) -> f64 {
    status_kib(&format!("/proc/{pid}/status"), "VmHWM:") / 1024.0
}

fn status_kib(file: &str, field: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0)
}

/// Processor and memory in words, and how busy others kept them: noise is part of a result.
pub fn machine() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let gib = status_kib("/proc/meminfo", "MemTotal:") / 1024.0 / 1024.0;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores ({model}) and {gib:.0} GiB of memory (load average {load} before the run)")
}
