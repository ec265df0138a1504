#!lua flags=allow-oom
-- Removes dead jobs, after they have been archived.
-- Input:  ARGV ids.
-- Output: how many were there.
-- Keys:   IDS, DEAD, DEATHS, KEPT, FRESH, HISTORY.
-- Atomic: the batch.
-- Bound:  the batch.
local removed = 0
for _, id in ipairs(ARGV) do
  local seq = seq_of(id)
  if seq and redis.call('ZREM', DEAD, seq) == 1 then
    redis.call('HDEL', DEATHS, seq)
    forget(seq, id)
    removed = removed + 1
  end
end
return removed
