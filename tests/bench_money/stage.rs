//! What a measurement runs on: a database of its own on the Postgres of the run, a Redis and sandboxes
//! of its own, and a worker that is a process of its own with the settings of production. All of it
//! ends with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use payfleet::servers::{Child, Launch, PostgresServer, RedisOptions, RedisServer, Signal};
use payfleet_core::job::NewJob;
use payfleet_core::kinds::JobKind;
use payfleet_process::SystemClock;
use payfleet_providers::sandbox::{Options, Sandbox, start_heleket, start_tatum};
use payfleet_queue::{Config, Queue};
use payfleet_tests::servers::database_on;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

/// Jobs enqueued with one call.
const FILL: usize = 500;
/// Between two looks at something that sends no signal.
const BEAT: Duration = Duration::from_millis(5);
/// How long a worker may take to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// A sandbox takes any number of calls.
const ENOUGH: &str = "all=10000/s";

/// One measurement's own world.
pub(crate) struct Stage {
    pub(crate) queue: Queue,
    pub(crate) database_url: String,
    pub(crate) heleket: Sandbox,
    pub(crate) tatum: Sandbox,
    redis: RedisServer,
    home: tempfile::TempDir,
    http: reqwest::Client,
}

impl Stage {
    pub(crate) async fn set(postgres: &PostgresServer) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let redis = RedisServer::start(RedisOptions::default()).await?;
        let options = |name: &str| Options::new(home.path().join(name), Arc::new(SystemClock));
        let stage = Self {
            queue: Queue::open(Config::new(redis.url()))?,
            database_url: database_on(postgres).await,
            heleket: start_heleket(options("heleket")).await?,
            tatum: start_tatum(options("tatum")).await?,
            redis,
            home,
            http: reqwest::Client::builder().build()?,
        };
        // Nobody listens for webhooks here.
        stage.tell(&stage.heleket, "/_webhooks", &json!({"hold": true})).await?;
        Ok(stage)
    }

    /// Starts a worker with the defaults of production and returns once it works: its queues but
    /// those in `paused`.
    pub(crate) async fn worker(&self, paused: &[JobKind]) -> anyhow::Result<Child> {
        self.worker_with(paused, &[]).await
    }

    /// The same, with more variables.
    pub(crate) async fn worker_with(
        &self,
        paused: &[JobKind],
        more: &[(&'static str, String)],
    ) -> anyhow::Result<Child> {
        for kind in paused {
            self.queue.pause(&kind.queue()?).await?;
        }
        let environment = [
            ("REDIS_URL", self.redis.url()),
            ("DATABASE_URL", self.database_url.clone()),
            ("WORKER_NAME", "bench".to_owned()),
            ("ALLOW_PRIVATE_HOSTS", "true".to_owned()),
            ("HELEKET_PROJECT_URL", self.heleket.url()),
            ("HELEKET_MERCHANT_ID", "sandbox-merchant".to_owned()),
            ("HELEKET_API_KEY", "sandbox-secret".to_owned()),
            ("HELEKET_LIMITS", ENOUGH.to_owned()),
            ("TATUM_BASE_URL", self.tatum.url()),
            ("TATUM_API_KEY", "sandbox-api-key".to_owned()),
            ("TATUM_WEBHOOK_URL", "https://payfleet.example.com/webhooks/tatum".to_owned()),
        ];
        let environment = environment.iter().chain(more);
        let environment: BTreeMap<String, String> =
            environment.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        // Built with this program, by the same command.
        let program = std::env::current_exe()?.with_file_name("payfleet-worker");
        let launch = Launch::new("worker", program, self.home.path()).only_env(environment);
        let worker = launch.spawn().await?;
        let mut beat = tokio::time::interval(BEAT);
        while !std::fs::read_to_string(launch.log())?.contains("The worker is running.") {
            anyhow::ensure!(worker.ended().is_none(), "the worker ended: {}", worker.last_words());
            beat.tick().await;
        }
        Ok(worker)
    }

    /// Asks a worker to stop, as a deployment does.
    pub(crate) async fn dismiss(&self, worker: Child) -> anyhow::Result<()> {
        let ended = worker.stop(Signal::TERM, PATIENCE).await;
        anyhow::ensure!(ended.is_some_and(|status| status.success()), "{}", worker.last_words());
        Ok(())
    }

    /// Enqueues all of `jobs`.
    pub(crate) async fn put(&self, jobs: &[NewJob]) -> anyhow::Result<()> {
        for batch in jobs.chunks(FILL) {
            self.queue.enqueue(batch).await?;
        }
        Ok(())
    }

    /// Lets the queue of `kind` run until nothing of it waits or runs; how long that took.
    pub(crate) async fn drained(&self, kind: JobKind, worker: &Child) -> anyhow::Result<Duration> {
        let queues = [kind.queue()?];
        let [queue] = &queues;
        let began = tokio::time::Instant::now();
        self.queue.resume(queue).await?;
        let mut beat = tokio::time::interval(BEAT);
        loop {
            beat.tick().await;
            let stats = self.queue.stats(&queues).await?;
            let stats = stats.first().context("a queue's numbers")?;
            if stats.ready + stats.running == 0 {
                return Ok(began.elapsed());
            }
            anyhow::ensure!(worker.ended().is_none(), "the worker ended: {}", worker.last_words());
        }
    }

    /// What `sql` counts.
    pub(crate) async fn count(&self, sql: &'static str) -> anyhow::Result<i64> {
        let mut connection = PgConnection::connect(&self.database_url).await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
    }

    /// Asks a sandbox's control.
    pub(crate) async fn ask(&self, sandbox: &Sandbox, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", sandbox.url()));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Tells a sandbox's control.
    pub(crate) async fn tell(&self, sandbox: &Sandbox, path: &str, body: &Value) -> anyhow::Result<()> {
        let request = self.http.post(format!("{}{path}", sandbox.url())).json(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }
}
