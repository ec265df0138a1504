#!lua flags=allow-oom
-- Extends leases.
-- Input:  ARGV lease_ms, then per token: token, count, seqs.
-- Output: the numbers, from 1 and as given, of the jobs whose leases had ended.
-- Keys:   LEASE, LEASES, HOLDERS, SPLITS, META.
-- Atomic: the batch; one that ended does not touch the others.
-- Bound:  the batch, and the jobs of the takes that it names.
local until_ms, ended, number, at = now + tonumber(ARGV[1]), {}, 0, 2

-- Jobs of the take that were not named keep their expiry: they move to a group of their own.
local function leave_out(token, named)
  local others = {}
  for _, seq in ipairs(redis.call('SMEMBERS', LEASE .. token)) do
    if not named[seq] then others[#others + 1] = seq end
  end
  local group = token .. '.' .. redis.call('HINCRBY', SPLITS, token, 1)
  redis.call('ZADD', LEASES, redis.call('ZSCORE', LEASES, token), group)
  in_pieces('SADD', LEASE .. group, others, 1)
  in_pieces('SREM', LEASE .. token, others, 1)
end

local function renew(token, seqs)
  local groups, named, held = held_under(token, seqs), {}, 0
  for i, seq in ipairs(seqs) do
    number = number + 1
    local group = groups[i]
    if not group then
      ended[#ended + 1] = number
    elseif not named[seq] then
      named[seq], held = true, held + 1
      if group ~= token then redis.call('SMOVE', LEASE .. group, LEASE .. token, seq) end
    end
  end
  if held == 0 then return end
  if redis.call('SCARD', LEASE .. token) > held then leave_out(token, named) end
  redis.call('ZADD', LEASES, until_ms, token)
  for _, group in ipairs(groups_of(token)) do
    if redis.call('EXISTS', LEASE .. group) == 0 then redis.call('ZREM', LEASES, group) end
  end
end

while at <= #ARGV do
  local count, seqs = tonumber(ARGV[at + 1]), {}
  for i = 1, count do seqs[i] = ARGV[at + 1 + i] end
  renew(ARGV[at], seqs)
  at = at + 2 + count
end
redis.call('HSET', META, 'seen', now)
return ended
