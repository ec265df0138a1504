//! A worker in a process of its own, for tests that kill it, abort it, or break what it is connected to.
//!
//! What its handler does is said by the kind of each job. It says on stdout what it begins and what it
//! ends (`begin ID DELIVERY`, `end ID`), and listens on stdin: `go` lets jobs that wait go on, `stop`
//! ends it as a service would.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use apalis_core::error::{BoxDynError, WorkerError};
use apalis_core::worker::builder::WorkerBuilder;
use payfleet_core::backoff::Backoff;
use payfleet_core::job::{Failure, QueueName};
use payfleet_queue::backend::{BackendOptions, Delivery, RedisBackend};
use payfleet_queue::{Config, Outcome, Queue};
use tokio::sync::watch;

const USAGE: &str = "usage: queue-worker URL PREFIX QUEUE WORKER CONCURRENCY LEASE_MS KIND,KIND,...";

/// How long a job that this worker does not know is left to others.
const NOT_OURS: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context(USAGE);
    let mut config = Config::new(next()?);
    config.prefix = next()?;
    let name = QueueName::try_from(next()?)?;
    let mut options = BackendOptions::new(next()?);
    options.concurrency = next()?.parse()?;
    options.retry = Backoff { base_ms: 0, cap_ms: 0 };
    config.lease = Duration::from_millis(next()?.parse()?);
    let kinds: Arc<[String]> = next()?.split(',').map(str::to_owned).collect();

    let (go, gone) = watch::channel(false);
    let (stop, mut stopped) = watch::channel(false);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let told = if line == "go" { &go } else { &stop };
            told.send_replace(true);
        }
        // Whoever started us is gone, and told us nothing: then nobody shall wait for us.
        std::process::exit(1);
    });
    let signal = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
        Ok::<(), WorkerError>(())
    };
    let worker = options.worker.clone();
    let backend = RedisBackend::new(Queue::open(config)?, name, options);
    let worker = WorkerBuilder::new(worker).backend(backend).build(move |d: Delivery| {
        let (knows, gone) = (kinds.contains(&d.job.envelope.kind), gone.clone());
        async move { if knows { handle(d, gone).await } else { Ok(not_ours(&d)) } }
    });
    worker.run_until(signal).await?;
    Ok(())
}

fn not_ours(delivery: &Delivery) -> Outcome {
    let kind = &delivery.job.envelope.kind;
    Outcome::Unknown { delay: NOT_OURS, reason: format!("this worker does not know jobs of kind {kind}") }
}

async fn handle(delivery: Delivery, mut gone: watch::Receiver<bool>) -> Result<Outcome, BoxDynError> {
    let job = delivery.job;
    let id = job.envelope.id;
    println!("begin {id} {}", job.deliveries);
    let failure = |code: &str| Failure {
        class: "retryable".to_owned(),
        code: code.to_owned(),
        message: "as it was told to".to_owned(),
    };
    let outcome = match job.envelope.kind.as_str() {
        "done" => Outcome::done(),
        "hold" => {
            gone.wait_for(|go| *go).await?;
            Outcome::done()
        }
        "retry-once" if job.attempt == 1 => {
            Outcome::Retry { delay: Duration::ZERO, failure: failure("first_time") }
        }
        "retry-once" => Outcome::done(),
        "die" => Outcome::Dead { failure: failure("hopeless") },
        "abort" => std::process::abort(),
        other => return Err(format!("this worker knows no kind {other}").into()),
    };
    println!("end {id}");
    Ok(outcome)
}
