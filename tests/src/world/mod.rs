//! The World: a whole fleet in one test. Redis of its own, a database of its own, the sandboxes of all
//! four providers, a producer, and workers in this process or as processes of their own; all of it
//! over real sockets.
//!
//! A test ends with [`World::finish`], which waits until nothing is left to do and checks the promise.
//! A World that is dropped without it fails its test.

mod api;
mod check;
mod hung;
mod processes;
mod providers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use api::{Answer, Api};
use payfleet::servers::{PostgresServer, RedisOptions, RedisServer};
use payfleet_core::kinds::JobKind;
use payfleet_process::{SystemClock, spawn};
use payfleet_producer::{Tokens, WebhookSecrets};
use payfleet_providers::published::{ALL, Rate, Service};
use payfleet_queue::limits::BreakerPolicy;
use payfleet_queue::{Queue, QueueStats};
use payfleet_store::Store;
use payfleet_worker::receivers::Receivers;
use payfleet_worker::weather::Limits;
pub use processes::{ProducerProcess, Worker, WorkerProcess};
pub use providers::{Effect, Providers};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::binaries::binary;
use crate::servers;
use crate::trap::{Aim, Trap};

/// The bearer token of every World.
pub const TOKEN: &str = "test-token";

/// How long [`World::run_until_idle`] waits before it gives up: a bound for a hung test, not a
/// measure of speed.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a World is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Workers in this process.
    pub workers: usize,
    /// Whether the providers' webhooks reach the producer.
    pub webhooks: bool,
    /// A Postgres of its own, so that a test can kill it.
    pub own_postgres: bool,
    /// How many connections a worker has to it.
    pub database_connections: u32,
    /// How long a lease lasts.
    pub lease: Duration,
    /// How long a call of a provider may take.
    pub call_timeout: Duration,
    /// How often the fleet may call; by default so often that no test waits for it.
    pub limits: Limits,
    /// When the fleet stops calling.
    pub breaker: BreakerPolicy,
    /// Whom the workers in this process tell of what happens.
    pub receivers: Receivers,
    /// How often the fleet compares each provider's record with ours by itself.
    pub reconcile_every: Option<Duration>,
    /// Between two polls of an operation.
    pub confirm_interval: Duration,
    /// How long money takes at Stripe, by the clock of its sandbox: until a payment is available, and a
    /// payout paid.
    pub stripe_settles_after: Duration,
    /// How long a payout takes at Heleket, by the same clock.
    pub heleket_settles_after: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        let mut limits = Limits::default();
        for service in Service::ALL {
            limits.set(service, ALL, Rate::per_second(10_000));
        }
        Self {
            workers: 1,
            webhooks: true,
            own_postgres: false,
            database_connections: 8,
            lease: Duration::from_secs(2),
            call_timeout: Duration::from_secs(2),
            limits,
            breaker: BreakerPolicy::default(),
            receivers: Receivers::default(),
            reconcile_every: None,
            confirm_interval: Duration::from_millis(100),
            stripe_settles_after: Duration::ZERO,
            heleket_settles_after: Duration::ZERO,
        }
    }
}

/// A whole fleet.
pub struct World {
    /// The producer's HTTP API.
    pub api: Api,
    /// The sandboxes.
    pub providers: Providers,
    /// The operations, read and written directly.
    pub store: Store,
    /// The queue, read and written directly.
    pub queue: Queue,
    /// The Redis of this World.
    pub redis: RedisServer,
    /// Effects that a test made at a provider behind the fleet's back.
    pub strangers: usize,
    /// The Postgres of this World, if it has one of its own.
    pub postgres: Option<PostgresServer>,
    setup: Setup,
    database_url: String,
    workers: Vec<Worker>,
    processes: hung::Processes,
    parked_webhooks: AtomicBool,
    stop_producer: CancellationToken,
    producer: Option<JoinHandle<()>>,
    finished: bool,
}

impl World {
    /// A fleet with one worker.
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// A fleet as `setup` says.
    pub async fn with(setup: Setup) -> Self {
        let (postgres, database_url) = if setup.own_postgres {
            let server = PostgresServer::start(payfleet::servers::PostgresOptions::default())
                .await
                .expect("a Postgres of its own");
            let url = servers::database_on(&server).await;
            (Some(server), url)
        } else {
            (None, servers::database().await)
        };
        let redis = RedisServer::start(RedisOptions::default()).await.expect("a Redis of its own");
        let store = Store::connect_lazy(&database_url, 4).expect("a database URL");
        let queue = Queue::open(payfleet_queue::Config::new(redis.url())).expect("a Redis URL");
        let providers = Providers::start(setup.stripe_settles_after, setup.heleket_settles_after).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        if setup.webhooks {
            providers.deliver_to(&url);
        }
        let stop_producer = CancellationToken::new();
        let config = producer_config(&redis, &database_url);
        let serving = payfleet_producer::serve(config, listener, stop_producer.clone());
        let producer = spawn("producer", async move { serving.await.expect("the producer serves") });
        let mut world = Self {
            api: Api::new(url),
            providers,
            store,
            queue,
            redis,
            postgres,
            workers: Vec::new(),
            processes: hung::Processes::default(),
            strangers: 0,
            parked_webhooks: AtomicBool::new(false),
            stop_producer,
            producer: Some(producer),
            finished: false,
            database_url,
            setup,
        };
        // As an earlier worker did: a receiver is told of what happens after it was made known.
        for receiver in &world.setup.receivers.all {
            let registered =
                world.store.register_receiver(&receiver.name, &receiver.tenant, &receiver.callback.url);
            registered.await.expect("Postgres");
        }
        for _ in 0..world.setup.workers {
            world.add_worker();
        }
        world
    }

    /// Starts another worker in this process.
    pub fn add_worker(&mut self) {
        let name = format!("worker-{}", self.workers.len());
        let config = self.worker_config(&name);
        self.workers.push(Worker::start(config));
    }

    /// Starts a worker as a process of its own, which can be killed.
    pub async fn worker_process(&self, name: &str) -> WorkerProcess {
        self.worker_process_with(name, &[]).await
    }

    /// The same, with more variables.
    pub async fn worker_process_with(&self, name: &str, more: &[(&'static str, String)]) -> WorkerProcess {
        let process = WorkerProcess::start(&self.worker_config(name), &self.providers, more).await;
        self.processes.add(process.pid(), process.log_file(name));
        process
    }

    /// The same, behind a trap for `aim`.
    pub async fn trapped_worker(
        &self,
        name: &str,
        aim: Aim,
        more: &[(&'static str, String)],
    ) -> (WorkerProcess, Trap) {
        let port = match &self.postgres {
            Some(server) => server.port(),
            None => servers::postgres().await.port(),
        };
        let near = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let trap = Trap::set(aim, near(port), near(self.redis.port())).await.expect("two ports");
        let mut config = self.worker_config(name);
        let direct = format!(":{port}/");
        config.database_url =
            config.database_url.replacen(&direct, &format!(":{}/", trap.postgres().port()), 1);
        config.queue.url = format!("redis://{}/", trap.redis());
        (WorkerProcess::start(&config, &self.providers, more).await, trap)
    }

    /// Starts a producer as a process of its own, on the stores of this World, and how to call it.
    pub async fn producer_process(&self, more: &[(&'static str, String)]) -> (ProducerProcess, Api) {
        let mut environment = vec![
            ("LISTEN", "127.0.0.1:0".to_owned()),
            ("REDIS_URL", self.redis.url()),
            ("DATABASE_URL", self.database_url.clone()),
            ("API_TOKENS", api_tokens()),
        ];
        environment.extend_from_slice(more);
        let process = ProducerProcess::start(environment).await;
        let url = process.url().await.unwrap_or_else(|| panic!("{}", process.last_words()));
        (process, Api::new(url))
    }

    /// The database of this World.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The settings of a worker of this World.
    pub fn worker_config(&self, name: &str) -> payfleet_worker::Config {
        let mut queue = payfleet_queue::Config::new(self.redis.url());
        queue.lease = self.setup.lease;
        let mut providers = self.providers.configs();
        if let Some(heleket) = &mut providers.heleket {
            heleket.timeout = self.setup.call_timeout;
        }
        if let Some(trovotech) = &mut providers.trovotech {
            trovotech.timeout = self.setup.call_timeout;
        }
        if let Some(stripe) = &mut providers.stripe {
            stripe.timeout = self.setup.call_timeout;
        }
        payfleet_worker::Config {
            queue,
            database_url: self.database_url.clone(),
            database_connections: self.setup.database_connections,
            name: name.to_owned(),
            concurrency: 8,
            health_listen: None,
            shutdown_grace: Duration::from_secs(20),
            reconcile_every: self.setup.reconcile_every,
            confirm_interval: Some(self.setup.confirm_interval),
            providers,
            finality: payfleet_worker::Finality { eth: 3, btc: 2, polygon: 3, tron: 3 },
            limits: self.setup.limits.clone(),
            breaker: self.setup.breaker,
            receivers: self.setup.receivers.clone(),
        }
    }

    /// Stops the workers in this process, as SIGTERM would.
    pub async fn stop_workers(&mut self) {
        for worker in self.workers.drain(..) {
            worker.stop().await;
        }
    }

    /// Has Redis lose everything.
    pub async fn forget_redis(&self) {
        let client = redis::Client::open(self.redis.url()).expect("the URL of Redis");
        // A busy machine may answer late; that is no fault here.
        let patient =
            redis::AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&patient).await;
        let () = redis::cmd("FLUSHALL").query_async(&mut connection.expect("Redis")).await.expect("Redis");
    }

    /// From now on, webhooks that wait for an operation that will never come count as done.
    pub fn abandon_webhooks(&self) {
        self.parked_webhooks.store(true, Ordering::Relaxed);
    }

    /// Runs the operator's command, which must refuse, and returns why it does.
    pub async fn payfleet_refuses(&self, arguments: &[&str]) -> String {
        let output = self.run_payfleet(arguments).await;
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn run_payfleet(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::new(binary("payfleet"));
        command.args(arguments).env("REDIS_URL", self.redis.url()).env("DATABASE_URL", &self.database_url);
        command.env("REDRIVE_APPROVE_ABOVE_AMOUNTS", "USDT=10000").env("REDRIVE_APPROVE_ABOVE", "15");
        command.output().await.expect("payfleet runs")
    }

    /// Runs the operator's command against this World and returns what it prints.
    pub async fn payfleet(&self, arguments: &[&str]) -> String {
        let output = self.run_payfleet(arguments).await;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        printed
    }

    /// Moves a chain of Tatum's sandbox: `pay`, `mine`, `reorganise`, `finalise`.
    pub async fn chain(&self, chain: &str, verb: &str, body: &serde_json::Value) -> serde_json::Value {
        self.providers.chain(chain, verb, body).await
    }

    /// Waits until no operation is live, every queue is empty, the dead are archived, and the
    /// providers have delivered their webhooks.
    pub async fn run_until_idle(&self) {
        let idle = async {
            while let Some(reason) = self.busy().await {
                tracing::debug!("not idle: {reason}");
                pause().await;
            }
        };
        if tokio::time::timeout(PATIENCE, idle).await.is_err() {
            let reason = self.busy().await.unwrap_or_default();
            panic!("not idle after {PATIENCE:?}: {reason}{}", self.processes.describe());
        }
    }

    /// Waits until `condition` holds; `what` says so when it never does.
    pub async fn until<F: AsyncFn(&Self) -> bool>(&self, what: &str, condition: F) {
        let waiting = async {
            while !condition(self).await {
                pause().await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(came, "never: {what}{}", self.processes.describe());
    }

    /// Why the fleet is not idle, if it is not.
    async fn busy(&self) -> Option<String> {
        if self.setup.webhooks {
            let pending = self.providers.pending_webhooks().await;
            if pending > 0 {
                return Some(format!("{pending} webhooks under way"));
            }
        }
        let queues: Vec<_> = JobKind::ALL.iter().filter_map(|kind| kind.queue().ok()).collect();
        let Ok(stats) = self.queue.stats(&queues).await else { return Some("Redis is away".to_owned()) };
        let parked = self.parked_webhooks.load(Ordering::Relaxed);
        let waiting = |one: &QueueStats| {
            let delayed =
                if parked && one.queue.as_str() == JobKind::Webhook.as_str() { 0 } else { one.delayed };
            one.ready + one.running + delayed + one.dead
        };
        let busy: Vec<_> = stats.iter().filter(|one| waiting(one) > 0).collect();
        if !busy.is_empty() {
            return Some(format!("queues {busy:?}"));
        }
        if !self.setup.receivers.all.is_empty() && self.is_telling().await {
            return Some("a receiver is still to be told".to_owned());
        }
        let Ok(counts) = self.store.operation_counts().await else {
            return Some("Postgres is away".to_owned());
        };
        let live = |state: &str| {
            !matches!(state, "settled" | "failed" | "returned" | "quarantined" | "in_doubt" | "retrying")
        };
        counts.into_iter().find(|one| live(&one.state)).map(|one| format!("operations {one:?}"))
    }

    /// Waits until nothing is left to do, checks the promise, and ends the fleet.
    pub async fn finish(self) {
        self.run_until_idle().await;
        self.check_promise().await;
        self.leave().await;
    }

    /// Ends the fleet without a look at the promise: for records that are made up, which no audit would
    /// let pass.
    pub async fn leave(mut self) {
        self.stop_workers().await;
        self.stop_producer.cancel();
        if let Some(producer) = self.producer.take() {
            producer.await.expect("the producer stops");
        }
        self.store.close().await;
        self.finished = true;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.finished && !std::thread::panicking() {
            panic!("a World was dropped unchecked: end the test with World::finish");
        }
    }
}

/// Between two looks at something that sends no signal. Short, and never a measure of anything.
async fn pause() {
    // tidy: sleeps because nothing announces that a whole fleet has come to rest
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn producer_config(redis: &RedisServer, database_url: &str) -> payfleet_producer::Config {
    let tokens = Tokens::parse(&api_tokens()).expect("a token");
    let mut config = payfleet_producer::Config::new(redis.url().into(), database_url.into(), tokens);
    config.webhook_secrets = WebhookSecrets {
        stripe: providers::secrets(),
        tatum: providers::secrets(),
        heleket: providers::secrets(),
        trovotech: providers::secrets(),
    };
    config.clock = Arc::new(SystemClock);
    config
}

/// The token of every World, as it is configured.
pub fn api_tokens() -> String {
    use sha2::Digest;
    format!("test:default:{}", hex::encode(sha2::Sha256::digest(TOKEN)))
}
