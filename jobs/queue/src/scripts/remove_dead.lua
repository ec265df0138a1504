#!lua flags=allow-oom
-- Removes dead jobs, after they have been archived.
-- Input:  ARGV ids.
-- Output: how many were there.
-- Keys:   DEAD, DEATHS, JOBS, HISTORY.
-- Atomic: the batch.
-- Bound:  the batch.
local removed = 0
for _, id in ipairs(ARGV) do
  if redis.call('ZREM', DEAD, id) == 1 then
    redis.call('HDEL', DEATHS, id)
    forget(id)
    removed = removed + 1
  end
end
return removed
