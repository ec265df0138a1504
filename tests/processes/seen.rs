//! Processes as the kernel shows them.

/// Whether a process runs; a zombie that waits for its parent does not.
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !matches!(stat.rsplit_once(") ").unwrap().1.as_bytes()[0], b'Z' | b'X'))
}

/// Waits for the end of a process that is not our child.
pub(crate) async fn until_gone(pid: u32) {
    let gone = async {
        while runs(pid) {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, gone).await.unwrap_or_else(|_| panic!("process {pid} still runs"));
}
