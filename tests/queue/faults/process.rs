//! A worker process under the test's control.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use payfleet_core::JobId;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::world::World;

/// No wait of these tests is longer, unless something hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

const WORKER: &str = env!("CARGO_BIN_EXE_queue-worker");
/// All kinds that it has handlers for.
const ALL: &str = "done,hold,retry-once,die,abort";

/// What a handler said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Begins(JobId),
    Ends(JobId),
}

/// A worker process on a world's queue. It is killed when this is dropped.
pub(super) struct WorkerProcess {
    child: Child,
    stdin: ChildStdin,
    hears: mpsc::UnboundedReceiver<Said>,
    /// Everything it was heard saying so far.
    pub(super) said: Vec<Said>,
}

impl WorkerProcess {
    /// Starts a worker that reaches Redis at `url` and knows all kinds.
    pub(super) fn start(world: &World, url: &str, concurrency: usize) -> Self {
        Self::start_knowing(ALL, world, url, concurrency)
    }

    /// Starts a worker that knows these kinds.
    pub(super) fn start_knowing(kinds: &str, world: &World, url: &str, concurrency: usize) -> Self {
        Self::launch(Command::new(WORKER), kinds, world, url, concurrency)
    }

    /// Starts a worker that knows all kinds in a network namespace.
    pub(super) fn start_in(network: &str, world: &World, url: &str, concurrency: usize) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", network, WORKER]);
        Self::launch(command, ALL, world, url, concurrency)
    }

    fn launch(mut command: Command, kinds: &str, world: &World, url: &str, concurrency: usize) -> Self {
        let config = world.queue.config();
        command
            .args([url, &config.prefix, world.name.as_str(), "child"])
            .arg(concurrency.to_string())
            .arg(config.lease.as_millis().to_string())
            .arg(kinds)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let (heard, hears) = mpsc::unbounded_channel();
        payfleet_process::spawn("listener", listen(child.stdout.take().unwrap(), heard));
        Self { child, stdin, hears, said: Vec::new() }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The next thing it says; `None` once it has ended.
    async fn next(&mut self) -> Option<Said> {
        let said = self.hears.recv().await?;
        self.said.push(said);
        Some(said)
    }

    /// Listens until it has said all of this.
    pub(super) async fn until_said(&mut self, all: &[Said]) {
        let listen = async {
            while !all.iter().all(|one| self.said.contains(one)) {
                assert!(self.next().await.is_some(), "the worker process ended");
            }
        };
        if tokio::time::timeout(PATIENCE, listen).await.is_err() {
            panic!("the worker process never said {all:?}");
        }
    }

    /// Lets jobs that wait go on.
    pub(super) async fn go(&mut self) {
        self.stdin.write_all(b"go\n").await.unwrap();
    }

    /// Listens until it ends by itself.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let end = async {
            while self.next().await.is_some() {}
            self.child.wait().await.unwrap()
        };
        tokio::time::timeout(PATIENCE, end).await.expect("the worker process ends")
    }

    /// Stops it as a service would; it must have run all the time and end well.
    pub(super) async fn stop(mut self) -> Vec<Said> {
        assert!(self.child.try_wait().unwrap().is_none(), "the worker process must outlive the fault");
        self.stdin.write_all(b"stop\n").await.unwrap();
        let status = self.ended().await;
        assert!(status.success(), "{status}");
        self.said
    }
}

/// How often a worker has begun with this job.
pub(super) fn times_begun(said: &[Said], id: JobId) -> usize {
    said.iter().filter(|said| **said == Said::Begins(id)).count()
}

/// Listens all the time, so that a worker never waits for someone to hear it.
async fn listen(stdout: ChildStdout, heard: mpsc::UnboundedSender<Said>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = line.split(' ');
        let (what, id) = (words.next(), words.next().and_then(|id| id.parse().ok()));
        let said = match (what, id) {
            (Some("begin"), Some(id)) => Said::Begins(id),
            (Some("end"), Some(id)) => Said::Ends(id),
            _ => panic!("the worker process said {line:?}"),
        };
        if heard.send(said).is_err() {
            return;
        }
    }
}
