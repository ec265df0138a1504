//! The nine cases on payfleet-queue.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis_core::error::{BoxDynError, WorkerError};
use apalis_core::worker::builder::WorkerBuilder;
use payfleet::servers::RedisServer;
use payfleet_core::JobId;
use payfleet_core::backoff::Backoff;
use payfleet_core::ids::{RequestHash, TenantId};
use payfleet_core::job::{Dedupe, NewJob, Origin, QueueName, TraceContext};
use payfleet_queue::backend::{BackendOptions, Delivery, RedisBackend};
use payfleet_queue::{Config, Enqueued, Error, Outcome, Queue, QueueStats};
use redis::AsyncCommands;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::watch::{CutOff, Fault, Runs, Saw, connect, fill_memory, pass, server, until};

const SOON: Duration = Duration::from_secs(30);

fn name() -> QueueName {
    QueueName::try_from("versus").expect("a good name")
}

fn open(url: &str) -> anyhow::Result<Queue> {
    Ok(Queue::open(Config::new(url))?)
}

/// With leases of a second, where the case is about their end.
pub(crate) fn open_impatient(url: &str) -> anyhow::Result<Queue> {
    let mut config = Config::new(url);
    config.lease = Duration::from_secs(1);
    Ok(Queue::open(config)?)
}

fn job(n: u64) -> NewJob {
    NewJob {
        id: JobId::named("versus", &[&n.to_be_bytes()]),
        kind: "versus".to_owned(),
        queue: name(),
        tenant: TenantId::default(),
        payload: serde_json::value::to_raw_value(&n).expect("a number is JSON"),
        payload_version: 1,
        facts: std::collections::BTreeMap::new(),
        dedupe: None,
        lane: None,
        priority: 1,
        delay_ms: 0,
        max_attempts: 3,
        deadline: None,
        trace: TraceContext::default(),
        origin: Origin::Api,
        parent: None,
    }
}

fn jobs(count: u64) -> Vec<NewJob> {
    (0..count).map(job).collect()
}

async fn stats(queue: &Queue) -> Option<QueueStats> {
    queue.stats(&[name()]).await.ok()?.pop()
}

async fn settled(queue: &Queue, done: u64, dead: u64) -> bool {
    until(SOON, async || stats(queue).await.is_some_and(|s| s.done == done && s.dead == dead)).await
}

pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    pub(crate) run: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        Ok(tokio::time::timeout(SOON, self.run).await???)
    }
}

/// A worker whose handler is told the job's number.
pub(crate) fn worker<F, Fut>(queue: &Queue, worker: &str, concurrency: usize, handle: F) -> Worker
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxDynError>> + Send + 'static,
{
    let mut options = BackendOptions::new(worker);
    options.concurrency = concurrency;
    options.retry = Backoff { base_ms: 500, cap_ms: 500 };
    let backend = RedisBackend::new(queue.clone(), name(), options);
    let (stop, stopped) = oneshot::channel::<()>();
    let signal = async move {
        let _ = stopped.await;
        Ok::<(), WorkerError>(())
    };
    let handler = move |delivery: Delivery| {
        let handling = delivery.job.envelope.payload.get().parse().map(&handle);
        async move { handling?.await.map(|()| Outcome::done()) }
    };
    let worker = WorkerBuilder::new(worker).backend(backend).build(handler);
    Worker { stop, run: payfleet_process::spawn("a worker", worker.run_until(signal)) }
}

/// A worker that counts what it runs.
fn counting(queue: &Queue, called: &str, concurrency: usize, runs: &Runs, takes: Duration) -> Worker {
    let runs = runs.clone();
    worker(queue, called, concurrency, move |n| {
        runs.count(n);
        async move {
            if !takes.is_zero() {
                pass(takes).await;
            }
            Ok(())
        }
    })
}

pub(crate) async fn many_due() -> anyhow::Result<Saw> {
    const JOBS: usize = 10_000;
    let server = server().await?;
    let queue = open(&server.url())?;
    for batch in jobs(JOBS as u64).chunks(1_000) {
        queue.enqueue(batch).await?;
    }
    let runs = Runs::default();
    let worker = counting(&queue, "w", 100, &runs, Duration::ZERO);
    settled(&queue, JOBS as u64, 0).await;
    worker.stop().await?;
    Ok(Saw::new(
        runs.jobs() == JOBS && runs.total() == JOBS,
        format!("{} of {JOBS} ran, each once, by one worker", runs.jobs()),
    ))
}

pub(crate) async fn redis_fails() -> anyhow::Result<Saw> {
    let (mut fine, mut words) = (true, Vec::new());
    for fault in Fault::ALL {
        let went_on = survives(fault).await?;
        fine &= went_on;
        if !went_on {
            words.push(fault.name());
        }
    }
    if fine {
        return Ok(Saw::new(
            true,
            "each time the handler finished, its job was settled once, and the worker went on",
        ));
    }
    Ok(Saw::new(false, format!("the work did not go on after: {}", words.join(", "))))
}

async fn survives(fault: Fault) -> anyhow::Result<bool> {
    let mut server: RedisServer = server().await?;
    let queue = open(&server.url())?;
    queue.enqueue(&jobs(1)).await?;
    let (go, gone) = watch::channel(false);
    let (runs, cut_off) = (Runs::default(), Arc::new(AtomicUsize::new(0)));
    let (counted, cut) = (runs.clone(), Arc::clone(&cut_off));
    let worker = worker(&queue, "w", 2, move |n| {
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
    go.send(true)?;
    until(SOON, async || queue.enqueue(&[job(1)]).await.is_ok()).await;
    let both = settled(&queue, 2, 0).await;
    let is_alive = !worker.run.is_finished();
    worker.stop().await?;
    Ok(both && is_alive && runs.total() == 2 && cut_off.load(Ordering::SeqCst) == 0)
}

pub(crate) async fn one_key() -> anyhow::Result<Saw> {
    let server = server().await?;
    let queue = open(&server.url())?;
    let (runs, mut created) = (Runs::default(), 0);
    let worker = counting(&queue, "w", 4, &runs, Duration::ZERO);
    for n in 0..5 {
        let dedupe = Dedupe { key: "one".to_owned(), body_hash: RequestHash::of(b"the same") };
        let answers = queue.enqueue(&[NewJob { dedupe: Some(dedupe), ..job(n) }]).await?;
        created += answers.iter().filter(|answer| matches!(answer, Enqueued::Created(_))).count();
    }
    settled(&queue, 1, 0).await;
    worker.stop().await?;
    let words =
        format!("{} execution; {created} created, {} answered with its id", runs.total(), 5 - created);
    Ok(Saw::new(runs.total() == 1 && created == 1, words))
}

pub(crate) async fn long_jobs() -> anyhow::Result<Saw> {
    let server = server().await?;
    let queue = open_impatient(&server.url())?;
    queue.enqueue(&jobs(10)).await?;
    let runs = Runs::default();
    // Longer than a lease.
    let takes = Duration::from_millis(1_200);
    let workers = ["w1", "w2"].map(|called| counting(&queue, called, 1, &runs, takes));
    settled(&queue, 10, 0).await;
    for worker in workers {
        worker.stop().await?;
    }
    let words = format!("{} executions of {} jobs", runs.total(), runs.jobs());
    Ok(Saw::new(runs.total() == 10 && runs.jobs() == 10, words))
}

pub(crate) async fn same_name() -> anyhow::Result<Saw> {
    let server = server().await?;
    let queue = open(&server.url())?;
    let runs = Runs::default();
    for n in 0..2 {
        queue.enqueue(&[job(n)]).await?;
        let worker = counting(&queue, "the-same", 1, &runs, Duration::ZERO);
        settled(&queue, n + 1, 0).await;
        worker.stop().await?;
    }
    Ok(Saw::new(runs.jobs() == 2, "starts at once and works"))
}

pub(crate) async fn always_fails() -> anyhow::Result<Saw> {
    let server = server().await?;
    let queue = open(&server.url())?;
    let runs = Runs::default();
    let counted = runs.clone();
    let worker = worker(&queue, "w", 1, move |n| {
        counted.count(n);
        async { Err("no luck".into()) }
    });
    queue.enqueue(&jobs(1)).await?;
    let is_dead = settled(&queue, 0, 1).await;
    worker.stop().await?;
    let words = format!("{} executions, then dead, with its history", runs.total());
    Ok(Saw::new(is_dead && runs.total() == 3, words))
}

const GOOD: u64 = 20;

pub(crate) async fn aborts(program: &Path) -> anyhow::Result<Saw> {
    let server = server().await?;
    let queue = open_impatient(&server.url())?;
    queue.enqueue(&jobs(GOOD + 1)).await?;
    let is_over = async || stats(&queue).await.is_some_and(|s| s.done == GOOD && s.dead == 1);
    for _ in 0..8 {
        let mut child = tokio::process::Command::new(program);
        let mut child = child.args(["our-worker", &server.url()]).kill_on_drop(true).spawn()?;
        // It dies, or there is nothing left to die of.
        let _ = tokio::time::timeout(SOON, async {
            tokio::select! {
                _ = child.wait() => {}
                _ = until(SOON, async || is_over().await) => {}
            }
        })
        .await;
        if is_over().await {
            break;
        }
    }
    let aborts: u64 = connect(&server.url()).await?.get("aborts").await?;
    let end = stats(&queue).await;
    let dead = queue.dead(&name(), 10).await?;
    let why = dead.first().map(|dead| dead.failure.class.clone()).unwrap_or_default();
    let done = end.map_or(0, |end| end.done);
    let words = format!("dead (`{why}`) after {aborts} executions; {done} of {GOOD} good ones done");
    Ok(Saw::new(dead.len() == 1 && done == GOOD, words))
}

pub(crate) async fn cleaned_up() -> anyhow::Result<Saw> {
    let server = server().await?;
    let queue = open(&server.url())?;
    let runs = Runs::default();
    let counted = runs.clone();
    let failing_once = worker(&queue, "w", 1, move |n| {
        let first = counted.count(n) == 1;
        async move { if first { Err("not yet".into()) } else { Ok(()) } }
    });
    // Paused, the job waits for its second attempt as long as we like.
    queue.enqueue(&jobs(1)).await?;
    until(SOON, async || runs.total() >= 1).await;
    queue.pause(&name()).await?;
    // What there is to clean up by hand: it takes only what is dead.
    let dead = queue.dead(&name(), 10).await?;
    let dead: Vec<_> = dead.iter().map(|dead| (dead.job.envelope.id, dead.died_at)).collect();
    let removed = queue.remove_dead(&name(), &dead).await?;
    queue.enqueue(&jobs(6)[1..]).await?;
    queue.resume(&name()).await?;
    let all = settled(&queue, 6, 0).await;
    failing_once.stop().await?;
    let fine = all && removed == 0 && runs.jobs() == 6;
    Ok(Saw::new(fine, "finished jobs leave nothing to clean; the retry and all 5 ran"))
}

pub(crate) async fn out_of_memory() -> anyhow::Result<Saw> {
    let server = server().await?;
    let queue = open(&server.url())?;
    queue.enqueue(&jobs(200)).await?;
    fill_memory(&server.url()).await?;
    let refused = matches!(queue.enqueue(&[job(200)]).await, Err(Error::OutOfMemory));
    let runs = Runs::default();
    let worker = counting(&queue, "w", 16, &runs, Duration::ZERO);
    let all = settled(&queue, 200, 0).await;
    worker.stop().await?;
    let words = format!("{} of 200 run and settled; new ones are refused with a clear error", runs.jobs());
    Ok(Saw::new(all && refused && runs.jobs() == 200, words))
}
