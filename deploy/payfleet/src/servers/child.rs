//! A child process that ends with us, whatever ends us.
//!
//! The kernel sends the parent-death signal when the *thread* that forked ends, so every child is
//! forked by one thread that lives as long as the process. The signal is set by `setpriv` after the
//! user was changed: changing the user clears it. Whoever dies before the signal is set has died
//! unseen, so the child looks for its parent once more when it is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

pub use super::owner::Owner;
use super::{programs, sweep};

/// Becomes the program (`$@`), unless the parent (`$0`) was gone before its death could be a signal.
const IF_NOT_ORPHANED: &str = r#"[ "$PPID" = "$0" ] && exec "$@""#;
const POLL: Duration = Duration::from_millis(10);
/// How long the kernel may take to end what was killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A child process that is about to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Option<BTreeMap<String, String>>,
    home: PathBuf,
    owner: Option<Owner>,
    orphaned: Orphaned,
}

/// What becomes of a child when this process dies before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphaned {
    /// It is killed: right for whatever survives a crash without traces.
    Killed,
    /// It is asked to quit at once: Postgres then frees its shared memory.
    Quits,
}

impl Orphaned {
    const fn signal(self) -> (Signal, &'static str) {
        match self {
            Self::Killed => (Signal::KILL, "KILL"),
            Self::Quits => (Signal::QUIT, "QUIT"),
        }
    }
}

impl Launch {
    /// `program`, known as `name`: what it prints goes to `home/name.log`, its pid to `home/name.pid`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, home: &Path) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: None,
            home: home.to_owned(),
            owner: None,
            orphaned: Orphaned::Killed,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Exactly these variables, besides PATH, instead of our own.
    #[must_use]
    pub fn only_env(mut self, env: BTreeMap<String, String>) -> Self {
        self.env = Some(env);
        self
    }

    /// Runs it as another user; only root can.
    #[must_use]
    pub fn owner(mut self, owner: Option<Owner>) -> Self {
        self.owner = owner;
        self
    }

    /// What happens to it when we die first; it is killed unless said otherwise.
    #[must_use]
    pub fn orphaned(mut self, orphaned: Orphaned) -> Self {
        self.orphaned = orphaned;
        self
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }

    /// Starts it, after ending the one that an earlier run may have left behind.
    ///
    /// # Errors
    /// The program cannot be started, or its log or pid file cannot be written.
    pub async fn spawn(&self) -> anyhow::Result<Child> {
        let pid_file = self.home.join(format!("{}.pid", self.name));
        sweep::sweep(&pid_file, self.orphaned.signal().0).await?;
        let spawned = spawner()?.fork(self.command()?).await;
        let process = spawned.with_context(|| format!("{} cannot be started", self.program.display()))?;
        let pid = Pid::from_raw(process.id().cast_signed()).context("a child without a pid")?;
        let child =
            Child { name: self.name.clone(), pid, process: Mutex::new(process), pid_file, log: self.log() };
        sweep::write(&child.pid_file, pid)?;
        Ok(child)
    }

    fn command(&self) -> anyhow::Result<Command> {
        let log = OpenOptions::new().create(true).append(true).open(self.log());
        let log = log.with_context(|| format!("{} cannot be written", self.log().display()))?;
        let mut command = match programs::on_path("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.arg("--pdeathsig").arg(self.orphaned.signal().1);
                command.args(["--", "/bin/sh", "-c", IF_NOT_ORPHANED]).arg(std::process::id().to_string());
                command.arg(&self.program);
                command
            }
            // Without util-linux, the sweep at the next start is what ends orphans.
            None => Command::new(&self.program),
        };
        command.args(&self.args).current_dir("/");
        // A group of its own: Ctrl-C is for us, who stop the children in the right order.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        if let Some(env) = &self.env {
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(env);
        }
        if let Some(Owner { uid, gid }) = self.owner {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }
}

/// A running child. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Child {
    name: String,
    pid: Pid,
    /// Reaped only under this lock, so a signal never reaches somebody else's process.
    process: Mutex<std::process::Child>,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Child {
    /// Its name, as it was launched.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// How it ended, once it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        // Nothing but "not ours any more" can go wrong here, and that is an end too.
        let lost = || Some(ExitStatus::from_raw(-1));
        self.process.lock().unwrap_or_else(PoisonError::into_inner).try_wait().unwrap_or_else(|_| lost())
    }

    /// Sends a signal; does nothing once it has ended.
    pub fn signal(&self, signal: Signal) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(process.try_wait(), Ok(None)) {
            // It may be a zombie by now: nothing is lost.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits until it ends, or until `patience` is over.
    pub async fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        let ended = async {
            loop {
                if let Some(status) = self.ended() {
                    return status;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(patience, ended).await.ok()
    }

    /// Asks it to end with `signal`, and kills it after `grace`. Tells how it ended.
    pub async fn stop(&self, signal: Signal, grace: Duration) -> Option<ExitStatus> {
        self.signal(signal);
        let ended = self.wait(grace).await;
        if ended.is_none() {
            self.signal(Signal::KILL);
            return self.wait(STOP_TIMEOUT).await;
        }
        ended
    }

    /// The last lines it printed, for error messages.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(8)..).unwrap_or_default();
        format!("{}\n  (all of it: {})", last.join("\n"), self.log.display())
    }

    /// Ends and reaps it from a destructor: `gently` first, and killed after 2 s.
    pub(super) fn end_now(&self, gently: Signal) {
        self.signal(gently);
        for _ in 0..200 {
            if self.ended().is_some() {
                break;
            }
            std::thread::sleep(POLL);
        }
        self.signal(Signal::KILL);
        let _ = self.process.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.end_now(Signal::KILL);
        }
        sweep::forget(&self.pid_file, self.pid);
    }
}

type Reply = tokio::sync::oneshot::Sender<io::Result<std::process::Child>>;

/// The thread that forks every child.
struct Spawner {
    orders: mpsc::Sender<(Command, Reply)>,
}

fn spawner() -> anyhow::Result<&'static Spawner> {
    static SPAWNER: OnceLock<Option<Spawner>> = OnceLock::new();
    SPAWNER.get_or_init(Spawner::start).as_ref().context("the thread that starts children cannot be started")
}

impl Spawner {
    fn start() -> Option<Self> {
        let (orders, inbox) = mpsc::channel::<(Command, Reply)>();
        let run = move || {
            for (mut command, reply) in inbox {
                // Nobody waits for the answer: kill what nobody will own.
                if let Err(Ok(mut unwanted)) = reply.send(command.spawn()) {
                    let _ = unwanted.kill();
                    let _ = unwanted.wait();
                }
            }
        };
        std::thread::Builder::new().name("child-spawner".to_owned()).spawn(run).ok()?;
        Some(Self { orders })
    }

    async fn fork(&self, command: Command) -> io::Result<std::process::Child> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let gone = || io::Error::other("the thread that starts children has ended");
        self.orders.send((command, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
