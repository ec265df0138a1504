#!lua flags=allow-oom
-- Removes dead jobs, after they have been archived.
-- Input:  ARGV per job id, time of its death in ms: a later death of the same id is another.
-- Output: how many were there.
-- Keys:   IDS, DEAD, DEATHS, KEPT, FRESH, HISTORY.
-- Atomic: the batch.
-- Bound:  the batch.
local removed = 0
for i = 1, #ARGV, 2 do
  local id, seq = ARGV[i], seq_of(ARGV[i])
  local died = seq and redis.call('ZSCORE', DEAD, seq)
  if died and tonumber(died) == tonumber(ARGV[i + 1]) then
    redis.call('ZREM', DEAD, seq)
    redis.call('HDEL', DEATHS, seq)
    forget(seq, id)
    redis.call('HDEL', ids_key(made_id(seq)), made_id(seq))
    removed = removed + 1
  end
end
return removed
