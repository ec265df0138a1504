//! A private Postgres.

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::child::{Child, Launch, Orphaned, Owner};
use super::{Home, Signal, free_port, owner, programs};

const START_TIMEOUT: Duration = Duration::from_mins(1);
const STOP_GRACE: Duration = Duration::from_secs(20);
const USER: &str = "payfleet";

/// How a private Postgres is started. The default is for tests: a temporary folder, a free port, no
/// fsync, no password.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Where its data is kept; `None`: a temporary folder, removed at the end.
    pub dir: Option<PathBuf>,
    /// Where it listens; `None`: any free port.
    pub port: Option<u16>,
    /// Whether a commit survives a power cut. Costs time; a killed process loses nothing either way.
    pub fsync: bool,
    /// Whether to ask for a password, which is generated with the data; other users of the machine
    /// are kept out by it.
    pub password: bool,
    /// Further settings as in postgresql.conf, such as `("deadlock_timeout", "100ms")`; they win.
    pub settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// Data that is kept: durable, and behind a password.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), fsync: true, password: true, ..Self::default() }
    }
}

/// A Postgres that ends with this process.
pub struct PostgresServer {
    child: Child,
    launch: Launch,
    port: u16,
    bin: PathBuf,
    data: PathBuf,
    password: Option<String>,
    // After the child: the folder goes when nobody uses it any more.
    home: Home,
}

impl PostgresServer {
    /// Starts it, after making its data folder if that is new, and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, the folder is in use, or it does not come up: with its last words.
    pub async fn start(options: PostgresOptions) -> anyhow::Result<Self> {
        let home = Home::open(options.dir.as_deref())?;
        let (data, owner) = owner::data_dir(&home.path)?;
        let made = home.path.join("initdb.done");
        let version = made.exists().then(|| std::fs::read_to_string(data.join("PG_VERSION"))).transpose()?;
        let bin = programs::postgres_bin(version.as_deref())?;
        let password = password(&home.path, options.password, version.is_some())?;
        if version.is_none() {
            // What an interrupted attempt left is worth nothing.
            empty(&data)?;
            initdb(&bin, &home.path, &data, owner, password.as_deref(), options.fsync).await?;
            std::fs::write(made, "")?;
        }
        let mut clashes = 0;
        loop {
            let port = options.port.map_or_else(free_port, Ok)?;
            let launch = Launch::new("postgres", bin.join("postgres"), &home.path)
                .args(arguments(&data, port, &options))
                .owner(owner)
                // Not SIGKILL: that would leave its shared memory behind.
                .orphaned(Orphaned::Quits);
            match launch_until_ready(&launch, &data).await {
                Ok(child) => return Ok(Self { child, launch, port, bin, data, password, home }),
                Err(error) if options.port.is_none() && clashes < 10 && lost_its_port(&error) => clashes += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The URL of a database, whether it exists or not; `postgres` always does.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        format!("postgres://{USER}{password}@127.0.0.1:{}/{database}", self.port)
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

    /// Where a program that comes with this version of the server is, if it is installed. The server may
    /// be a link to where the others are too.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let server = self.bin.join("postgres");
        let server = server.canonicalize().unwrap_or(server);
        server.with_file_name(name)
    }

    /// The folder with its log.
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
        self.stop().await;
        self.child = launch_until_ready(&self.launch, &self.data).await?;
        Ok(())
    }

    /// Lets it end cleanly; open connections are cut.
    pub async fn stop(&mut self) {
        self.child.stop(Signal::INT, STOP_GRACE).await;
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // "Immediate shutdown": at once, but it frees its shared memory.
        self.child.end_now(Signal::QUIT);
    }
}

fn arguments(data: &Path, port: u16, options: &PostgresOptions) -> Vec<String> {
    let (port, fsync) = (port.to_string(), if options.fsync { "on" } else { "off" });
    let ours = [
        ("port", port.as_str()),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_connections", "300"),
        ("fsync", fsync),
        ("full_page_writes", fsync),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("logging_collector", "off"),
    ];
    let theirs = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings = ours.into_iter().chain(theirs);
    let settings = settings.flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]);
    ["-D".to_owned(), data.to_string_lossy().into_owned()].into_iter().chain(settings).collect()
}

/// The password kept beside the data; a new one where the data is new.
fn password(home: &Path, wanted: bool, data_exists: bool) -> anyhow::Result<Option<String>> {
    let file = home.join("password");
    if data_exists {
        return Ok(std::fs::read_to_string(&file).ok().filter(|password| !password.is_empty()));
    }
    if !wanted {
        return Ok(None);
    }
    let mut random = [0_u8; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
    let password = hex::encode(random);
    let _ = std::fs::remove_file(&file);
    let mut written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
    std::io::Write::write_all(&mut written, password.as_bytes())?;
    Ok(Some(password))
}

fn empty(dir: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}

async fn initdb(
    bin: &Path,
    home: &Path,
    data: &Path,
    owner: Option<Owner>,
    password: Option<&str>,
    fsync: bool,
) -> anyhow::Result<()> {
    let mut args = vec!["--encoding=UTF8".to_owned(), "--locale=C".to_owned(), format!("--username={USER}")];
    args.extend(["-D".to_owned(), data.to_string_lossy().into_owned()]);
    let mut handed_over = None;
    if let Some(password) = password {
        // For the owner of the data, who may not be the owner of our own copy.
        let file = tempfile::Builder::new().prefix("payfleet-").tempfile()?;
        std::fs::write(file.path(), password)?;
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600))?;
        if let Some(owner) = owner {
            std::os::unix::fs::chown(file.path(), Some(owner.uid), Some(owner.gid))?;
        }
        args.extend(["--auth=scram-sha-256".to_owned(), format!("--pwfile={}", file.path().display())]);
        handed_over = Some(file);
    } else {
        args.push("--auth=trust".to_owned());
    }
    if !fsync {
        args.push("--no-sync".to_owned());
    }
    let initdb = Launch::new("initdb", bin.join("initdb"), home).args(args).owner(owner).spawn().await?;
    let ended = initdb.wait(START_TIMEOUT).await;
    drop(handed_over);
    let succeeded = ended.is_some_and(|status| status.success());
    anyhow::ensure!(
        succeeded,
        "initdb could not make a database in {}:\n{}",
        data.display(),
        initdb.last_words()
    );
    Ok(())
}

fn lost_its_port(error: &anyhow::Error) -> bool {
    error.to_string().contains("Address already in use")
}

async fn launch_until_ready(launch: &Launch, data: &Path) -> anyhow::Result<Child> {
    let attempts = async {
        loop {
            // Only this start is to be searched for its last words.
            let _ = std::fs::remove_file(launch.log());
            let child = launch.spawn().await?;
            if until_ready(&child, data).await {
                return Ok(child);
            }
            // After a kill, the last backends of the one before need a moment to notice.
            let words = child.last_words();
            anyhow::ensure!(words.contains("still in use"), "postgres did not start:\n{words}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let in_time = tokio::time::timeout(START_TIMEOUT, attempts).await;
    in_time.with_context(|| format!("postgres is not ready after 60 s; see {}", launch.log().display()))?
}

/// Waits until it accepts connections; `false` when it ends instead.
async fn until_ready(child: &Child, data: &Path) -> bool {
    loop {
        // What pg_ctl reads too: the first line is the pid, the eighth the status.
        let status = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = status.lines().map(str::trim);
        let is_ours = lines.next() == Some(child.pid().to_string().as_str());
        if is_ours && lines.nth(6) == Some("ready") {
            return true;
        }
        if child.ended().is_some() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
