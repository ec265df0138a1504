#!lua
-- Claims one tick of a schedule for the whole fleet.
-- Input:  ARGV tick, how many ticks are remembered. KEYS[1] is the schedule's own key.
-- Output: 1 to the first who asks for this tick, else 0; 0 too for a tick older than all remembered.
-- Keys:   KEYS[1] alone.
-- Atomic: whole.
-- Bound:  one tick falls out for one that comes in.
local tick, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
local known = redis.call('ZCARD', KEYS[1])
if known >= keep and tick < tonumber(redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]) then return 0 end
local fresh = redis.call('ZADD', KEYS[1], 'NX', tick, ARGV[1])
if known + fresh > keep then redis.call('ZPOPMIN', KEYS[1]) end
return fresh
