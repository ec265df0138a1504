//! One worker process: a pool of handlers per queue under apalis' monitor, and what runs beside them.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{Monitor, WorkerBuilder};
use payfleet_core::kinds::JobKind;
use payfleet_core::provider::Provider;
use payfleet_process::{SystemClock, spawn};
use payfleet_providers::gate::Gate;
use payfleet_providers::{Clients, Configs};
use payfleet_queue::admin::{Severity, check_server};
use payfleet_queue::backend::{BackendOptions, Delivery, RedisBackend};
use payfleet_queue::{Outcome, Queue};
use payfleet_store::Store;
use tokio_util::sync::CancellationToken;

use crate::executor::Executor;
use crate::handlers::{Callbacks, Handlers, WEBHOOKS_AT_ONCE};
use crate::health::{self, Health};
use crate::weather::Weather;
use crate::{Config, archiver, chains, rescuer, scheduler, teller};

/// A worker could not start, or could not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The queue's settings are wrong.
    #[error("the queue cannot be used: {0}")]
    Queue(#[from] payfleet_queue::Error),
    /// The store's settings are wrong.
    #[error("the store cannot be used: {0}")]
    Store(#[from] payfleet_store::StoreError),
    /// A provider's settings are wrong.
    #[error("a provider cannot be used: {0}")]
    Provider(#[from] payfleet_providers::ConfigError),
    /// Redis answers, and what it is set to would lose accepted jobs.
    #[error("this Redis must not be given work: {0}")]
    UnsafeRedis(String),
    /// A kind's name is no queue's name.
    #[error(transparent)]
    QueueName(#[from] payfleet_core::job::InvalidQueueName),
    /// The address that health is told at cannot be listened on.
    #[error("HEALTH_LISTEN: cannot listen on {address}: {error}")]
    Health {
        /// Which.
        address: std::net::SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The workers ended with an error.
    #[error("the workers ended: {0}")]
    Monitor(String),
}

/// Runs a worker until `stop`, then finishes or releases what it holds.
///
/// # Errors
/// [`RunError`], where a setting is wrong. Redis or Postgres being away is no error: it waits.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), RunError> {
    let queue = Queue::open(config.queue.clone())?;
    let store = Store::connect_lazy(&config.database_url, config.database_connections)?;
    let listener = match config.health_listen {
        Some(address) => {
            Some(health::listen(address).await.map_err(|error| RunError::Health { address, error })?)
        }
        None => None,
    };
    refuse_unsafe(&queue).await?;
    let providers = configured(&config);
    let weather = Weather::new(&queue, &config.limits, config.breaker)?;
    let gate: Arc<dyn Gate> = Arc::new(weather.clone());
    let clients = Clients::new(config.providers.clone())?;
    let clients = Arc::new(clients.behind(&gate));
    let executor =
        Executor::new(store.clone(), clients.clone(), weather, &config.name, config.confirm_interval);
    let clock = Arc::new(SystemClock);
    let callbacks = Callbacks::new(&config.receivers)?;
    let handlers = Handlers::new(
        executor,
        store.clone(),
        queue.clone(),
        clients,
        callbacks,
        clock.clone(),
        config.finality,
    );

    let health = Health::default();
    let mut monitor = Monitor::new();
    // A worker that knows no receiver leaves telling them to those that do.
    let tells = |kind: &JobKind| *kind != JobKind::Notify || !config.receivers.all.is_empty();
    for kind in JobKind::ALL.into_iter().filter(tells) {
        monitor = register(monitor, kind, &queue, &handlers, &config, &health)?;
    }
    let queues = JobKind::ALL.into_iter().map(JobKind::queue).collect::<Result<Vec<_>, _>>()?;
    let plan = scheduler::Plan { providers, every: config.reconcile_every };
    let beside = [
        spawn("rescuer", rescuer::run(store.clone(), queue.clone(), stop.clone())),
        spawn("archiver", archiver::run(store.clone(), queue.clone(), queues, stop.clone())),
        spawn(
            "chains",
            chains::run(store.clone(), queue.clone(), clock.clone(), config.confirm_interval, stop.clone()),
        ),
        spawn("scheduler", scheduler::run(store.clone(), queue.clone(), clock, plan, stop.clone())),
        spawn("teller", teller::run(store.clone(), queue.clone(), config.receivers.clone(), stop.clone())),
    ];
    let telling = listener.map(|listener| spawn("health", health::serve(listener, health, stop.clone())));
    tracing::info!(worker.name = config.name, "The worker is running.");
    let result = monitor
        .shutdown_timeout(config.shutdown_grace)
        .run_with_signal(async move {
            stop.cancelled().await;
            Ok(())
        })
        .await;
    for task in beside.into_iter().chain(telling) {
        // A task that panicked has said so; the others have stopped with the token.
        let _ = task.await;
    }
    store.close().await;
    tracing::info!(worker.name = config.name, "The worker has stopped.");
    result.map_err(|error| RunError::Monitor(error.to_string()))
}

/// A Redis that evicts would lose jobs that were accepted. One that is away is waited for.
async fn refuse_unsafe(queue: &Queue) -> Result<(), RunError> {
    let findings = match check_server(queue).await {
        Ok(findings) => findings,
        Err(error) => {
            tracing::warn!("Redis could not be checked and is waited for: {error}");
            return Ok(());
        }
    };
    for finding in findings {
        match finding.severity {
            Severity::Error => return Err(RunError::UnsafeRedis(finding.message)),
            Severity::Warning => tracing::warn!("Redis: {}", finding.message),
        }
    }
    Ok(())
}

fn register(
    monitor: Monitor,
    kind: JobKind,
    queue: &Queue,
    handlers: &Handlers,
    config: &Config,
    health: &Health,
) -> Result<Monitor, RunError> {
    let name = kind.queue()?;
    let options = BackendOptions {
        worker: config.name.clone(),
        concurrency: concurrency(kind, config),
        renew_every: renewal(config.queue.lease),
        retry: kind.policy().backoff,
        // A kind may call several providers, and a limited one is not to hold up the others' jobs.
        limiters: Vec::new(),
    };
    let (queue, handlers, health) = (queue.clone(), handlers.clone(), health.clone());
    Ok(monitor.register(move |_restarts| {
        let backend = RedisBackend::new(queue.clone(), name.clone(), options.clone());
        health.watch(name.clone(), backend.progress());
        let handlers = handlers.clone();
        WorkerBuilder::new(format!("{}-{kind}", options.worker)).backend(backend).build(
            move |delivery: Delivery| {
                let handlers = handlers.clone();
                async move { Ok::<Outcome, std::convert::Infallible>(handlers.handle(&delivery.job).await) }
            },
        )
    }))
}

/// Webhooks wait for the batch they are in, and fill it by being many.
fn concurrency(kind: JobKind, config: &Config) -> usize {
    if kind == JobKind::Webhook { config.concurrency.max(WEBHOOKS_AT_ONCE) } else { config.concurrency }
}

/// Three heartbeats a lease: two may be lost.
fn renewal(lease: Duration) -> Duration {
    lease.checked_div(3).unwrap_or(lease)
}

fn configured(config: &Config) -> Vec<Provider> {
    let Configs { heleket, trovotech, stripe, tatum } = &config.providers;
    [
        heleket.as_ref().map(|_| Provider::Heleket),
        trovotech.as_ref().map(|_| Provider::TrovoTech),
        stripe.as_ref().map(|_| Provider::Stripe),
        tatum.as_ref().map(|_| Provider::Tatum),
    ]
    .into_iter()
    .flatten()
    .collect()
}
