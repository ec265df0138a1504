#!lua flags=allow-oom
-- Makes a delayed job ready now.
-- Input:  ARGV id.
-- Output: 1, or 0 when it is not delayed.
-- Keys:   DELAYED, READY, WAKE.
-- Atomic: whole.
-- Bound:  one job.
local score = redis.call('ZSCORE', DELAYED, ARGV[1])
if not score then return 0 end
redis.call('ZREM', DELAYED, ARGV[1])
make_ready('RPUSH', ARGV[1], tonumber(score) % 4, now)
wake(1)
return 1
