#!lua flags=no-writes
-- Looks a job up.
-- Input:  ARGV id.
-- Output: empty when it is unknown, else {record, history, note, place, ...} with place and what follows:
--         'ready'; 'delayed', due_ms; 'leased', worker, until_ms; 'dead', death.
-- Keys:   IDS, FRESH, KEPT, HISTORY, NOTES, DELAYED, LEASE, LEASES, HOLDERS, DEAD, DEATHS.
-- Atomic: one moment's view.
-- Bound:  one job and the takes in flight.
local seq = seq_of(ARGV[1])
local record = seq and fetch_one(seq)
if not record then return {} end
local history, noted = redis.call('HGET', HISTORY, seq) or '', redis.call('HGET', NOTES, seq) or ''
local score = redis.call('ZSCORE', DELAYED, seq)
if score then return { record, history, noted, 'delayed', math.floor(tonumber(score) / 4) } end
local death = redis.call('HGET', DEATHS, seq)
if death then return { record, history, noted, 'dead', death } end
local group = find_lease(seq)
if group then
  local holder = read_holder(token_of(group))
  return { record, history, noted, 'leased', holder.worker, tonumber(redis.call('ZSCORE', LEASES, group)) }
end
return { record, history, noted, 'ready' }
