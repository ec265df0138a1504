//! One run: which rows, how many times, how many jobs; a Redis for each measurement.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use payfleet::servers::{AppendFsync, RedisOptions, RedisServer};
use payfleet_tests::measure::Series;
use payfleet_tests::measure::kernel::cpu_ns;
use redis::aio::MultiplexedConnection;

use crate::engine::{Engine, Producer, connect};
use crate::load::Kind;
use crate::stock;
use crate::worker::{Orders, Worker};

/// Jobs of one call while a queue is filled.
pub(crate) const FILL: usize = 500;

/// The settings of this run.
pub(crate) struct Bench {
    /// Times each thing is measured.
    pub(crate) times: usize,
    /// Jobs of one measurement.
    pub(crate) jobs: u64,
    /// Fewer of everything.
    pub(crate) quick: bool,
    /// Names of rows and families; empty: all.
    pub(crate) wanted: BTreeSet<String>,
    /// The most memory that a worker of ours had resident, by row, MiB.
    pub(crate) rss: Mutex<Vec<(String, f64)>>,
}

/// What draining a queue took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    pub(crate) per_s: f64,
    pub(crate) worker_us: f64,
    pub(crate) redis_us: f64,
}

impl Bench {
    pub(crate) fn wants(&self, names: &[&str]) -> bool {
        self.wanted.is_empty() || names.iter().any(|name| self.wanted.contains(*name))
    }

    /// A Redis with nothing in it.
    pub(crate) async fn redis(&self, appendfsync: AppendFsync) -> anyhow::Result<RedisServer> {
        RedisServer::start(RedisOptions { appendfsync, ..RedisOptions::default() }).await
    }

    /// As many of `jobs` as `engine` can have waiting.
    pub(crate) fn possible(&self, engine: Engine, jobs: u64) -> u64 {
        if engine == Engine::Stock { jobs.min(stock::MOST_WAITING) } else { jobs }
    }

    /// Runs `once` for each engine, turn by turn, so that noise hits all of them.
    pub(crate) async fn in_turns<F, T>(
        &self,
        engines: &[Engine],
        mut once: F,
    ) -> anyhow::Result<Vec<(Engine, Vec<T>)>>
    where
        F: AsyncFnMut(Engine) -> anyhow::Result<T>,
    {
        let mut found: Vec<(Engine, Vec<T>)> = engines.iter().map(|&engine| (engine, Vec::new())).collect();
        for _ in 0..self.times {
            for (engine, values) in &mut found {
                values.push(once(*engine).await?);
            }
        }
        Ok(found)
    }

    /// Remembers how much memory a worker of ours had.
    pub(crate) fn note_rss(&self, row: &str, engine: Engine, worker: &Worker) {
        if engine == Engine::Ours {
            let mut rss = self.rss.lock().expect("nobody panics here");
            rss.push((row.to_owned(), worker.peak_rss_mib()));
        }
    }

    /// Fills a queue, then lets one worker process empty it.
    pub(crate) async fn drain(
        &self,
        row: &str,
        engine: Engine,
        fsync: AppendFsync,
        kind: Kind,
        jobs: u64,
        change: impl Fn(&mut Orders),
    ) -> anyhow::Result<Drained> {
        let server = self.redis(fsync).await?;
        let jobs = self.possible(engine, jobs);
        let mut producer = Producer::connect(engine, &server.url()).await?;
        for from in (0..jobs).step_by(50_000) {
            let batch = engine.make(from..jobs.min(from + 50_000), 0, kind);
            producer.put_all(&batch, FILL).await?;
        }
        let mut orders = Orders::new(engine, &server.url(), jobs);
        change(&mut orders);
        let mut worker = Worker::launch(&orders).await?;
        let (worker_before, redis_before) = (worker.cpu_ns(), cpu_ns(server.pid()));
        let began = Instant::now();
        worker.start().await?;
        worker.all().await?;
        while producer.left(jobs).await? > 0 {}
        let took = began.elapsed();
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / 1_000.0 / jobs as f64;
        let drained = Drained {
            per_s: rate(jobs, took),
            worker_us: each(worker_before, worker.cpu_ns()),
            redis_us: each(redis_before, cpu_ns(server.pid())),
        };
        self.note_rss(row, engine, &worker);
        Ok(drained)
    }

    /// What Redis keeps of its data, bytes: without the buffers of clients and of the log, and once it
    /// rests, since a table that is being resized exists twice.
    pub(crate) async fn memory(&self, url: &str) -> anyhow::Result<f64> {
        const LOOKS: usize = 50;
        let mut redis = connect(url).await?;
        let mut beat = tokio::time::interval(Duration::from_millis(200));
        let mut before = f64::NAN;
        for _ in 0..LOOKS {
            beat.tick().await;
            let now = kept(&mut redis).await?;
            if (now - before).abs() < 1_024.0 {
                return Ok(now);
            }
            before = now;
        }
        anyhow::bail!("Redis' memory never rests")
    }
}

async fn kept(redis: &mut MultiplexedConnection) -> anyhow::Result<f64> {
    let info: String = redis::cmd("INFO").arg("memory").query_async(redis).await?;
    let number = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or(0.0)
    };
    Ok(number("used_memory") - number("mem_clients_normal") - number("mem_aof_buffer"))
}

pub(crate) fn rate(jobs: u64, took: Duration) -> f64 {
    jobs as f64 / took.as_secs_f64()
}

/// One number of each measurement, as series.
pub(crate) fn series<T>(found: &[(Engine, Vec<T>)], value: impl Fn(&T) -> f64) -> Vec<(Engine, Series)> {
    let of = |values: &Vec<T>| {
        let mut series = Series::default();
        values.iter().for_each(|one| series.push(value(one)));
        series
    };
    found.iter().map(|(engine, values)| (*engine, of(values))).collect()
}
