//! The worker as a process of its own: this same program with a hidden command. It waits for a line
//! before it starts, says a line when it has seen all its jobs, and reports when it is asked.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context;
use payfleet_tests::measure::kernel::{cpu_ns, peak_rss_mib};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::engine::Engine;
use crate::seen::{Act, Report, Seen};

/// What a worker is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Orders {
    /// Which queue.
    #[arg(long, value_enum)]
    pub(crate) engine: Engine,
    /// Where.
    #[arg(long)]
    pub(crate) url: String,
    /// Jobs at a time.
    #[arg(long, default_value_t = 500)]
    pub(crate) concurrency: usize,
    /// What a job does.
    #[arg(long, value_enum, default_value = "nothing")]
    pub(crate) act: Act,
    /// After how many jobs to say so.
    #[arg(long)]
    pub(crate) expected: u64,
    /// Remember each job.
    #[arg(long)]
    pub(crate) track: bool,
}

impl Orders {
    pub(crate) fn new(engine: Engine, url: &str, expected: u64) -> Self {
        let url = url.to_owned();
        Self { engine, url, concurrency: 500, act: Act::Nothing, expected, track: false }
    }
}

/// The child's side.
pub(crate) async fn obey(orders: Orders) -> anyhow::Result<()> {
    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    let seen = Arc::new(Seen::new(orders.act, orders.expected, orders.track));
    println!("ready");
    asked.next_line().await?.context("told to start")?;
    let all = Arc::clone(&seen);
    payfleet_process::spawn("says when all is seen", async move {
        all.all().await;
        println!("all");
    });
    let worker = orders.engine.work(&orders.url, orders.concurrency, Arc::clone(&seen));
    tokio::pin!(worker);
    loop {
        tokio::select! {
            ended = &mut worker => {
                // What apalis-redis does when Redis is gone: the parent finds out by the silence.
                ended.context("the worker ended by itself")?;
                anyhow::bail!("the worker ended by itself");
            }
            line = asked.next_line() => match line? {
                Some(_) => println!("{}", serde_json::to_string(&seen.report())?),
                None => return Ok(()),
            },
        }
    }
}

/// The parent's side. Killed when dropped.
pub(crate) struct Worker {
    child: Child,
    pid: u32,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Launches it and waits until it is there; it does nothing yet.
    pub(crate) async fn launch(orders: &Orders) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("work").args(["--url", &orders.url]);
        command.args(["--engine", &value(orders.engine), "--act", &value(orders.act)]);
        command.args(["--concurrency", &orders.concurrency.to_string()]);
        command.args(["--expected", &orders.expected.to_string()]);
        if orders.track {
            command.arg("--track");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let pid = child.id().context("it has just started")?;
        let stdin = child.stdin.take().context("its input")?;
        let stdout = child.stdout.take().context("its output")?;
        let mut worker = Self { child, pid, orders: stdin, lines: BufReader::new(stdout).lines() };
        worker.line().await?;
        Ok(worker)
    }

    /// Lets it work.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        Ok(self.orders.write_all(b"start\n").await?)
    }

    /// Returns when it has seen all its jobs.
    pub(crate) async fn all(&mut self) -> anyhow::Result<()> {
        self.line().await.map(|_| ())
    }

    /// What it has seen. Not while [`Self::all`] is still to come.
    pub(crate) async fn report(&mut self) -> anyhow::Result<Report> {
        self.orders.write_all(b"report\n").await?;
        loop {
            let line = self.line().await?;
            if line.starts_with('{') {
                return Ok(serde_json::from_str(&line)?);
            }
        }
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        self.lines.next_line().await?.context("the worker ended")
    }

    pub(crate) fn cpu_ns(&self) -> u64 {
        cpu_ns(self.pid)
    }

    pub(crate) fn peak_rss_mib(&self) -> f64 {
        peak_rss_mib(self.pid)
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

fn value<T: clap::ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
