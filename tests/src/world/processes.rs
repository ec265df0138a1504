//! Workers and producers: as tasks of this process, or as processes that can be killed.

use payfleet::servers::{Child, Launch, Orphaned, Signal};
use payfleet_process::spawn;
use payfleet_worker::Config;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Providers;
use crate::binaries::binary;

/// How long a worker may take to end: a bound for a hung test.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A worker in this process.
pub struct Worker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    pub(super) fn start(config: Config) -> Self {
        let stop = CancellationToken::new();
        let running = payfleet_worker::run(config, stop.clone());
        let task = spawn("worker", async move { running.await.expect("the worker runs") });
        Self { stop, task }
    }

    /// Stops it as SIGTERM would, and waits.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the worker stops");
    }
}

/// A worker that is a process.
pub struct WorkerProcess {
    child: Child,
    home: tempfile::TempDir,
}

impl WorkerProcess {
    pub(super) async fn start(
        config: &Config,
        providers: &Providers,
        more: &[(&'static str, String)],
    ) -> Self {
        let home = tempfile::tempdir().expect("a folder for the worker");
        let mut environment = providers.environment();
        environment.extend_from_slice(more);
        environment.extend([
            ("REDIS_URL", config.queue.url.clone()),
            ("DATABASE_URL", config.database_url.clone()),
            ("WORKER_NAME", config.name.clone()),
            ("DATABASE_CONNECTIONS", config.database_connections.to_string()),
            ("LEASE_MS", config.queue.lease.as_millis().to_string()),
            ("CONFIRM_INTERVAL_MS", config.confirm_interval.map_or(100, |one| one.as_millis()).to_string()),
            ("RECONCILE_EVERY_MS", "0".to_owned()),
        ]);
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value));
        let launch = Launch::new(&config.name, binary("payfleet-worker"), home.path())
            .only_env(environment.collect())
            .orphaned(Orphaned::Killed);
        let child = launch.spawn().await.expect("the worker starts");
        Self { child, home }
    }

    /// Everything it has logged.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).expect("a log")
    }

    pub(super) fn log_file(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(format!("{name}.log"))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The most memory it has held so far, in MiB.
    pub fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.pid())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(&self) {
        self.child.stop(Signal::KILL, PATIENCE).await;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Asks it to stop and waits for its exit status.
    pub async fn stop(&self) -> std::process::ExitStatus {
        self.child.stop(Signal::TERM, PATIENCE).await.expect("it ends")
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&self) -> std::process::ExitStatus {
        self.child.wait(PATIENCE).await.expect("it ends")
    }

    /// What it said last.
    pub fn last_words(&self) -> String {
        self.child.last_words()
    }
}

/// A producer that is a process.
pub struct ProducerProcess {
    child: Child,
    home: tempfile::TempDir,
}

impl ProducerProcess {
    /// Starts one with these variables and no others.
    pub async fn start(environment: Vec<(&'static str, String)>) -> Self {
        let home = tempfile::tempdir().expect("a folder for the producer");
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value));
        let launch = Launch::new("producer", binary("payfleet-producer"), home.path())
            .only_env(environment.collect())
            .orphaned(Orphaned::Killed);
        let child = launch.spawn().await.expect("the producer starts");
        Self { child, home }
    }

    /// The address it says it listens on, once it does; `None` where it has ended instead.
    pub async fn url(&self) -> Option<String> {
        loop {
            let log = std::fs::read_to_string(self.home.path().join("producer.log")).unwrap_or_default();
            let said = log.lines().find_map(|line| line.strip_prefix("listening on "));
            if let Some(url) = said.filter(|_| log.ends_with('\n')) {
                return Some(url.to_owned());
            }
            if self.child.ended().is_some() {
                return None;
            }
            super::pause().await;
        }
    }

    /// Asks it to stop and waits for its exit status.
    pub async fn stop(&self) -> std::process::ExitStatus {
        self.child.stop(Signal::TERM, PATIENCE).await.expect("it ends")
    }

    /// What it said last.
    pub fn last_words(&self) -> String {
        self.child.last_words()
    }
}
