#!lua flags=allow-oom
-- Removes a job that is ready or delayed. Its dedupe key stays.
-- Input:  ARGV id.
-- Output: 1, or 0 when it is unknown, leased or dead.
-- Keys:   JOBS, HISTORY, DELAYED, LEASED, DEAD, META.
-- Atomic: whole. A ready job's list entry is left behind and counted as stale, since finding it would
--         take time with the backlog; take drops it.
-- Bound:  one job.
local id = ARGV[1]
if redis.call('HEXISTS', JOBS, id) == 0 then return 0 end
if redis.call('ZSCORE', LEASED, id) or redis.call('ZSCORE', DEAD, id) then return 0 end
if redis.call('ZREM', DELAYED, id) == 0 then redis.call('HINCRBY', META, 'stale', 1) end
forget(id)
return 1
