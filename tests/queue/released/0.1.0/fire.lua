#!lua
-- Enqueues the jobs of a schedule's ticks, once for the whole fleet.
-- Input:  ARGV max_depth, dedupe_ms, name, the last tick as the caller saw it, the last tick from now on,
--         '1' to pass over the tick while the last job lives, then four per job (insert.lua).
-- Output: {1, answers} when this call was the one; {0} when another was faster or the schedule is gone;
--         {2} when the tick was passed over. Error QUEUEFULL when there is no room; the tick stays due.
-- Keys:   SCHEDULES, TICKS, FRESH, KEPT, IDS, DEATHS and those of insert.lua.
-- Atomic: whole: a tick is claimed and its jobs exist, or neither.
-- Bound:  the batch.
local name, seen, tick = ARGV[3], ARGV[4], ARGV[5]
local known = redis.call('HGET', TICKS, name)
if not known or redis.call('HEXISTS', SCHEDULES, name) == 0 then return { 0 } end
local last, last_job = string.match(known, '^(%d+) ?(.*)$')
if last ~= seen then return { 0 } end
if ARGV[6] == '1' and last_job ~= '' then
  local seq = seq_of(last_job)
  if seq and fetch_one(seq) and redis.call('HEXISTS', DEATHS, seq) == 0 then
    redis.call('HSET', TICKS, name, tick .. ' ' .. last_job)
    return { 2 }
  end
end
local places = {}
for at = 7, #ARGV, JOB_ARGS do places[#places + 1] = at end
local room = tonumber(ARGV[1]) - redis.call('XLEN', FRESH) - redis.call('HLEN', KEPT)
if #places > room then return redis.error_reply('QUEUEFULL the queue holds as many jobs as it may') end
local answers = insert(places, tonumber(ARGV[2]))
if #places > 0 then last_job = string.sub(ARGV[places[#places]], 12, 27) end
redis.call('HSET', TICKS, name, tick .. ' ' .. last_job)
return { 1, answers }
