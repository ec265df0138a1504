-- Prepended to the scripts that add jobs. A job is seven arguments:
-- id, delay_ms, priority, max_attempts, dedupe key (empty: none), body hash, body.
local JOB_ARGS = 7
local EXISTING, CONFLICT = 'E', 'X'

local function read_job(at)
  return { id = ARGV[at], delay = tonumber(ARGV[at + 1]), priority = tonumber(ARGV[at + 2]),
    max_attempts = tonumber(ARGV[at + 3]), key = ARGV[at + 4], hash = ARGV[at + 5], body = ARGV[at + 6] }
end

-- What stands in the way of a job: nil, or why and whose id. `batch` remembers earlier ones of this call.
local function obstacle(job, batch)
  if job.key ~= '' then
    local known = batch.keys[job.key] or redis.call('GET', DEDUPE .. job.key)
    if known then
      local verdict = string.sub(known, 17) == job.hash and EXISTING or CONFLICT
      return verdict .. string.sub(known, 1, 16)
    end
  end
  if batch.ids[job.id] or redis.call('HEXISTS', JOBS, job.id) == 1 then return EXISTING .. job.id end
  batch.ids[job.id] = true
  if job.key ~= '' then batch.keys[job.key] = job.id .. job.hash end
  return nil
end

-- Writes jobs that have no obstacle.
local function insert(jobs, dedupe_ms)
  local records, ready, due_now = {}, { [0] = {}, [1] = {}, [2] = {} }, 0
  for _, job in ipairs(jobs) do
    local header = { priority = job.priority, expiries = 0, attempt = 1, max_attempts = job.max_attempts,
      deliveries = 0, enqueued_ms = now }
    records[#records + 1] = job.id
    records[#records + 1] = pack_header(header) .. job.body
    if job.key ~= '' then
      redis.call('SET', DEDUPE .. job.key, job.id .. job.hash, 'PX', dedupe_ms)
    end
    if job.delay > 0 then
      make_delayed(job.id, job.priority, now + job.delay)
    else
      local list = ready[job.priority]
      list[#list + 1] = ready_entry(job.id, now)
      due_now = due_now + 1
    end
  end
  in_pieces('HSET', JOBS, records, 2)
  for priority = 0, 2 do in_pieces('RPUSH', READY[priority], ready[priority], 1) end
  if due_now > 0 then wake(due_now) end
end
