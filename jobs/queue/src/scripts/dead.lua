#!lua flags=no-writes
-- Reads the oldest dead jobs.
-- Input:  ARGV limit, max_bytes.
-- Output: per job {id, record, history, death}.
-- Keys:   DEAD, JOBS, HISTORY, DEATHS.
-- Atomic: one moment's view.
-- Bound:  limit, and max_bytes plus one record.
local jobs, bytes = {}, 0
for _, id in ipairs(redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  local record = redis.call('HGET', JOBS, id) or ''
  bytes = bytes + #record
  if #jobs > 0 and bytes > tonumber(ARGV[2]) then break end
  jobs[#jobs + 1] = { id, record, redis.call('HGET', HISTORY, id) or '', redis.call('HGET', DEATHS, id) or '' }
end
return jobs
