#!lua flags=no-writes
-- A queue in numbers.
-- Input:  none.
-- Output: ready, running, delayed, dead, done, oldest age in ms (-1: nothing is due), paused (0/1),
--         suspects, set aside ever, ms for which jobs were due and none was handed out (-1: none is due),
--         done and enqueued in the last one to two minutes, and how many ms those were.
-- Keys:   READY, STALE, SUSPECTS, DELAYED, DEAD, FRESH, KEPT, LANE, META.
-- Atomic: one moment's view.
-- Bound:  constant.
local names = { 'laned', 'running', 'done', 'taken', 'unknown', 'seq', 'before', 'before_done', 'before_seq' }
local meta = {}
for i, value in ipairs(redis.call('HMGET', META, unpack(names))) do meta[names[i]] = tonumber(value or '0') end

local suspects = redis.call('LLEN', SUSPECTS)
local ready, since = suspects, due_since(redis.call('LINDEX', SUSPECTS, 0))
for priority = 0, 2 do
  ready = ready + redis.call('LLEN', READY[priority])
  since = math.min(since or math.huge, due_since(redis.call('LINDEX', READY[priority], 0)) or math.huge)
end
ready = math.max(0, ready + meta.laned - redis.call('SCARD', STALE))
local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
local due = first[2] and math.floor(tonumber(first[2]) / 4)
if ready == 0 then since = math.huge end
if due and due <= now then since = math.min(since, due) end
local age = since < math.huge and math.max(0, now - since) or -1
local idle = age >= 0 and math.min(age, math.max(0, now - meta.taken)) or -1
local before = meta.before > 0 and meta.before or now
return { ready, meta.running, redis.call('ZCARD', DELAYED), redis.call('ZCARD', DEAD), meta.done, age,
  redis.call('HEXISTS', META, 'paused'), suspects, meta.unknown, idle, meta.done - meta.before_done,
  meta.seq - meta.before_seq, now - before }
