//! The reference *lease*: what a careful person writes by hand in an afternoon. Two batched Lua
//! scripts over a hash of jobs, a list of ready ids, a sorted set of leases and a hash of attempts,
//! with a dedupe key. No retries, delays, priorities, history, limits or fencing.

use std::sync::{Arc, LazyLock};

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Pipeline};

use crate::engine::connect;
use crate::load::Plain;
use crate::seen::Seen;

/// Jobs of one take.
const BATCH: usize = 256;
/// Loops of one worker.
const LOOPS: usize = 2;
/// How long a blocking wait lasts, seconds.
const PATIENCE: u64 = 1;

/// ARGV: id, key or '', payload per job. Answers how many are new.
const PUT: &str = r"
local jobs, ids = {}, {}
for at = 1, #ARGV, 3 do
  local key = ARGV[at + 1]
  if key == '' or redis.call('SET', KEYS[1] .. ':key:' .. key, ARGV[at], 'NX', 'PX', 86400000) then
    jobs[#jobs + 1] = ARGV[at]
    jobs[#jobs + 1] = ARGV[at + 2]
    ids[#ids + 1] = ARGV[at]
  end
end
for from = 1, #ids, 1000 do
  local to = math.min(from + 999, #ids)
  redis.call('HSET', KEYS[1] .. ':jobs', unpack(jobs, 2 * from - 1, 2 * to))
  redis.call('RPUSH', KEYS[1] .. ':ready', unpack(ids, from, to))
end
if #ids > 0 and redis.call('LLEN', KEYS[1] .. ':wake') < 8 then redis.call('RPUSH', KEYS[1] .. ':wake', '1') end
return #ids
";

/// ARGV: how many, lease in ms. Answers ids and payloads, in turns.
const TAKE: &str = r"
local ids = redis.call('LPOP', KEYS[1] .. ':ready', ARGV[1])
if not ids or #ids == 0 then return {} end
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
local payloads = redis.call('HMGET', KEYS[1] .. ':jobs', unpack(ids))
local attempts = redis.call('HMGET', KEYS[1] .. ':attempts', unpack(ids))
local leases, counts, out = {}, {}, {}
for i, id in ipairs(ids) do
  leases[2 * i - 1], leases[2 * i] = ends, id
  counts[2 * i - 1], counts[2 * i] = id, (attempts[i] or 0) + 1
  out[2 * i - 1], out[2 * i] = id, payloads[i]
end
redis.call('ZADD', KEYS[1] .. ':leases', unpack(leases))
redis.call('HSET', KEYS[1] .. ':attempts', unpack(counts))
return out
";

/// ARGV: ids.
const DONE: &str = r"
redis.call('ZREM', KEYS[1] .. ':leases', unpack(ARGV))
redis.call('HDEL', KEYS[1] .. ':attempts', unpack(ARGV))
redis.call('HDEL', KEYS[1] .. ':jobs', unpack(ARGV))
return #ARGV
";

static PUT_SCRIPT: LazyLock<redis::Script> = LazyLock::new(|| redis::Script::new(PUT));
static TAKE_SCRIPT: LazyLock<redis::Script> = LazyLock::new(|| redis::Script::new(TAKE));
static DONE_SCRIPT: LazyLock<redis::Script> = LazyLock::new(|| redis::Script::new(DONE));

pub(crate) async fn put(redis: &mut MultiplexedConnection, jobs: &[Plain]) -> anyhow::Result<()> {
    let mut call = PUT_SCRIPT.key("lease");
    for job in jobs {
        call.arg(&job.id[..]).arg(&job.key).arg(&job.payload);
    }
    let _: u64 = call.invoke_async(redis).await?;
    Ok(())
}

pub(crate) async fn left(redis: &mut MultiplexedConnection) -> anyhow::Result<u64> {
    Ok(redis.hlen("lease:jobs").await?)
}

/// id and payload, in turns.
type Batch = Vec<Vec<u8>>;

fn add_done(pipe: &mut Pipeline, ids: &[Vec<u8>]) {
    if !ids.is_empty() {
        pipe.cmd("EVALSHA").arg(DONE_SCRIPT.get_hash()).arg(1).arg("lease").arg(ids).ignore();
    }
}

fn add_take(pipe: &mut Pipeline, count: usize) {
    pipe.cmd("EVALSHA").arg(TAKE_SCRIPT.get_hash()).arg(1).arg("lease").arg(count).arg(30_000);
}

async fn load(redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
    for code in [TAKE, DONE] {
        let _: String = redis::cmd("SCRIPT").arg("LOAD").arg(code).query_async(redis).await?;
    }
    Ok(())
}

async fn wait(redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
    let _: Option<(String, String)> =
        redis::cmd("BLPOP").arg("lease:wake").arg(PATIENCE).query_async(redis).await?;
    Ok(())
}

pub(crate) async fn work(url: &str, seen: Arc<Seen>) -> anyhow::Result<()> {
    anyhow::ensure!(seen.is_instant(), "this loop runs its jobs inline");
    load(&mut connect(url).await?).await?;
    let loops = (0..LOOPS).map(|_| {
        let (url, seen) = (url.to_owned(), Arc::clone(&seen));
        payfleet_process::spawn("a lease loop", async move { work_inline(connect(&url).await?, seen).await })
    });
    for ended in futures::future::join_all(loops).await {
        ended??;
    }
    Ok(())
}

/// Runs each batch and acknowledges it together with the next take.
async fn work_inline(mut redis: MultiplexedConnection, seen: Arc<Seen>) -> anyhow::Result<()> {
    let mut done: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut pipe = redis::pipe();
        add_done(&mut pipe, &done);
        add_take(&mut pipe, BATCH);
        let (batch,): (Batch,) = pipe.query_async(&mut redis).await?;
        done.clear();
        if batch.is_empty() {
            wait(&mut redis).await?;
        }
        let mut fields = batch.into_iter();
        while let (Some(id), Some(payload)) = (fields.next(), fields.next()) {
            seen.handle_now(&payload);
            done.push(id);
        }
    }
}
