#!lua flags=allow-oom
-- Hands out jobs, after reaping expired leases and promoting jobs that became due.
-- Input:  ARGV limit, lease_ms, worker, max_bytes, reap_limit, promote_limit, max_expiries.
-- Output: now_ms, next_due_ms (-1: none), paused (0/1), buried, and per job {id, token, record, history}.
-- Keys:   all but DEDUPE.
-- Atomic: a job is in exactly one place before and after.
-- Bound:  reap_limit + promote_limit + limit + SCAN_SLACK jobs, and max_bytes plus one piece.
local limit, lease_ms, worker = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local max_bytes, reap_limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local promote_limit, max_expiries = tonumber(ARGV[6]), tonumber(ARGV[7])
local PIECE, SCAN_SLACK = 32, 256
local buried = 0

local function bury_undecodable(id)
  buried = buried + 1
  bury(id, '{"class":"undecodable","code":"record","message":"its record is of no known version"}')
end

local function reap_one(id, record, lease)
  if not record then return end
  local h = read_header(record)
  if not h then return bury_undecodable(id) end
  h.expiries, h.deliveries = h.expiries + 1, h.deliveries + 1
  rewrite(id, record, h)
  if h.expiries > max_expiries then
    local message = string.format('its lease expired %d times; last at worker %s', h.expiries, lease.worker)
    return bury(id, '{"class":"crash_loop","code":"lease_expired","message":' .. cjson.encode(message) .. '}')
  end
  make_ready('LPUSH', id, lease.priority, lease.ready_ms)
end

-- From the last leased to the first, so that those who waited longest end up in front.
local function reap()
  local ids = redis.call('ZRANGE', LEASED, '-inf', now, 'BYSCORE', 'LIMIT', 0, reap_limit)
  if #ids == 0 then return end
  local leases = redis.call('HMGET', LEASES, unpack(ids))
  local records = redis.call('HMGET', JOBS, unpack(ids))
  redis.call('ZREM', LEASED, unpack(ids))
  redis.call('HDEL', LEASES, unpack(ids))
  local order = {}
  for i = 1, #ids do order[i] = { id = ids[i], record = records[i], lease = read_lease(leases[i]) } end
  table.sort(order, function(a, b) return a.lease.token > b.lease.token end)
  for _, lost in ipairs(order) do reap_one(lost.id, lost.record, lost.lease) end
end

local function promote()
  local due = redis.call('ZRANGE', DELAYED, '-inf', now * 4 + 3, 'BYSCORE', 'LIMIT', 0, promote_limit, 'WITHSCORES')
  if #due == 0 then return end
  local ids, entries = {}, { [0] = {}, [1] = {}, [2] = {} }
  for i = 1, #due, 2 do
    local score = tonumber(due[i + 1])
    local list = entries[score % 4]
    ids[#ids + 1] = due[i]
    list[#list + 1] = ready_entry(due[i], math.floor(score / 4))
  end
  in_pieces('ZREM', DELAYED, ids, 1)
  for priority = 0, 2 do in_pieces('RPUSH', READY[priority], entries[priority], 1) end
end

local jobs, bytes, scanned, full = {}, 0, 0, false
local any_history = redis.call('EXISTS', HISTORY) == 1
local stale = tonumber(redis.call('HGET', META, 'stale') or '0')

-- Which of `ids` are not ready although an entry says so: left by a job that was cancelled and came back.
local function elsewhere(ids)
  local found = {}
  for _, place in ipairs({ LEASED, DELAYED, DEAD }) do
    for i, score in ipairs(redis.call('ZMSCORE', place, unpack(ids))) do
      if score then found[ids[i]] = true end
    end
  end
  return found
end

-- Leases the jobs of one piece of a ready list.
local function lease_piece(priority, entries)
  local ids, leased, leases = {}, {}, {}
  for i, entry in ipairs(entries) do ids[i] = string.sub(entry, 1, 16) end
  local records = redis.call('HMGET', JOBS, unpack(ids))
  local history = any_history and redis.call('HMGET', HISTORY, unpack(ids)) or {}
  local absent = stale > 0 and elsewhere(ids) or {}
  local token = redis.call('HINCRBY', META, 'token', #ids) - #ids
  for i, id in ipairs(ids) do
    local record = records[i]
    if not record or absent[id] then
      if stale > 0 then stale = redis.call('HINCRBY', META, 'stale', -1) end
    elseif not readable(record) then
      bury_undecodable(id)
    elseif #jobs > 0 and bytes + #record > max_bytes then
      full = true
      for back = #entries, i, -1 do redis.call('LPUSH', READY[priority], entries[back]) end
      break
    else
      token = token + 1
      bytes = bytes + #record
      absent[id] = true
      local since = struct.unpack('>I6', entries[i], 17)
      leased[#leased + 1] = now + lease_ms
      leased[#leased + 1] = id
      leases[#leases + 1] = id
      leases[#leases + 1] = struct.pack(LEASE, token, since, now, priority) .. worker
      jobs[#jobs + 1] = { id, token, record, history[i] or '' }
    end
  end
  in_pieces('ZADD', LEASED, leased, 2)
  in_pieces('HSET', LEASES, leases, 2)
end

local function lease_jobs()
  for priority = 0, 2 do
    while #jobs < limit and not full and scanned < limit + SCAN_SLACK do
      local entries = redis.call('LPOP', READY[priority], math.min(limit - #jobs, PIECE))
      if not entries or #entries == 0 then break end
      scanned = scanned + #entries
      lease_piece(priority, entries)
    end
  end
end

-- Milliseconds until something can be taken or reaped.
local function next_due(waiting)
  if waiting > 0 then return 0 end
  local due
  local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if first[2] then due = math.floor(tonumber(first[2]) / 4) end
  first = redis.call('ZRANGE', LEASED, 0, 0, 'WITHSCORES')
  if first[2] then due = math.min(due or math.huge, tonumber(first[2])) end
  if not due then return -1 end
  return math.max(0, due - now)
end

reap()
promote()
local paused = redis.call('HEXISTS', META, 'paused')
local waiting = 0
if paused == 0 then
  lease_jobs()
  waiting = redis.call('LLEN', READY_0) + redis.call('LLEN', READY_1) + redis.call('LLEN', READY_2)
  if waiting > 0 and #jobs > 0 and redis.call('LLEN', WAKE) == 0 then wake(1) end
end
return { now, next_due(waiting), paused, buried, jobs }
