#!lua flags=allow-oom
-- Says that a suspect begins to run, alone: if its lease expires now, that counts.
-- Input:  ARGV token, seq.
-- Output: 1, or 0 when the lease has ended.
-- Keys:   LEASE, SPLITS, STARTED.
-- Atomic: whole.
-- Bound:  one job.
if not held_under(ARGV[1], { ARGV[2] })[1] then return 0 end
redis.call('HSET', STARTED, ARGV[2], ARGV[1])
return 1
