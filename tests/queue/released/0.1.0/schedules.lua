#!lua flags=allow-oom
-- Keeps the schedules of a queue.
-- Input:  ARGV operation, then for
--           'put'    name, when (a line: pattern and zone), definition (JSON), the most there may be
--           'remove' name
--           'list'   nothing
-- Output: 'put', 'remove': 1, or 0 when there are too many, or none of this name. 'list': now_ms, and
--         per schedule {name, definition, last tick (ms)}.
-- Keys:   SCHEDULES, TICKS.
-- Atomic: whole. A schedule that keeps its times keeps its last tick; another starts now.
-- Bound:  the schedules of the queue, of which there are at most so many.
local operation, name = ARGV[1], ARGV[2]
if operation == 'remove' then
  redis.call('HDEL', TICKS, name)
  return redis.call('HDEL', SCHEDULES, name)
elseif operation == 'put' then
  local known = redis.call('HGET', SCHEDULES, name)
  if not known and redis.call('HLEN', SCHEDULES) >= tonumber(ARGV[5]) then return 0 end
  local same = known and string.sub(known, 1, #ARGV[3] + 1) == ARGV[3] .. '\n'
  redis.call('HSET', SCHEDULES, name, ARGV[3] .. '\n' .. ARGV[4])
  if not same then redis.call('HSET', TICKS, name, string.format('%.0f', now)) end
  return 1
end
local all, flat = {}, redis.call('HGETALL', SCHEDULES)
for i = 1, #flat, 2 do
  local tick = string.match(redis.call('HGET', TICKS, flat[i]) or '', '^%d+') or '0'
  local _, break_at = string.find(flat[i + 1], '\n', 1, true)
  all[#all + 1] = { flat[i], string.sub(flat[i + 1], (break_at or 0) + 1), tonumber(tick) }
end
return { now, all }
