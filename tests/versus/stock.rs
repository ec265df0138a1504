//! The nine cases on apalis-redis 1.0.0.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis::prelude::WorkerBuilderExt;
use apalis_core::backend::ext::BackendExt;
use apalis_core::backend::{TaskSink, Vacuum};
use apalis_core::error::{BoxDynError, WorkerError};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_redis::{Config, RedisStorage};
use redis::AsyncCommands;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::watch::{CutOff, Fault, Runs, Saw, connect, fill_memory, pass, server, until};

const QUEUE: &str = "versus";
const SOON: Duration = Duration::from_secs(15);

pub(crate) type Storage = RedisStorage<u64>;

async fn storage(url: &str) -> anyhow::Result<Storage> {
    with(url, Config::default()).await
}

pub(crate) async fn with(url: &str, config: Config) -> anyhow::Result<Storage> {
    Ok(RedisStorage::new(apalis_redis::connect(url).await?).with_config(config.queue(QUEUE)))
}

/// So that nobody has to wait for the 300 s after which a worker counts as dead.
pub(crate) fn impatient() -> Config {
    Config::default().heartbeat_interval(Duration::from_secs(1)).missed_heartbeats(2)
}

pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    pub(crate) run: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    /// Asks it to stop, and says how it ended.
    async fn stop(self) -> String {
        let Self { stop, mut run } = self;
        let _ = stop.send(());
        match tokio::time::timeout(SOON, &mut run).await {
            Ok(Ok(Ok(()))) => "without an error".to_owned(),
            Ok(Ok(Err(error))) => format!("with \"{}\"", first_words(&error.to_string())),
            Ok(Err(error)) => format!("with \"{}\"", first_words(&error.to_string())),
            Err(_) => {
                run.abort();
                "not at all".to_owned()
            }
        }
    }
}

/// Enough of an error to know it by, fit for a table.
fn first_words(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default().replace('|', "/");
    // The hash of a script says nothing.
    let line = line.split(" script: ").next().unwrap_or(&line).to_owned();
    line.chars().take(110).collect()
}

pub(crate) fn worker<F, Fut>(storage: &Storage, called: &str, concurrency: usize, handle: F) -> Worker
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxDynError>> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let signal = async move {
        let _ = stopped.await;
        Ok::<(), WorkerError>(())
    };
    let backend = storage.clone().poll_with_interval(Duration::from_millis(50));
    let builder = WorkerBuilder::new(called.to_owned()).backend(backend).concurrency(concurrency);
    let worker = builder.build(move |n: u64| handle(n));
    Worker { stop, run: payfleet_process::spawn("a stock worker", worker.run_until(signal)) }
}

fn counting(storage: &Storage, called: &str, concurrency: usize, runs: &Runs, takes: Duration) -> Worker {
    let runs = runs.clone();
    worker(storage, called, concurrency, move |n| {
        runs.count(n);
        async move {
            if !takes.is_zero() {
                pass(takes).await;
            }
            Ok(())
        }
    })
}

async fn push(storage: &mut Storage, count: u64) -> anyhow::Result<()> {
    Ok(storage.push_bulk((0..count).collect()).await?)
}

pub(crate) async fn many_due() -> anyhow::Result<Saw> {
    const JOBS: usize = 10_000;
    let server = server().await?;
    let mut storage = storage(&server.url()).await?;
    for _ in 0..10 {
        push(&mut storage, JOBS as u64 / 10).await?;
    }
    let runs = Runs::default();
    let mut endings = Vec::new();
    for called in ["w1", "w2"] {
        let worker = counting(&storage, called, 100, &runs, Duration::ZERO);
        until(SOON, async || worker.run.is_finished() || runs.total() == JOBS).await;
        endings.push(worker.stop().await);
    }
    let words = format!("{} of {JOBS} ran; both workers ended, {}", runs.total(), endings[0]);
    Ok(Saw::new(runs.total() == JOBS, words))
}

pub(crate) async fn redis_fails() -> anyhow::Result<Saw> {
    let (mut fine, mut words) = (true, Vec::new());
    for fault in Fault::ALL {
        let (survived, seen) = survives(fault).await?;
        fine &= survived;
        words.push(format!("{}: {seen}", fault.name()));
    }
    Ok(Saw::new(fine, words.join("; ")))
}

async fn survives(fault: Fault) -> anyhow::Result<(bool, String)> {
    let mut server = server().await?;
    let mut storage = storage(&server.url()).await?;
    push(&mut storage, 1).await?;
    let (_go, gone) = watch::channel(false);
    let (runs, cut_off) = (Runs::default(), Arc::new(AtomicUsize::new(0)));
    let (counted, cut) = (runs.clone(), Arc::clone(&cut_off));
    let worker = worker(&storage, "w", 2, move |n| {
        counted.count(n);
        let (watched, mut gone) = (CutOff::watch(&cut), gone.clone());
        async move {
            gone.wait_for(|go| *go).await?;
            watched.ended();
            Ok(())
        }
    });
    anyhow::ensure!(until(SOON, async || runs.total() == 1).await, "the handler starts");
    fault.strike(&mut server).await?;
    let patience = Duration::from_secs(5);
    let ended = until(patience, async || worker.run.is_finished()).await;
    let dropped = cut_off.load(Ordering::SeqCst) > 0;
    let words = match (ended, dropped) {
        (true, true) => "the worker ended, its handler was dropped in mid-await",
        (true, false) => "the worker ended",
        (false, _) => "the worker went on",
    };
    worker.run.abort();
    Ok((!ended, words.to_owned()))
}

pub(crate) async fn one_key() -> anyhow::Result<Saw> {
    let server = server().await?;
    let mut storage = storage(&server.url()).await?;
    for n in 0..5 {
        storage.push_task(TaskBuilder::new(n).idempotency_key("one").build()).await?;
    }
    let runs = Runs::default();
    let worker = counting(&storage, "w", 4, &runs, Duration::ZERO);
    until(Duration::from_secs(3), async || runs.total() >= 5).await;
    worker.stop().await;
    Ok(Saw::new(runs.total() == 1, format!("{} executions", runs.total())))
}

pub(crate) async fn long_jobs() -> anyhow::Result<Saw> {
    let server = server().await?;
    let mut storage = with(&server.url(), impatient()).await?;
    push(&mut storage, 10).await?;
    let runs = Runs::default();
    let takes = Duration::from_millis(1_200);
    let first = counting(&storage, "w1", 1, &runs, takes);
    until(SOON, async || runs.total() >= 1).await;
    let second = counting(&storage, "w2", 1, &runs, takes);
    until(Duration::from_secs(20), async || runs.total() >= 20).await;
    first.run.abort();
    second.run.abort();
    let words = format!("{} executions of {} jobs", runs.total(), runs.jobs());
    Ok(Saw::new(runs.total() == 10, words))
}

pub(crate) async fn same_name() -> anyhow::Result<Saw> {
    let server = server().await?;
    let mut storage = storage(&server.url()).await?;
    let runs = Runs::default();
    storage.push(0).await?;
    let worker = counting(&storage, "the-same", 1, &runs, Duration::ZERO);
    until(SOON, async || runs.total() == 1).await;
    worker.stop().await;
    storage.push(1).await?;
    let worker = counting(&storage, "the-same", 1, &runs, Duration::ZERO);
    until(Duration::from_secs(5), async || worker.run.is_finished() || runs.total() == 2).await;
    let ending = worker.stop().await;
    let words = format!("refused: ended {ending} (for up to 300 s)");
    Ok(Saw::new(runs.total() == 2, if runs.total() == 2 { "starts at once".to_owned() } else { words }))
}

pub(crate) async fn always_fails() -> anyhow::Result<Saw> {
    let server = server().await?;
    let mut storage = storage(&server.url()).await?;
    let runs = Runs::default();
    let counted = runs.clone();
    let worker = worker(&storage, "w", 1, move |n| {
        counted.count(n);
        async { Err("no luck".into()) }
    });
    storage.push_task(TaskBuilder::new(0).max_attempts(3).build()).await?;
    until(Duration::from_secs(20), async || runs.total() > 4).await;
    worker.stop().await;
    let dead: u64 = connect(&server.url()).await?.scard(storage.get_config().dead_jobs_set()).await?;
    let words = format!("{} executions within 20 s, {dead} dead; it goes on to 25", runs.total());
    Ok(Saw::new(runs.total() == 3 && dead == 1, words))
}

const GOOD: u64 = 20;

pub(crate) async fn aborts(program: &Path) -> anyhow::Result<Saw> {
    let server = server().await?;
    let mut storage = with(&server.url(), impatient()).await?;
    push(&mut storage, GOOD + 1).await?;
    let mut redis = connect(&server.url()).await?;
    for _ in 0..8 {
        let mut child = tokio::process::Command::new(program);
        let mut child = child.args(["stock-worker", &server.url()]).kill_on_drop(true).spawn()?;
        // By its heartbeats it finds what the one before left behind.
        let _ = tokio::time::timeout(Duration::from_secs(6), child.wait()).await;
    }
    let aborts: u64 = redis.get("aborts").await?;
    let dead: u64 = redis.scard(storage.get_config().dead_jobs_set()).await?;
    let done: u64 = redis.scard(storage.get_config().done_jobs_set()).await?;
    let words = format!("executed {aborts} times, {dead} dead; {done} of {GOOD} good ones done");
    Ok(Saw::new(dead == 1 && done == GOOD, words))
}

pub(crate) async fn cleaned_up() -> anyhow::Result<Saw> {
    let server = server().await?;
    let mut storage = storage(&server.url()).await?;
    let runs = Runs::default();
    let counted = runs.clone();
    let handle = move |n| {
        let first = n == 0 && counted.count(n) == 1;
        if n > 0 {
            counted.count(n);
        }
        async move { if first { Err("not yet".into()) } else { Ok(()) } }
    };
    push(&mut storage, 1).await?;
    let failing_once = worker(&storage, "w1", 1, handle.clone());
    let mut redis = connect(&server.url()).await?;
    let scheduled = storage.get_config().scheduled_jobs_set();
    let waits_for_retry = until(SOON, async || {
        let waiting: u64 = redis.clone().zcard(&scheduled).await.unwrap_or(0);
        runs.total() == 1 && waiting == 1
    })
    .await;
    failing_once.stop().await;
    let vacuumed = storage.vacuum().await?;
    storage.push_bulk((1..=5).collect()).await?;
    pass(Duration::from_secs(2)).await;
    let second = worker(&storage, "w2", 1, handle);
    until(Duration::from_secs(5), async || second.run.is_finished() || runs.jobs() == 6).await;
    let ending = second.stop().await;
    let good = runs.jobs().saturating_sub(1);
    let claimed: u64 = redis.scard(format!("{}:w2", storage.get_config().inflight_jobs_set())).await?;
    let words = format!(
        "{vacuumed} removed; the next worker ended {ending}; {good} of the 5 ran, {claimed} jobs are claimed by nobody"
    );
    Ok(Saw::new(waits_for_retry && good == 5 && runs.total() == 7, words))
}

pub(crate) async fn out_of_memory() -> anyhow::Result<Saw> {
    let server = server().await?;
    let mut storage = storage(&server.url()).await?;
    push(&mut storage, 200).await?;
    fill_memory(&server.url()).await?;
    let runs = Runs::default();
    let worker = counting(&storage, "w", 16, &runs, Duration::ZERO);
    until(Duration::from_secs(5), async || worker.run.is_finished() || runs.jobs() == 200).await;
    let ending = worker.stop().await;
    Ok(Saw::new(runs.jobs() == 200, format!("{} of 200 ran; the worker ended {ending}", runs.jobs())))
}
