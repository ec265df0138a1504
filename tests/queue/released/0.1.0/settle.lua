#!lua flags=allow-oom
-- Ends leases with an outcome.
-- Input:  ARGV dedupe_ms, then per token: token, how many are simply done, how many end otherwise; per
--         job that is done: seq, id; per other: seq, id, what, and for
--           'then'    count, then four per follow-up (insert.lua)
--           'retry'   delay_ms, failure (JSON)
--           'defer'   delay_ms, reason
--           'dead'    failure (JSON)
--           'release' nothing: back at once, no delivery counted
--           'unknown' delay_ms, reason: no delivery counted, for a worker that knows it
-- Output: the numbers, from 1 and as given, of the jobs whose leases had ended.
-- Keys:   all.
-- Atomic: the batch; one that ended does not touch the others. Settling twice changes nothing.
-- Bound:  the batch. Follow-ups pass the depth limit: they stand in for the job that ends.
local stale, done, fresh, woken, number = {}, {}, {}, 0, 0
local any_holding = redis.call('EXISTS', HOLDING) == 1
local any_started = redis.call('EXISTS', STARTED) == 1
local worker

-- Back among those that wait, its record in KEPT. A suspect that came through a delivery is none any more.
local function schedule(entry, record, h, delay)
  local due = now + delay
  if h.lane and h.hold_ms and redis.call('HGET', LANES, h.lane) == entry.seq then
    if not may_hold(h, due) then
      keep(entry.seq, rewritten(record, h), now)
      return bury(entry.seq, '{"class":"terminal","code":"lane_hold","message":"it held its lane longer than its kind allows"}')
    end
    redis.call('HSET', LANES, h.lane, 'B' .. entry.seq)
  end
  keep(entry.seq, rewritten(record, h), due)
  if delay > 0 then return make_delayed(entry.seq, h, due) end
  make_ready('RPUSH', entry.seq, h, due)
  woken = woken + 1
end

local function clear(h, flag)
  if has(h, flag) then h.flags = h.flags - flag end
end

-- What every outcome but 'done' begins with: counts the delivery.
local function delivered(seq)
  local record, since = fetch_one(seq)
  local h = read_header(record)
  if h then
    h.deliveries, h.crashes = h.deliveries + 1, 0
    clear(h, SUSPECT)
    clear(h, ASIDE)
  end
  return record, h, since
end

local settle = {}

settle['then'] = function(entry, from)
  done[#done + 1] = entry
  for i = 0, tonumber(ARGV[from]) - 1 do fresh[#fresh + 1] = from + 1 + i * JOB_ARGS end
end

function settle.dead(entry, from)
  local record, h, since = delivered(entry.seq)
  if not h then return bury_unreadable(entry.seq, record) end
  remember(entry.seq, h.attempt, worker, ARGV[from])
  keep(entry.seq, rewritten(record, h), since or h.enqueued_ms)
  bury(entry.seq, ARGV[from])
end

function settle.retry(entry, from)
  local record, h = delivered(entry.seq)
  if not h then return bury_unreadable(entry.seq, record) end
  if h.attempt >= h.max_attempts then return settle.dead(entry, from + 1) end
  remember(entry.seq, h.attempt, worker, ARGV[from + 1])
  h.attempt = h.attempt + 1
  schedule(entry, record, h, tonumber(ARGV[from]))
end

function settle.defer(entry, from)
  local record, h = delivered(entry.seq)
  if not h then return bury_unreadable(entry.seq, record) end
  note(entry.seq, ARGV[from + 1])
  schedule(entry, record, h, tonumber(ARGV[from]))
end

function settle.unknown(entry, from)
  local record = fetch_one(entry.seq)
  local h = read_header(record)
  if not h then return bury_unreadable(entry.seq, record) end
  if not has(h, ASIDE) then h.flags = h.flags + ASIDE end
  redis.call('HINCRBY', META, 'unknown', 1)
  note(entry.seq, ARGV[from + 1])
  schedule(entry, record, h, tonumber(ARGV[from]))
end

function settle.release(entry)
  local record, since = fetch_one(entry.seq)
  local h = read_header(record)
  if not h then return bury_unreadable(entry.seq, record) end
  woken = woken + 1
  if has(h, SUSPECT) then
    entry.lane = nil
    return redis.call('LPUSH', SUSPECTS, entry.seq)
  end
  make_ready('LPUSH', entry.seq, h, since or h.enqueued_ms)
end

local WIDTH = { retry = 2, defer = 2, dead = 1, release = 0, unknown = 2 }

-- The jobs of one token, in the order given; returns where the next token's begin.
local function read_group(at)
  local entries, seqs = {}, {}
  local plain, others = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
  for i = 1, plain do
    seqs[i] = ARGV[at]
    entries[i] = { seq = ARGV[at], id = ARGV[at + 1] }
    at = at + 2
  end
  for i = plain + 1, plain + others do
    seqs[i] = ARGV[at]
    local what = ARGV[at + 2]
    entries[i] = { seq = ARGV[at], id = ARGV[at + 1], what = what, from = at + 3 }
    at = at + 3 + (WIDTH[what] or 1 + tonumber(ARGV[at + 3]) * JOB_ARGS)
  end
  return entries, seqs, at
end

-- Ends the leases that are still those of the token; a second word on the same job finds none.
local function let_go(token, entries, seqs)
  local groups, ended, said, mine = held_under(token, seqs), {}, {}, {}
  for i, entry in ipairs(entries) do
    number = number + 1
    local group = groups[i]
    if not group or said[entry.seq] then
      stale[#stale + 1] = number
    else
      said[entry.seq] = true
      local list = ended[group]
      if not list then
        list = {}
        ended[group] = list
      end
      list[#list + 1] = entry.seq
      mine[#mine + 1] = entry
    end
  end
  if #mine > 0 then worker = read_holder(token).worker end
  for group, list in pairs(ended) do end_leases(group, list) end
  return mine
end

local function settle_group(token, entries, seqs)
  local mine, held = let_go(token, entries, seqs), {}
  for i, entry in ipairs(mine) do held[i] = entry.seq end
  if #mine == 0 then return end
  if any_started then in_pieces('HDEL', STARTED, held, 1) end
  if any_holding then
    for i, lane in ipairs(values_of(HOLDING, held)) do mine[i].lane = lane or nil end
  end
  for _, entry in ipairs(mine) do
    if entry.what then settle[entry.what](entry, entry.from) else done[#done + 1] = entry end
    if entry.lane then
      redis.call('HDEL', HOLDING, entry.seq)
      if redis.call('HGET', LANES, entry.lane) == entry.seq then lane_free(entry.lane) end
    end
  end
end

local at, last = 2, #ARGV
while at <= last do
  local token, entries, seqs = ARGV[at], nil, nil
  entries, seqs, at = read_group(at)
  settle_group(token, entries, seqs)
end

if #done > 0 then
  local seqs = {}
  for i, entry in ipairs(done) do
    seqs[i] = entry.seq
    redis.call('HDEL', ids_key(entry.id), entry.id)
  end
  in_pieces('XDEL', FRESH, seqs, 1)
  if redis.call('EXISTS', KEPT) == 1 then in_pieces('HDEL', KEPT, seqs, 1) end
  for _, key in ipairs({ HISTORY, NOTES }) do
    if redis.call('EXISTS', key) == 1 then in_pieces('HDEL', key, seqs, 1) end
  end
  redis.call('HINCRBY', META, 'done', #done)
end
if #fresh > 0 then insert(fresh, tonumber(ARGV[1])) end
if woken > 0 then wake(woken) end
return stale
