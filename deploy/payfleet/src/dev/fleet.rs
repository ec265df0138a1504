//! Everything of a fleet, started in the order in which one thing needs the other and stopped in the
//! reverse one. Whatever is dropped without being stopped is killed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use payfleet::servers::{self, Child, Launch, Signal};
use payfleet_core::TenantId;
use payfleet_core::provider::Provider;
use payfleet_queue::Queue;
use payfleet_store::Store;

use super::demo::Intake;
use super::programs;
use super::sandboxes::Sandboxes;
use super::stores::{self, Stores};
use crate::commands::hash_token;

const USUAL_PORT: u16 = 8080;
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// A worker gives running jobs 10 s (see `worker_settings`), and then a little to close.
const WORKER_GRACE: Duration = Duration::from_secs(20);
const PRODUCER_GRACE: Duration = Duration::from_secs(10);

/// What to start.
pub(super) struct Plan {
    pub(super) dir: PathBuf,
    pub(super) port: Option<u16>,
    pub(super) workers: u16,
    /// Made for one demo: any port, a provider that settles at once, no fsync.
    pub(super) is_throwaway: bool,
}

/// A running fleet. Dropped from the top: workers first, stores last.
pub(super) struct Fleet {
    workers: Vec<Child>,
    producer: Child,
    intake: Intake,
    sandboxes: Sandboxes,
    stores: Stores,
    dir: PathBuf,
    _lock: std::fs::File,
}

impl Fleet {
    /// Starts it and waits until the producer takes requests.
    pub(super) async fn start(plan: Plan) -> anyhow::Result<Self> {
        // Before anything is started: what is missing is said at once.
        let (producer, worker) =
            (programs::beside_us("payfleet-producer")?, programs::beside_us("payfleet-worker")?);
        let dir = std::path::absolute(&plan.dir)?;
        std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be created", dir.display()))?;
        let lock = servers::lock(&dir)?;
        eprintln!("Starting Redis and Postgres in {} ...", dir.display());
        let stores = Stores::start(&dir, plan.is_throwaway).await?;
        let port = port(&plan)?;
        let url = format!("http://127.0.0.1:{port}");
        let settle_after =
            if plan.is_throwaway { Duration::from_millis(200) } else { Duration::from_secs(2) };
        let sandboxes = Sandboxes::start(&dir.join("sandboxes"), &url, settle_after).await?;

        eprintln!("Starting the producer and {} workers ...", plan.workers);
        let token = hash_token::new_token()?;
        let settings = producer_settings(&stores, &sandboxes, port, &token);
        let producer = launch("producer", &producer, &dir, settings).await?;
        let intake = Intake::new(url.clone(), token)?;
        until_ready(&intake, &producer).await?;
        let mut workers = Vec::new();
        for number in 1..=plan.workers {
            let name = format!("worker-{number}");
            let mut settings = worker_settings(&stores, &sandboxes, &url, &name);
            // A demo asks for its own reconciliation; one by the clock would come in between.
            let every_ms = if plan.is_throwaway { "0" } else { "60000" };
            settings.insert("RECONCILE_EVERY_MS".to_owned(), every_ms.to_owned());
            workers.push(launch(&name, &worker, &dir, settings).await?);
        }
        Ok(Self { workers, producer, intake, sandboxes, stores, dir, _lock: lock })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.stores.queue
    }

    pub(super) fn store(&self) -> &Store {
        &self.stores.store
    }

    pub(super) fn sandboxes(&self) -> &Sandboxes {
        &self.sandboxes
    }

    pub(super) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Where everything is, for people.
    pub(super) fn addresses(&self) -> String {
        let mut lines = vec![
            format!("producer    {}", self.intake.url()),
            format!("token       {}", self.intake.token()),
        ];
        lines.extend(self.stores.addresses());
        for provider in Provider::ALL {
            lines.push(format!("{:12}{}/_effects", provider.as_str(), self.sandboxes.url(provider)));
        }
        lines.push(format!("logs        {}/*.log", self.dir.display()));
        format!(
            "\n{}\n\nTry it:\n  curl -s {}/v1/payouts -H 'Authorization: Bearer {}' -H 'Idempotency-Key: order-1' \\\n    \
             -H 'Content-Type: application/json' \\\n    \
             -d '{{\"amount\":\"15.5\",\"asset\":\"USDT\",\"network\":\"TRON\",\"address\":\"{}\"}}'\n\nLook inside, from another terminal:\n  {}\n  \
             {} limits list\n\nCtrl-C stops it.",
            lines.join("\n"),
            self.intake.url(),
            self.intake.token(),
            super::demo::TRON_ADDRESS,
            self.stores.exports(),
            std::env::args().next().unwrap_or_else(|| "payfleet".to_owned()),
        )
    }

    /// Waits until a process has ended that should not have, and says which and why.
    pub(super) async fn until_something_ends(&self) -> anyhow::Error {
        loop {
            if let Some(child) = self.workers.iter().chain([&self.producer]).find(|one| one.ended().is_some())
            {
                return anyhow::anyhow!("{} has ended:\n{}", child.name(), child.last_words());
            }
            if let Some(name) = self.stores.ended() {
                return anyhow::anyhow!("{name} has ended; its log is in {}", self.dir.display());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops it: workers finish or release what they hold, then everything else ends cleanly.
    pub(super) async fn stop(self) {
        for worker in &self.workers {
            worker.signal(Signal::TERM);
        }
        for worker in &self.workers {
            worker.stop(Signal::TERM, WORKER_GRACE).await;
        }
        self.producer.stop(Signal::TERM, PRODUCER_GRACE).await;
        self.sandboxes.stop().await;
        self.stores.stop().await;
    }
}

fn port(plan: &Plan) -> anyhow::Result<u16> {
    let usual_is_free = || TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT)).is_ok();
    match plan.port {
        Some(port @ 1..) => Ok(port),
        None if !plan.is_throwaway && usual_is_free() => Ok(USUAL_PORT),
        Some(0) | None => servers::free_port(),
    }
}

/// Its log begins anew with each run.
async fn launch(
    name: &str,
    program: &Path,
    dir: &Path,
    settings: BTreeMap<String, String>,
) -> anyhow::Result<Child> {
    let launch = Launch::new(name, program, dir).only_env(settings);
    let _ = std::fs::remove_file(launch.log());
    launch.spawn().await
}

fn shared_settings(stores: &Stores) -> BTreeMap<String, String> {
    let mut settings = programs::inherited();
    settings.insert("REDIS_URL".to_owned(), stores.redis_url.clone());
    settings.insert("DATABASE_URL".to_owned(), stores.database_url.clone());
    settings.insert("QUEUE_PREFIX".to_owned(), stores::PREFIX.to_owned());
    settings
}

fn producer_settings(
    stores: &Stores,
    sandboxes: &Sandboxes,
    port: u16,
    token: &str,
) -> BTreeMap<String, String> {
    let mut settings = shared_settings(stores);
    settings.extend(sandboxes.producer_settings());
    settings.insert("LISTEN".to_owned(), format!("127.0.0.1:{port}"));
    settings.insert("API_TOKENS".to_owned(), hash_token::api_token(token, "demo", &TenantId::default()));
    settings
}

fn worker_settings(
    stores: &Stores,
    sandboxes: &Sandboxes,
    producer_url: &str,
    name: &str,
) -> BTreeMap<String, String> {
    let mut settings = shared_settings(stores);
    settings.extend(sandboxes.worker_settings(producer_url));
    let ours = [("WORKER_NAME", name), ("CONFIRM_INTERVAL_MS", "500"), ("SHUTDOWN_GRACE_MS", "10000")];
    settings.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    settings
}

async fn until_ready(intake: &Intake, producer: &Child) -> anyhow::Result<()> {
    let ready = async {
        while !intake.is_ready().await {
            anyhow::ensure!(
                producer.ended().is_none(),
                "the producer did not start:\n{}",
                producer.last_words()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let in_time = tokio::time::timeout(READY_TIMEOUT, ready).await;
    in_time.with_context(|| format!("the producer is not ready after 30 s:\n{}", producer.last_words()))?
}
