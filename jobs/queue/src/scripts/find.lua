#!lua flags=no-writes
-- Looks a job up.
-- Input:  ARGV id.
-- Output: empty when it is unknown, else {record, history, place, ...} with place and what follows:
--         'ready'; 'delayed', due_ms; 'leased', worker, until_ms; 'dead', death.
-- Keys:   JOBS, HISTORY, DELAYED, LEASED, LEASES, DEAD, DEATHS.
-- Atomic: one moment's view.
-- Bound:  one job.
local id = ARGV[1]
local record = redis.call('HGET', JOBS, id)
if not record then return {} end
local history = redis.call('HGET', HISTORY, id) or ''
local score = redis.call('ZSCORE', DELAYED, id)
if score then return { record, history, 'delayed', math.floor(tonumber(score) / 4) } end
score = redis.call('ZSCORE', LEASED, id)
if score then
  local lease = read_lease(redis.call('HGET', LEASES, id))
  return { record, history, 'leased', lease.worker, tonumber(score) }
end
local death = redis.call('HGET', DEATHS, id)
if death then return { record, history, 'dead', death } end
return { record, history, 'ready' }
