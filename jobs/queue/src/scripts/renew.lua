#!lua flags=allow-oom
-- Extends leases.
-- Input:  ARGV lease_ms, then id and token per lease.
-- Output: per lease 1 (extended) or 0 (it had ended).
-- Keys:   LEASED, LEASES.
-- Atomic: the batch; one that ended does not touch the others.
-- Bound:  the batch.
local until_ms, answers = now + tonumber(ARGV[1]), {}
for at = 2, #ARGV, 2 do
  local lease = redis.call('HGET', LEASES, ARGV[at])
  local held = lease and read_lease(lease).token == tonumber(ARGV[at + 1])
  if held then redis.call('ZADD', LEASED, until_ms, ARGV[at]) end
  answers[#answers + 1] = held and 1 or 0
end
return answers
