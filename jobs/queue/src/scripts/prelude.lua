-- Prepended to every script, after the clock and the key names: records, and the moves between places.
-- A job's place is told by membership: in LEASED, DELAYED or DEAD, else ready while it has a record.
local now = clock()
local READY = { [0] = READY_0, [1] = READY_1, [2] = READY_2 }

-- As in record.rs: version, priority, expiries, attempt, max_attempts, deliveries, enqueued_ms.
local HEADER, HEADER_SIZE, VERSION = '>BBBI2I2I4I6', 17, 1
-- token, ready_ms, leased_ms, priority; the worker's name follows.
local LEASE, LEASE_SIZE = '>I6I6I6B', 19
local HISTORY_MAX = 20
-- Enough to wake several workers at once; a worker that finds more work than it takes wakes the next.
local WAKE_MAX = 8

-- Whether the record was written by a version that these scripts know.
local function readable(record)
  if #record < HEADER_SIZE then return false end
  local version, priority = string.byte(record, 1, 2)
  return version == VERSION and priority <= 2
end

local function read_header(record)
  if not record or not readable(record) then return nil end
  local h = {}
  local _
  _, h.priority, h.expiries, h.attempt, h.max_attempts, h.deliveries, h.enqueued_ms =
    struct.unpack(HEADER, record)
  return h
end

local function pack_header(h)
  return struct.pack(HEADER, VERSION, h.priority, math.min(h.expiries, 255), math.min(h.attempt, 65535),
    h.max_attempts, h.deliveries, h.enqueued_ms)
end

local function rewrite(id, record, h)
  redis.call('HSET', JOBS, id, pack_header(h) .. string.sub(record, HEADER_SIZE + 1))
end

local function read_lease(lease)
  local token, ready_ms, leased_ms, priority = struct.unpack(LEASE, lease)
  return { token = token, ready_ms = ready_ms, leased_ms = leased_ms, priority = priority,
    worker = string.sub(lease, LEASE_SIZE + 1) }
end

local function lease_token(lease)
  return (struct.unpack('>I6', lease))
end

-- The leases of many jobs, packed, by id; in pieces, since a call takes only so many arguments.
local function read_leases(ids)
  local leases = {}
  for from = 1, #ids, 240 do
    local piece = redis.call('HMGET', LEASES, unpack(ids, from, math.min(from + 239, #ids)))
    for i, lease in ipairs(piece) do leases[ids[from + i - 1]] = lease or nil end
  end
  return leases
end

local function ready_entry(id, since)
  return id .. struct.pack('>I6', since)
end

local function wake(count)
  local room = WAKE_MAX - redis.call('LLEN', WAKE)
  for _ = 1, math.min(count, room) do redis.call('RPUSH', WAKE, '1') end
end

-- Puts a job among the ready: first of its priority (`LPUSH`) or last (`RPUSH`).
local function make_ready(push, id, priority, since)
  redis.call(push, READY[priority], ready_entry(id, since))
end

-- A new first one wakes a worker, which then knows until when to sleep.
local function make_delayed(id, priority, due)
  local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  redis.call('ZADD', DELAYED, due * 4 + priority, id)
  if not first[2] or due * 4 < tonumber(first[2]) then wake(1) end
end

-- Moves a job that is in no other place to the dead, whole. `failure` is its JSON.
local function bury(id, failure)
  redis.call('ZADD', DEAD, now, id)
  redis.call('HSET', DEATHS, id, struct.pack('>I6', now) .. failure)
end

-- Appends a failed attempt to the job's history, which keeps the last HISTORY_MAX.
local function remember(id, attempt, worker, failure)
  local line = string.format('{"attempt":%d,"at_ms":%.0f,"worker":%s,', attempt, now, cjson.encode(worker))
    .. string.sub(failure, 2)
  local lines = redis.call('HGET', HISTORY, id)
  if lines then
    local _, breaks = string.gsub(lines, '\n', '\n')
    if breaks + 1 >= HISTORY_MAX then lines = string.sub(lines, string.find(lines, '\n', 1, true) + 1) end
    line = lines .. '\n' .. line
  end
  redis.call('HSET', HISTORY, id, line)
end

local function forget(id)
  redis.call('HDEL', JOBS, id)
  redis.call('HDEL', HISTORY, id)
end

-- `command key a b c ...` in pieces, since a call takes only so many arguments. `width` arguments
-- belong together.
local function in_pieces(command, key, arguments, width)
  local step = 240 * width
  for from = 1, #arguments, step do
    redis.call(command, key, unpack(arguments, from, math.min(from + step - 1, #arguments)))
  end
end
