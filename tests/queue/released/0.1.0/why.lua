#!lua flags=no-writes
-- What a job waits for.
-- Input:  ARGV id, how many places of a ready list are counted.
-- Output: empty when it is unknown, else {what, ...}:
--         'delayed', due_ms; 'dead', death; 'leased', worker, leased_ms, until_ms; 'lane', lane, id of its
--         holder ('' when a job before it in the lane waits), jobs before it in the lane;
--         'suspect'; 'ready', jobs before it (-1: more than were counted), done in the last minutes, in ms;
--         after each, as its last five: paused (0/1), set aside for want of a worker that knows it (0/1),
--         note of why it was last put off, names of the limiters that its workers heed, now_ms.
-- Keys:   all.
-- Atomic: one moment's view.
-- Bound:  one job, the takes in flight, three times as many places as are counted.
local seq = seq_of(ARGV[1])
local record = seq and fetch_one(seq)
if not record then return {} end
local h = read_header(record) or { flags = 0, priority = 1 }
local function rest()
  local meta = redis.call('HMGET', META, 'paused', 'limiters')
  return meta[1] and 1 or 0, has(h, ASIDE) and 1 or 0, redis.call('HGET', NOTES, seq) or '', meta[2] or '', now
end

local death = redis.call('HGET', DEATHS, seq)
if death then return { 'dead', death, rest() } end
local score = redis.call('ZSCORE', DELAYED, seq)
if score then return { 'delayed', math.floor(tonumber(score) / 4), rest() } end
local group = find_lease(seq)
if group then
  local holder = read_holder(token_of(group))
  return { 'leased', holder.worker, holder.leased_ms, tonumber(redis.call('ZSCORE', LEASES, group)), rest() }
end
if has(h, SUSPECT) then return { 'suspect', rest() } end
local entry = seq
if h.lane then
  local before = redis.call('ZRANK', LANE .. h.lane, lane_entry(seq, h.priority)) or 0
  local turn = redis.call('HGET', LANES, h.lane)
  if before > 0 or (turn and turn ~= '') then
    local holder = string.match(turn or '', '%d+')
    local other = holder and fetch_one(holder)
    return { 'lane', h.lane, other and id_in(other, holder) or '', before, rest() }
  end
  entry = '@' .. h.lane
end
local ahead, most = 0, tonumber(ARGV[2])
for priority = 0, h.priority do
  if priority < h.priority then
    ahead = ahead + redis.call('LLEN', READY[priority])
  else
    local place = redis.call('LPOS', READY[priority], entry, 'MAXLEN', most)
    ahead = place and ahead + place or -1
  end
end
local was = redis.call('HMGET', META, 'done', 'before_done', 'before')
local done = tonumber(was[1] or '0') - tonumber(was[2] or '0')
return { 'ready', ahead, done, now - tonumber(was[3] or now), rest() }
