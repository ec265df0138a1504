#!lua flags=no-writes
-- A queue in numbers.
-- Input:  none.
-- Output: ready, running, delayed, dead, done, oldest age in ms (-1: nothing is due), paused (0/1).
-- Keys:   READY, LEASED, DELAYED, DEAD, META.
-- Atomic: one moment's view.
-- Bound:  constant.
local ready, since = 0, nil
for priority = 0, 2 do
  ready = ready + redis.call('LLEN', READY[priority])
  local entry = redis.call('LINDEX', READY[priority], 0)
  if entry then
    local _, at = struct.unpack('>c16I6', entry)
    since = math.min(since or math.huge, at)
  end
end
ready = math.max(0, ready - tonumber(redis.call('HGET', META, 'stale') or '0'))
if ready == 0 then since = nil end
local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
local due = first[2] and math.floor(tonumber(first[2]) / 4)
if due and due <= now then since = math.min(since or math.huge, due) end
return { ready, redis.call('ZCARD', LEASED), redis.call('ZCARD', DELAYED), redis.call('ZCARD', DEAD),
  tonumber(redis.call('HGET', META, 'done') or '0'), since and math.max(0, now - since) or -1,
  redis.call('HEXISTS', META, 'paused') }
