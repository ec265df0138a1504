//! The reference *stream*: XADD; XREADGROUP COUNT 256, XACK and XDEL by two readers. It has no
//! dedupe, no delay, no retry, and never looks at entries that a dead reader left behind: the
//! least a queue on Redis can cost.

use std::sync::Arc;

use redis::Pipeline;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Semaphore, mpsc};

use crate::engine::connect;
use crate::load::Plain;
use crate::seen::Seen;

const BATCH: usize = 256;
const READERS: usize = 2;
const KEY: &str = "stream";
const GROUP: &str = "workers";
const PATIENCE_MS: u64 = 1_000;

pub(crate) async fn create(redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
    let mut create = redis::cmd("XGROUP");
    create.arg("CREATE").arg(KEY).arg(GROUP).arg("0").arg("MKSTREAM");
    // A second producer finds it there.
    let _: redis::RedisResult<()> = create.query_async(redis).await;
    Ok(())
}

pub(crate) async fn put(redis: &mut MultiplexedConnection, jobs: &[Plain]) -> anyhow::Result<()> {
    let mut pipe = redis::pipe();
    for job in jobs {
        pipe.cmd("XADD").arg(KEY).arg("*").arg("p").arg(&job.payload).ignore();
    }
    let () = pipe.query_async(redis).await?;
    Ok(())
}

pub(crate) async fn left(redis: &mut MultiplexedConnection) -> anyhow::Result<u64> {
    Ok(redis::cmd("XLEN").arg(KEY).query_async(redis).await?)
}

/// Per stream its name and entries; per entry its id, name and payload.
type Entry = (Vec<u8>, (Vec<u8>, Vec<u8>));
type Reply = Option<Vec<(String, Vec<Entry>)>>;

fn add_done(pipe: &mut Pipeline, ids: &[Vec<u8>]) {
    if !ids.is_empty() {
        pipe.cmd("XACK").arg(KEY).arg(GROUP).arg(ids).ignore();
        pipe.cmd("XDEL").arg(KEY).arg(ids).ignore();
    }
}

fn add_read(pipe: &mut Pipeline, reader: usize, count: usize) {
    let read = pipe.cmd("XREADGROUP").arg("GROUP").arg(GROUP).arg(reader);
    read.arg("COUNT").arg(count).arg("BLOCK").arg(PATIENCE_MS).arg("STREAMS").arg(KEY).arg(">");
}

fn entries(reply: (Reply,)) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let streams = reply.0.unwrap_or_default().into_iter();
    streams.flat_map(|(_, entries)| entries).map(|(id, (_, payload))| (id, payload))
}

pub(crate) async fn work(url: &str, concurrency: usize, seen: Arc<Seen>) -> anyhow::Result<()> {
    let readers = (0..READERS).map(|reader| {
        let (url, seen) = (url.to_owned(), Arc::clone(&seen));
        payfleet_process::spawn("a stream's reader", async move {
            let redis = connect(&url).await?;
            if seen.is_instant() {
                read_inline(redis, reader, seen).await
            } else {
                let acks = connect(&url).await?;
                read_spawned(redis, acks, reader, concurrency / READERS, seen).await
            }
        })
    });
    for ended in futures::future::join_all(readers).await {
        ended??;
    }
    Ok(())
}

async fn read_inline(mut redis: MultiplexedConnection, reader: usize, seen: Arc<Seen>) -> anyhow::Result<()> {
    let mut done: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut pipe = redis::pipe();
        add_done(&mut pipe, &done);
        add_read(&mut pipe, reader, BATCH);
        let reply: (Reply,) = pipe.query_async(&mut redis).await?;
        done.clear();
        for (id, payload) in entries(reply) {
            seen.handle_now(&payload);
            done.push(id);
        }
    }
}

async fn read_spawned(
    mut redis: MultiplexedConnection,
    mut acks: MultiplexedConnection,
    reader: usize,
    concurrency: usize,
    seen: Arc<Seen>,
) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(concurrency));
    let (ended, mut outbox) = mpsc::unbounded_channel();
    payfleet_process::spawn("stream acks", async move {
        let mut ids = Vec::new();
        while outbox.recv_many(&mut ids, BATCH).await > 0 {
            let mut pipe = redis::pipe();
            add_done(&mut pipe, &ids);
            let () = pipe.query_async(&mut acks).await.expect("Redis is there");
            ids.clear();
        }
    });
    loop {
        drop(slots.acquire().await?);
        let mut pipe = redis::pipe();
        add_read(&mut pipe, reader, slots.available_permits().clamp(1, BATCH));
        let reply: (Reply,) = pipe.query_async(&mut redis).await?;
        for (id, payload) in entries(reply) {
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let (seen, ended) = (Arc::clone(&seen), ended.clone());
            payfleet_process::spawn("a job", async move {
                seen.handle(&payload).await;
                drop(slot);
                let _ = ended.send(id);
            });
        }
    }
}
