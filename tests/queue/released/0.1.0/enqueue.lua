#!lua
-- Adds a batch of jobs to one queue.
-- Input:  ARGV max_depth, dedupe_ms, then four per job (insert.lua).
-- Output: per job '' (created), 'E' .. id (existing) or 'X' .. id (conflict).
--         Error QUEUEFULL when the queue would hold more than max_depth.
-- Keys:   FRESH, KEPT, IDS, READY, DELAYED, LANE, LANES, SCHEDULED, LATER, DEDUPE, META, WAKE.
-- Atomic: all of the batch or, on an error, nothing. At maxmemory Redis refuses it before it runs.
--         It always writes: a caller may wait for replicas next, and WAIT counts from the last write.
-- Bound:  the batch.
local places = {}
for at = 3, #ARGV, JOB_ARGS do places[#places + 1] = at end
local room = tonumber(ARGV[1]) - redis.call('XLEN', FRESH) - redis.call('HLEN', KEPT)
if #places > room then
  -- Those that are there already need no room.
  local needed, batch = 0, { ids = {}, keys = {} }
  for _, at in ipairs(places) do
    if is_new(at, batch) then needed = needed + 1 end
  end
  if needed > math.max(0, room) then
    return redis.error_reply('QUEUEFULL the queue holds as many jobs as it may')
  end
end
return insert(places, tonumber(ARGV[2]))
