#!lua flags=allow-oom
-- Hands out jobs, after reaping expired leases and promoting jobs that became due.
-- Input:  ARGV limit, lease_ms, worker, max_bytes, reap_limit, promote_limit, suspects, grace_ms, max_crashes.
--         suspects: how many jobs may be handed out whose lease expired before. grace_ms: after a time
--         that long in which nobody called, leases are not reaped for as long: their holders may live,
--         and it was Redis that was away. 0: never.
-- Output: now_ms, next_due_ms (-1: none), paused (0/1), buried, suspects waiting, token,
--         {seq, record in two parts, ...}, {history, ...} (empty when no job of the queue has any).
-- Keys:   all but DEDUPE and IDS.
-- Atomic: a job is in exactly one place before and after.
-- Bound:  reap_limit + promote_limit + limit + SCAN_SLACK jobs, max_bytes plus one piece, and the last
--         group of leases that is reaped.
local limit, lease_ms, worker = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local max_bytes, reap_limit, promote_limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local suspects, grace_ms, max_crashes = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local PIECE, MAX_PIECE, SCAN_SLACK = 16, 240, 256
local buried = 0
local meta = redis.call('HMGET', META, 'paused', 'token', 'seen', 'grace', 'minute')
local paused = meta[1] and 1 or 0
local token = string.format('%.0f', tonumber(meta[2] or '0') + 1)
local grace_until = tonumber(meta[4] or '0')

local function unreadable(seq, record, lane)
  buried = buried + 1
  bury_unreadable(seq, record or nil, lane or redis.call('HGET', HOLDING, seq) or nil)
end

-- Its holder is gone: it waits for a worker that runs it alone. Its lane stays its own.
local function suspect(lost, started)
  local h = read_header(lost.record)
  if not h then return unreadable(lost.seq, lost.record) end
  h.deliveries = h.deliveries + 1
  if not has(h, SUSPECT) then h.flags = h.flags + SUSPECT end
  if started then h.crashes = h.crashes + 1 end
  keep(lost.seq, rewritten(lost.record, h), lost.since or h.enqueued_ms)
  if h.crashes < max_crashes then return redis.call('LPUSH', SUSPECTS, lost.seq) end
  local message = string.format('%d workers ended while it was running alone; the last was %s', h.crashes, lost.worker)
  bury(lost.seq, '{"class":"crash_loop","code":"lease_expired","message":' .. cjson.encode(message) .. '}')
  if h.lane then
    redis.call('HDEL', HOLDING, lost.seq)
    lane_free(h.lane)
  end
end

local function by_seq(a, b)
  return tonumber(a) < tonumber(b)
end

-- From the last leased to the first, so that those who waited longest end up in front.
local function reap()
  local order, bytes = {}, 0
  for _, group in ipairs(redis.call('ZRANGE', LEASES, '-inf', now, 'BYSCORE', 'LIMIT', 0, reap_limit)) do
    if #order >= reap_limit or bytes > max_bytes then break end
    local seqs, from = redis.call('SMEMBERS', LEASE .. group), read_holder(token_of(group)).worker
    table.sort(seqs, by_seq)
    local records, since = fetch(seqs)
    for i, seq in ipairs(seqs) do
      bytes = bytes + #(records[i] or '')
      order[#order + 1] = { seq = seq, record = records[i], since = since[i], worker = from, token = token_of(group) }
    end
    end_leases(group, seqs)
  end
  local any_started = #order > 0 and redis.call('EXISTS', STARTED) == 1
  for i = #order, 1, -1 do
    local lost = order[i]
    local started = any_started and redis.call('HGET', STARTED, lost.seq) == lost.token
    if started then redis.call('HDEL', STARTED, lost.seq) end
    suspect(lost, started)
  end
end

local function promote()
  local due = redis.call('ZRANGE', DELAYED, '-inf', now * 4 + 3, 'BYSCORE', 'LIMIT', 0, promote_limit, 'WITHSCORES')
  if #due == 0 then return end
  local seqs, entries = {}, { [0] = {}, [1] = {}, [2] = {} }
  for i = 1, #due, 2 do seqs[#seqs + 1] = due[i] end
  in_pieces('ZREM', DELAYED, seqs, 1)
  local lanes = redis.call('EXISTS', SCHEDULED) == 1 and values_of(SCHEDULED, seqs) or {}
  for i, seq in ipairs(seqs) do
    local score = tonumber(due[2 * i])
    local priority, since, lane = score % 4, math.floor(score / 4), lanes[i]
    if lane then
      redis.call('HDEL', SCHEDULED, seq)
      redis.call('SREM', LATER .. lane, seq)
      lane_join(lane, seq, priority, since)
    else
      local list = entries[priority]
      list[#list + 1] = seq
    end
  end
  for priority = 0, 2 do in_pieces('RPUSH', READY[priority], entries[priority], 1) end
end

local leased, jobs, lanes, bytes, scanned, full = {}, {}, {}, 0, 0, false

local function put_back(list, found, from)
  for i = #found, from, -1 do
    local one = found[i]
    if one.lane then redis.call('ZADD', LANE .. one.lane, one.score, one.entry) end
    redis.call('LPUSH', list, one.marker or one.seq)
  end
end

-- What the entries of a ready list stand for.
local function resolve(entries)
  local found = {}
  for _, entry in ipairs(entries) do
    if string.byte(entry) ~= 64 then
      found[#found + 1] = { seq = entry }
    else
      local lane = string.sub(entry, 2)
      local first = redis.call('ZPOPMIN', LANE .. lane)
      if first[1] then
        local seq = read_entry(first[1])
        found[#found + 1] = { seq = seq, lane = lane, marker = entry, entry = first[1], score = first[2] }
      else
        redis.call('HDEL', LANES, lane)
        redis.call('HINCRBY', META, 'laned', 1)
      end
    end
  end
  return found
end

-- Collects the jobs of one piece of a list.
local function collect(list, entries)
  local found, seqs = resolve(entries), {}
  for i, one in ipairs(found) do seqs[i] = one.seq end
  local records, _, heads = fetch(seqs, true)
  for i, one in ipairs(found) do
    local record, head = records[i], heads[i]
    if not record or not readable(record, head) then
      -- No record: its job was cancelled or moved, else it should be here.
      if record or redis.call('SREM', STALE, one.seq) == 0 then
        unreadable(one.seq, record and head .. record, one.lane)
      end
    elseif #leased > 0 and bytes + #record > max_bytes then
      full = true
      return put_back(list, found, i)
    else
      bytes = bytes + #record
      leased[#leased + 1] = one.seq
      local at = #jobs
      jobs[at + 1], jobs[at + 2], jobs[at + 3] = one.seq, head, record
      if one.lane then lanes[#lanes + 1] = one end
    end
  end
end

local function take_from(list, most)
  while #leased < most and not full and scanned < limit + SCAN_SLACK do
    -- After a small first piece its size tells how many more there is room for.
    local piece = PIECE
    if #leased > 0 then piece = math.ceil((max_bytes - bytes) * #leased / bytes) end
    local entries = redis.call('LPOP', list, math.max(1, math.min(most - #leased, piece, MAX_PIECE)))
    if not entries or #entries == 0 then return end
    scanned = scanned + #entries
    collect(list, entries)
  end
end

-- Milliseconds until something can be taken or reaped.
local function next_due(waiting)
  if waiting > 0 then return 0 end
  local due
  local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if first[2] then due = math.floor(tonumber(first[2]) / 4) end
  first = redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')
  if first[2] then due = math.min(due or math.huge, math.max(tonumber(first[2]), grace_until)) end
  if not due then return -1 end
  return math.max(0, due - now)
end

local state = { 'seen', now }
if grace_ms > 0 and meta[3] and now - meta[3] > grace_ms then
  grace_until = now + grace_ms
  state[3], state[4] = 'grace', grace_until
end
if now >= grace_until then reap() end
promote()
local waiting, histories = 0, {}
if paused == 0 then
  if suspects > 0 then take_from(SUSPECTS, math.min(suspects, limit)) end
  for priority = 0, 2 do take_from(READY[priority], limit) end
  waiting = redis.call('LLEN', READY_0) + redis.call('LLEN', READY_1) + redis.call('LLEN', READY_2)
end
local suspected = redis.call('LLEN', SUSPECTS)
if #leased > 0 then
  lease(token, leased, now + lease_ms, worker)
  for _, one in ipairs(lanes) do
    redis.call('HSET', LANES, one.lane, one.seq)
    redis.call('HSET', HOLDING, one.seq, one.lane)
  end
  if redis.call('EXISTS', HISTORY) == 1 then histories = values_of(HISTORY, leased) end
  for _, value in ipairs({ 'token', token, 'taken', now }) do state[#state + 1] = value end
  if waiting > 0 and redis.call('LLEN', WAKE) == 0 then wake(1) end
end
-- Once a minute the counters are put down, for the rates.
local minute = math.floor(now / 60000)
if minute ~= tonumber(meta[5]) then
  local was = redis.call('HMGET', META, 'done', 'seq', 'at', 'at_done', 'at_seq')
  local puts = { 'minute', minute, 'at', now, 'at_done', was[1] or 0, 'at_seq', was[2] or 0,
    'before', was[3] or now, 'before_done', was[4] or was[1] or 0, 'before_seq', was[5] or was[2] or 0 }
  for _, value in ipairs(puts) do state[#state + 1] = value end
end
redis.call('HSET', META, unpack(state))
return { now, next_due(waiting), paused, buried, suspected, token, jobs, histories }
