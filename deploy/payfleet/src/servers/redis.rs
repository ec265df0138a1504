//! A private Redis.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use super::child::{Child, Launch};
use super::{Home, Signal, free_port, programs};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_GRACE: Duration = Duration::from_secs(20);

/// When Redis brings its append-only file to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before it answers: nothing acknowledged is ever lost.
    #[default]
    Always,
    /// Every second: a power cut costs up to a second of what was acknowledged.
    EverySec,
}

/// How a private Redis is started. The default is for tests: a temporary folder, a free port, AOF
/// `always`, no eviction.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// Where its data is kept; `None`: a temporary folder, removed at the end.
    pub dir: Option<PathBuf>,
    /// Where it listens; `None`: any free port.
    pub port: Option<u16>,
    /// How durable an acknowledged write is.
    pub appendfsync: AppendFsync,
    /// Further settings as in redis.conf, such as `("maxmemory", "10mb")`; they win over ours.
    pub settings: Vec<(String, String)>,
}

/// A Redis that ends with this process.
pub struct RedisServer {
    child: Child,
    launch: Launch,
    port: u16,
    // After the child: the folder goes when nobody uses it any more.
    home: Home,
}

impl RedisServer {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, the folder is in use, or it does not come up: with its last words.
    pub async fn start(options: RedisOptions) -> anyhow::Result<Self> {
        let home = Home::open(options.dir.as_deref())?;
        let program = programs::redis_server()?;
        let mut clashes = 0;
        loop {
            let port = options.port.map_or_else(free_port, Ok)?;
            let args = arguments(&home.path, port, &options);
            let launch = Launch::new("redis", &program, &home.path).args(args);
            // Only this start is to be searched for its last words.
            let _ = std::fs::remove_file(launch.log());
            let child = launch.spawn().await?;
            match until_ready(&child, port).await {
                Ok(()) => return Ok(Self { child, launch, port, home }),
                Err(_) if options.port.is_none() && clashes < 10 && lost_its_port(&child) => clashes += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// `redis://127.0.0.1:PORT/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The folder with its data and its log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.home.path
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<std::process::ExitStatus> {
        self.child.ended()
    }

    /// Sends it a signal, such as `Signal::STOP`.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// SIGKILL. Its data stays.
    pub async fn kill(&mut self) {
        self.child.stop(Signal::KILL, STOP_GRACE).await;
    }

    /// Starts it again, on the same port and data; one that still runs is stopped first.
    ///
    /// # Errors
    /// It does not come up: with its last words.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.relaunch().await?;
        self.until_ready().await
    }

    /// Starts it again without waiting until it has loaded its data.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn relaunch(&mut self) -> anyhow::Result<()> {
        self.stop().await;
        self.child = self.launch.spawn().await?;
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It does not come up: with its last words.
    pub async fn until_ready(&self) -> anyhow::Result<()> {
        until_ready(&self.child, self.port).await
    }

    /// Lets it end cleanly.
    pub async fn stop(&mut self) {
        self.child.stop(Signal::TERM, STOP_GRACE).await;
    }
}

fn arguments(home: &Path, port: u16, options: &RedisOptions) -> Vec<String> {
    let port = port.to_string();
    let dir = home.to_string_lossy();
    let fsync = match options.appendfsync {
        AppendFsync::Always => "always",
        AppendFsync::EverySec => "everysec",
    };
    let ours = [
        ("port", port.as_str()),
        ("bind", "127.0.0.1"),
        ("dir", &dir),
        ("daemonize", "no"),
        ("save", ""),
        ("appendonly", "yes"),
        ("appendfsync", fsync),
        ("maxmemory-policy", "noeviction"),
        ("enable-debug-command", "local"),
    ];
    let theirs = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ours.into_iter().chain(theirs).flat_map(|(name, value)| [format!("--{name}"), value.to_owned()]).collect()
}

fn lost_its_port(child: &Child) -> bool {
    child.ended().is_some() && child.last_words().contains("Address already in use")
}

async fn until_ready(child: &Child, port: u16) -> anyhow::Result<()> {
    let ready = async {
        while !answers(port).await {
            anyhow::ensure!(child.ended().is_none(), "redis-server did not start:\n{}", child.last_words());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    let in_time = tokio::time::timeout(START_TIMEOUT, ready).await;
    in_time.with_context(|| format!("redis-server is not ready after 30 s:\n{}", child.last_words()))?
}

/// Whether it answers PING; while it loads its data it does not.
async fn answers(port: u16) -> bool {
    ask(port, "PING").await.is_ok_and(|answer| answer == "+PONG")
}

/// Sends one command without odd characters and returns the reply as it comes over the wire, an
/// array as lines, an error as `-ERR ...`.
pub(super) async fn ask(port: u16, command: &str) -> anyhow::Result<String> {
    let ask = async {
        let mut stream = BufStream::new(TcpStream::connect(("127.0.0.1", port)).await?);
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        stream.flush().await?;
        let mut reply = String::new();
        let mut lines = 1_usize;
        while lines > 0 {
            let mut line = String::new();
            anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the connection ended");
            let length = || line.trim_end().get(1..).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
            lines = lines.saturating_sub(1);
            match line.as_bytes().first() {
                Some(b'*') => lines = lines.saturating_add(length()),
                Some(b'$') => {
                    let mut text = vec![0; length().saturating_add(2)];
                    stream.read_exact(&mut text).await?;
                    line.push_str(&String::from_utf8_lossy(&text));
                }
                _ => {}
            }
            reply.push_str(&line);
        }
        Ok(reply.replace("\r\n", "\n").trim_end().to_owned())
    };
    tokio::time::timeout(Duration::from_secs(1), ask).await.context("it did not answer in 1 s")?
}
