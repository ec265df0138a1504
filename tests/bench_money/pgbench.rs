//! pgbench, as the measure of what this Postgres can do on this machine at this moment.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use payfleet::servers::PostgresServer;
use payfleet_tests::servers::database_on;
use tokio::process::Command;

/// Numbers of clients that are tried.
const CLIENTS: [u32; 4] = [8, 16, 32, 64];

/// The rows that a payout is, written as plainly as it goes: the two transactions around the call.
pub(crate) const PAYOUT: &str = include_str!("payout.sql");

/// One event a statement, as a handler without batches would store it.
pub(crate) const WEBHOOK: &str = include_str!("webhook.sql");

/// The program.
pub(crate) struct Pgbench {
    program: PathBuf,
    seconds: u32,
    seconds_to_choose: u32,
}

impl Pgbench {
    /// The one that came with `server`.
    pub(crate) fn find(server: &PostgresServer, quick: bool) -> anyhow::Result<Self> {
        let program = server.program("pgbench");
        let missing = "pgbench was not found beside postgres; install it: apt-get install postgresql-contrib";
        anyhow::ensure!(program.is_file(), missing);
        let (seconds, seconds_to_choose) = if quick { (3, 1) } else { (10, 3) };
        Ok(Self { program, seconds, seconds_to_choose })
    }

    /// With how many clients the script runs most often.
    pub(crate) async fn best_clients(&self, server: &PostgresServer, script: &str) -> anyhow::Result<u32> {
        let mut best = (0.0, CLIENTS[0]);
        for clients in CLIENTS {
            let rate = self.run_for(server, script, clients, self.seconds_to_choose).await?;
            if rate > best.0 {
                best = (rate, clients);
            }
        }
        Ok(best.1)
    }

    /// Runs `script` on a database of its own and answers how often a second it came to its end.
    pub(crate) async fn run(
        &self,
        server: &PostgresServer,
        script: &str,
        clients: u32,
    ) -> anyhow::Result<f64> {
        self.run_for(server, script, clients, self.seconds).await
    }

    async fn run_for(
        &self,
        server: &PostgresServer,
        script: &str,
        clients: u32,
        seconds: u32,
    ) -> anyhow::Result<f64> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(script.as_bytes())?;
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
        command.args([format!("--client={clients}"), format!("--time={seconds}")]);
        command.arg("--file").arg(file.path()).arg(database_on(server).await);
        let output =
            command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("pgbench runs")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let aborted = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "pgbench: {said}{aborted}");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.with_context(|| format!("{said}{aborted}"))
    }
}
