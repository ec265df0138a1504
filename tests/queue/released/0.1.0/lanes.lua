-- Prepended after the prelude: lanes, and what makes a job ready or delayed.
-- The due jobs of a lane wait in LANE .. name, by (run_at, seq). LANES says what its turn is at: '' when
-- a marker '@name' stands for it in a ready list, else the seq of the job that holds it, with a 'B'
-- before it while a strict job keeps it through its own delay. A job without a lane touches none of this.
-- META.laned: jobs that wait in lanes, less the markers, so that ready jobs can be counted.
local function lane_entry(seq, priority)
  return string.format('%016.0f%d', seq, priority)
end

local function read_entry(entry)
  return string.format('%.0f', string.sub(entry, 1, 16)), tonumber(string.sub(entry, 17))
end

-- Since when the first job of a ready list has been due; nil when the list is empty.
local function due_since(entry)
  if not entry then return nil end
  if string.sub(entry, 1, 1) == '@' then
    local first = redis.call('ZRANGE', LANE .. string.sub(entry, 2), 0, 0, 'WITHSCORES')
    return first[2] and math.abs(tonumber(first[2]))
  end
  local record, since = fetch_one(entry)
  local h = read_header(record)
  return since or h and h.enqueued_ms
end

-- Puts the lane's marker into a ready list: first, if its job has waited longer than the first there.
local function lane_turn(lane, priority, since)
  redis.call('HSET', LANES, lane, '')
  local first = due_since(redis.call('LINDEX', READY[priority], 0))
  redis.call(first and since < first and 'LPUSH' or 'RPUSH', READY[priority], '@' .. lane)
end

local function lane_join(lane, seq, priority, since)
  local turn = redis.call('HGET', LANES, lane)
  -- One that kept its lane all the while goes before all that are in it.
  local score = turn == 'B' .. seq and -since or since
  redis.call('ZADD', LANE .. lane, score, lane_entry(seq, priority))
  if not turn or turn == 'B' .. seq then
    lane_turn(lane, priority, since)
  else
    redis.call('HINCRBY', META, 'laned', 1)
  end
end

-- The lane's holder has let go of it: the next one's turn.
local function lane_free(lane)
  local first = redis.call('ZRANGE', LANE .. lane, 0, 0, 'WITHSCORES')
  redis.call('HDEL', HELD, lane)
  if not first[1] then return redis.call('HDEL', LANES, lane) end
  local _, priority = read_entry(first[1])
  lane_turn(lane, priority, math.abs(tonumber(first[2])))
  redis.call('HINCRBY', META, 'laned', -1)
  -- Else an idle worker would learn of it only when its patience ends.
  wake(1)
end

-- A job whose record cannot be read, or is gone, is dead with what is left of it. It does not keep `lane`.
local function bury_unreadable(seq, record, lane)
  local left = record or ''
  local id = id_in(left, seq)
  if redis.call('HSETNX', ids_key(id), id, seq) == 0 and seq_of(id) ~= seq then
    id = made_id(seq)
    redis.call('HSET', ids_key(id), id, seq)
  end
  keep(seq, left, now)
  bury(seq, record and '{"class":"undecodable","code":"record","message":"its record is of no known version"}'
    or '{"class":"undecodable","code":"missing","message":"its record is missing"}')
  if lane then
    redis.call('HDEL', HOLDING, seq)
    lane_free(lane)
  end
end

-- Takes a waiting job out of its lane; `false` if it does not wait there.
local function lane_leave(lane, seq, priority)
  if redis.call('ZREM', LANE .. lane, lane_entry(seq, priority)) == 0 then return false end
  redis.call('HINCRBY', META, 'laned', -1)
  return true
end

-- Whether a strict job may keep its lane until `due`; the first time of asking starts its hold.
local function may_hold(h, due)
  redis.call('HSETNX', HELD, h.lane, now)
  return due - redis.call('HGET', HELD, h.lane) <= h.hold_ms
end

-- Puts a job among the ready: first of its priority (`LPUSH`) or last (`RPUSH`).
local function make_ready(push, seq, h, since)
  if h.lane then return lane_join(h.lane, seq, h.priority, since) end
  redis.call(push, READY[h.priority], seq)
end

-- A new first one wakes a worker, which then knows until when to sleep.
local function make_delayed(seq, h, due)
  local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  redis.call('ZADD', DELAYED, due * 4 + h.priority, seq)
  if h.lane then
    redis.call('HSET', SCHEDULED, seq, h.lane)
    redis.call('SADD', LATER .. h.lane, seq)
  end
  if not first[2] or due * 4 < tonumber(first[2]) then wake(1) end
end

-- Takes a job out of the delayed; `false` if it is not there.
local function undelay(seq, h)
  if redis.call('ZREM', DELAYED, seq) == 0 then return false end
  if h.lane then
    redis.call('HDEL', SCHEDULED, seq)
    redis.call('SREM', LATER .. h.lane, seq)
  end
  return true
end

-- Whether the job keeps its lane though it waits: a strict one, or a suspect.
local function holds_lane(seq, h)
  local turn = redis.call('HGET', LANES, h.lane)
  return turn == seq or turn == 'B' .. seq
end
