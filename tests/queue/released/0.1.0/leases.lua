-- Prepended after the lanes, to the scripts that deal in leases.
-- The jobs of one take share a token: LEASE .. token is the set of their seqs, LEASES has its expiry,
-- HOLDERS when and by whom. A renewal that leaves some of them out moves those to a group
-- 'token.1', 'token.2', ..., which expires as before; SPLITS says how many there are.
local HOLDER = '>I6'

local function groups_of(token)
  local groups = { token }
  local splits = redis.call('EXISTS', SPLITS) == 1 and redis.call('HGET', SPLITS, token)
  for i = 1, tonumber(splits or 0) do groups[#groups + 1] = token .. '.' .. i end
  return groups
end

-- For each job the group of the token's that holds it, or nil.
local function held_under(token, seqs)
  local found = {}
  if #seqs == 0 then return found end
  for _, group in ipairs(groups_of(token)) do
    for i, held in ipairs(redis.call('SMISMEMBER', LEASE .. group, unpack(seqs))) do
      if held == 1 then found[i] = group end
    end
  end
  return found
end

local function lease(token, seqs, until_ms, worker)
  in_pieces('SADD', LEASE .. token, seqs, 1)
  redis.call('ZADD', LEASES, until_ms, token)
  redis.call('HSET', HOLDERS, token, struct.pack(HOLDER, now) .. worker)
  redis.call('HINCRBY', META, 'running', #seqs)
end

local function read_holder(token)
  local holder = redis.call('HGET', HOLDERS, token) or struct.pack(HOLDER, now)
  return { leased_ms = (struct.unpack(HOLDER, holder)), worker = string.sub(holder, 7) }
end

local function token_of(group)
  return string.match(group, '^%d+')
end

-- The group has no jobs any more.
local function group_ended(group)
  redis.call('ZREM', LEASES, group)
  local token = token_of(group)
  if redis.call('EXISTS', SPLITS) == 1 then
    for _, other in ipairs(groups_of(token)) do
      if redis.call('EXISTS', LEASE .. other) == 1 then return end
    end
    redis.call('HDEL', SPLITS, token)
  end
  redis.call('HDEL', HOLDERS, token)
end

local function end_leases(group, seqs)
  in_pieces('SREM', LEASE .. group, seqs, 1)
  redis.call('HINCRBY', META, 'running', -#seqs)
  if redis.call('EXISTS', LEASE .. group) == 0 then group_ended(group) end
end

-- The lease group of a job, or nil. Bound: the takes in flight.
local function find_lease(seq)
  for _, group in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    if redis.call('SISMEMBER', LEASE .. group, seq) == 1 then return group end
  end
  return nil
end

-- Takes a job out of the ready ones, its list entry aside, which is stale then; `false` if it is leased.
local function leave_ready(seq, h)
  if h.lane and lane_leave(h.lane, seq, h.priority) then return true end
  if find_lease(seq) then return false end
  redis.call('SADD', STALE, seq)
  return true
end
