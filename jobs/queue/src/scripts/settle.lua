#!lua flags=allow-oom
-- Ends leases with an outcome.
-- Input:  ARGV dedupe_ms, then per lease: id, token, what, and for
--           'done'    count, then seven per follow-up (insert.lua)
--           'retry'   delay_ms, failure (JSON)
--           'defer'   delay_ms
--           'dead'    failure (JSON)
--           'release' nothing: back at once, no delivery counted
-- Output: per lease 1 (applied) or 0 (it had ended).
-- Keys:   all.
-- Atomic: the batch; one that ended does not touch the others. Settling twice changes nothing.
-- Bound:  the batch. Follow-ups pass the depth limit: they stand in for the job that ends.
local answers, done, fresh, woken = {}, {}, {}, 0

local function schedule(id, priority, delay)
  if delay > 0 then
    make_delayed(id, priority, now + delay)
  else
    make_ready('RPUSH', id, priority, now)
    woken = woken + 1
  end
end

-- For every outcome but 'done': counts the delivery and hands on what the header says.
local function delivered(id)
  local record = redis.call('HGET', JOBS, id)
  local h = read_header(record)
  if h then
    h.deliveries = h.deliveries + 1
    return record, h
  end
  return record, nil
end

local settle = {}

function settle.done(id, _, from)
  local count = tonumber(ARGV[from])
  done[#done + 1] = id
  for i = 0, count - 1 do fresh[#fresh + 1] = read_job(from + 1 + i * JOB_ARGS) end
end

function settle.retry(id, packed, from)
  local lease, delay, failure = read_lease(packed), tonumber(ARGV[from]), ARGV[from + 1]
  local record, h = delivered(id)
  if not h then return record and bury(id, failure) end
  remember(id, h.attempt, lease.worker, failure)
  local last = h.attempt >= h.max_attempts
  if not last then h.attempt = h.attempt + 1 end
  rewrite(id, record, h)
  if last then bury(id, failure) else schedule(id, h.priority, delay) end
end

function settle.defer(id, packed, from)
  local lease = read_lease(packed)
  local record, h = delivered(id)
  if h then rewrite(id, record, h) end
  if record then schedule(id, lease.priority, tonumber(ARGV[from])) end
end

function settle.dead(id, packed, from)
  local lease = read_lease(packed)
  local record, h = delivered(id)
  if h then
    remember(id, h.attempt, lease.worker, ARGV[from])
    rewrite(id, record, h)
  end
  if record then bury(id, ARGV[from]) end
end

function settle.release(id, packed)
  local lease = read_lease(packed)
  make_ready('LPUSH', id, lease.priority, lease.ready_ms)
  woken = woken + 1
end

local function width(what, from)
  if what == 'done' then return 1 + tonumber(ARGV[from]) * JOB_ARGS end
  return ({ retry = 2, defer = 1, dead = 1, release = 0 })[what]
end

-- What is asked, in the order asked.
local entries, ids, at = {}, {}, 2
while at <= #ARGV do
  local what = ARGV[at + 2]
  entries[#entries + 1] = { id = ARGV[at], token = tonumber(ARGV[at + 1]), what = what, from = at + 3 }
  ids[#ids + 1] = ARGV[at]
  at = at + 3 + width(what, at + 3)
end

-- Leases that are still those of their tokens end here; a second word on the same job finds none.
local leases, ended = read_leases(ids), {}
for i, entry in ipairs(entries) do
  local lease = leases[entry.id]
  local held = lease and lease_token(lease) == entry.token
  if held then
    entry.lease, leases[entry.id] = lease, nil
    ended[#ended + 1] = entry.id
  end
  answers[i] = held and 1 or 0
end
in_pieces('ZREM', LEASED, ended, 1)
in_pieces('HDEL', LEASES, ended, 1)
for _, entry in ipairs(entries) do
  if entry.lease then settle[entry.what](entry.id, entry.lease, entry.from) end
end

if #done > 0 then
  in_pieces('HDEL', JOBS, done, 1)
  if redis.call('EXISTS', HISTORY) == 1 then in_pieces('HDEL', HISTORY, done, 1) end
  redis.call('HINCRBY', META, 'done', #done)
end
if #fresh > 0 then
  local batch, wanted = { ids = {}, keys = {} }, {}
  for _, job in ipairs(fresh) do
    if not obstacle(job, batch) then wanted[#wanted + 1] = job end
  end
  insert(wanted, ARGV[1])
end
if woken > 0 then wake(woken) end
return answers
