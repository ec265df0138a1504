#!lua flags=allow-oom
-- Pauses or resumes a queue.
-- Input:  ARGV '1' (pause) or '0' (resume).
-- Output: 1.
-- Keys:   META, WAKE.
-- Atomic: whole.
-- Bound:  constant.
if ARGV[1] == '1' then
  redis.call('HSET', META, 'paused', now)
else
  redis.call('HDEL', META, 'paused')
  wake(WAKE_MAX)
end
return 1
