//! A queue of its own for each test, on a Redis that the tests of this binary share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use apalis_core::error::{BoxDynError, WorkerError};
use apalis_core::worker::builder::WorkerBuilder;
use futures::future::BoxFuture;
use payfleet_core::backoff::Backoff;
use payfleet_core::ids::RequestHash;
use payfleet_core::job::{DeadJob, Dedupe, Failure, NewJob, QueueName};
use payfleet_core::{JobId, Timestamp};
use payfleet_queue::backend::{BackendOptions, Delivery, ProgressHandle, RedisBackend};
use payfleet_queue::{
    Config, LeaseRef, Leased, Outcome, Place, Queue, QueueStats, Settled, Settlement, TimeSource,
};
use redis::aio::MultiplexedConnection;
use tokio::sync::oneshot;

use crate::topology::Shared;

/// When the stepped clock starts.
pub(crate) const START: i64 = 1_800_000_000_000;
/// The lease of every test's queue.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

static SHARED: tokio::sync::Mutex<Weak<Shared>> = tokio::sync::Mutex::const_new(Weak::new());
static PREFIXES: AtomicU64 = AtomicU64::new(0);

async fn shared() -> Arc<Shared> {
    let mut shared = SHARED.lock().await;
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Shared::start().await);
    *shared = Arc::downgrade(&server);
    server
}

fn fresh_prefix() -> String {
    format!("test-{}", PREFIXES.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn queue_name(name: &str) -> QueueName {
    QueueName::try_from(name).unwrap()
}

pub(crate) struct World {
    pub(crate) queue: Queue,
    pub(crate) name: QueueName,
    pub(crate) redis: MultiplexedConnection,
    _server: Option<Arc<Shared>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let server = shared().await;
        let prefix = server.prefix(&fresh_prefix());
        let direct = server.url_of(&format!("{{{prefix}:main}}")).await;
        let mut world = Self::connect(&server.url(), &direct, prefix, change).await;
        world._server = Some(server);
        world
    }

    /// On a server of the test's own.
    pub(crate) async fn at(url: &str, change: impl FnOnce(&mut Config)) -> Self {
        Self::connect(url, url, fresh_prefix(), change).await
    }

    /// On servers of the test's own, where `direct` is the one that has the keys.
    pub(crate) async fn behind(url: &str, direct: &str, change: impl FnOnce(&mut Config)) -> Self {
        Self::connect(url, direct, fresh_prefix(), change).await
    }

    async fn connect(url: &str, direct: &str, prefix: String, change: impl FnOnce(&mut Config)) -> Self {
        let client = redis::Client::open(direct).unwrap();
        // By default an answer may take no more than half a second, which is little on a busy machine.
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let mut redis = client.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
        let mut config = Config::new(url);
        config.prefix = prefix;
        config.lease = LEASE;
        // A stepped clock has gaps, which are no outages.
        config.grace = Duration::ZERO;
        config.time = TimeSource::Key(format!("{{{}-clock", config.prefix));
        change(&mut config);
        if let TimeSource::Key(key) = &config.time {
            let () = redis::cmd("SET").arg(key).arg(START).query_async(&mut redis).await.unwrap();
        }
        let queue = Queue::open(config).unwrap();
        Self { queue, name: queue_name("main"), redis, _server: None }
    }

    /// The name of a key of the queue, for tests that look behind its back.
    pub(crate) fn key(&self, suffix: &str) -> String {
        format!("{{{}:{}}}:{suffix}", self.queue.config().prefix, self.name)
    }

    pub(crate) async fn advance(&mut self, by: Duration) {
        let TimeSource::Key(key) = self.queue.config().time.clone() else {
            panic!("this world's clock is not stepped");
        };
        let by = u64::try_from(by.as_millis()).unwrap();
        let () = redis::cmd("INCRBY").arg(key).arg(by).query_async(&mut self.redis).await.unwrap();
    }

    pub(crate) fn job(&self, n: u64) -> NewJob {
        job_in(&self.name, n)
    }

    pub(crate) async fn enqueue(&self, jobs: &[NewJob]) {
        self.queue.enqueue(jobs).await.unwrap();
    }

    /// Enqueues jobs 1 to `count`.
    pub(crate) async fn fill(&self, count: u64) {
        let jobs: Vec<NewJob> = (1..=count).map(|n| self.job(n)).collect();
        self.enqueue(&jobs).await;
    }

    pub(crate) async fn take(&self, max: usize) -> Vec<Leased> {
        self.queue.take(&self.name, "tester", max).await.unwrap().jobs
    }

    pub(crate) async fn take_one(&self) -> Leased {
        let mut jobs = self.take(1).await;
        assert_eq!(jobs.len(), 1, "a job is waiting");
        jobs.remove(0)
    }

    pub(crate) async fn settle(&self, lease: LeaseRef, outcome: Outcome) -> Settled {
        self.queue.settle(&self.name, &[Settlement { lease, outcome }]).await.unwrap()[0]
    }

    pub(crate) async fn stats(&self) -> QueueStats {
        self.queue.stats(std::slice::from_ref(&self.name)).await.unwrap().remove(0)
    }

    pub(crate) async fn place(&self, id: JobId) -> Option<Place> {
        self.queue.find(&self.name, id).await.unwrap().map(|view| view.place)
    }

    /// Removes the dead as who has archived them does.
    pub(crate) async fn remove(&self, dead: &[DeadJob]) -> u64 {
        let dead: Vec<_> = dead.iter().map(|dead| (dead.job.envelope.id, dead.died_at)).collect();
        self.queue.remove_dead(&self.name, &dead).await.unwrap()
    }

    /// Starts a worker on this queue.
    pub(crate) fn worker(&self, concurrency: usize, handler: Handler) -> Running {
        self.worker_with(concurrency, Duration::from_millis(10), handler)
    }

    /// Starts a worker whose heart beats this often.
    pub(crate) fn worker_with(&self, concurrency: usize, renew_every: Duration, handler: Handler) -> Running {
        let mut options = BackendOptions::new("w1");
        options.concurrency = concurrency;
        options.renew_every = renew_every;
        options.retry = Backoff { base_ms: 0, cap_ms: 0 };
        self.worker_for(&self.name, options, handler)
    }

    /// Starts a worker on a queue.
    pub(crate) fn worker_for(&self, name: &QueueName, options: BackendOptions, handler: Handler) -> Running {
        let backend = RedisBackend::new(self.queue.clone(), name.clone(), options);
        let progress = backend.progress();
        let (stop, stopped) = oneshot::channel::<()>();
        let signal = async move {
            let _ = stopped.await;
            Ok::<(), WorkerError>(())
        };
        let worker = WorkerBuilder::new("w1").backend(backend).build(move |d: Delivery| handler(d));
        Running {
            stop,
            progress,
            run: payfleet_process::spawn("worker under test", worker.run_until(signal)),
        }
    }

    /// Waits until `done` holds of the queue.
    pub(crate) async fn until(&self, what: &str, done: impl Fn(&QueueStats) -> bool) {
        let wait = async {
            while !self.queue.stats(std::slice::from_ref(&self.name)).await.is_ok_and(|s| done(&s[0])) {}
        };
        let patience = Duration::from_secs(60);
        if tokio::time::timeout(patience, wait).await.is_err() {
            panic!(
                "it never came that {what}: {:?}",
                self.queue.stats(std::slice::from_ref(&self.name)).await
            );
        }
    }
}

pub(crate) type Handler =
    Arc<dyn Fn(Delivery) -> BoxFuture<'static, Result<Outcome, BoxDynError>> + Send + Sync>;

/// A handler from a closure.
pub(crate) fn handler<F, Fut>(f: F) -> Handler
where
    F: Fn(Delivery) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Outcome, BoxDynError>> + Send + 'static,
{
    Arc::new(move |delivery| Box::pin(f(delivery)))
}

pub(crate) struct Running {
    pub(crate) stop: oneshot::Sender<()>,
    /// Whether it gets on.
    pub(crate) progress: ProgressHandle,
    pub(crate) run: tokio::task::JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    /// Stops the worker as a service would, and waits for its end.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.run.await.unwrap().unwrap();
    }
}

pub(crate) fn id(n: u64) -> JobId {
    JobId::named("test", &[&n.to_be_bytes()])
}

pub(crate) fn job_in(queue: &QueueName, n: u64) -> NewJob {
    NewJob { max_attempts: 3, ..NewJob::new(id(n), "test", queue.clone(), &n).unwrap() }
}

pub(crate) fn keyed(mut job: NewJob, key: &str, body: &str) -> NewJob {
    job.dedupe = Some(Dedupe { key: key.to_owned(), body_hash: RequestHash::of(body.as_bytes()) });
    job
}

pub(crate) fn failure(code: &str) -> Failure {
    Failure {
        class: "retryable".to_owned(),
        code: code.to_owned(),
        message: format!("it failed: \"{code}\"\n"),
    }
}

pub(crate) fn retry(code: &str) -> Outcome {
    Outcome::Retry { delay: Duration::ZERO, failure: failure(code) }
}

pub(crate) fn numbers(jobs: &[Leased]) -> Vec<u64> {
    jobs.iter().map(|leased| leased.job.envelope.payload.get().parse().unwrap()).collect()
}

pub(crate) fn after_start(by: Duration) -> Timestamp {
    Timestamp::from_unix_ms(START).plus_ms(i64::try_from(by.as_millis()).unwrap())
}
