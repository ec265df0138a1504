#!lua flags=no-writes
-- Reads the oldest dead jobs.
-- Input:  ARGV limit, max_bytes.
-- Output: per job {id, record, history, death}.
-- Keys:   DEAD, KEPT, HISTORY, DEATHS.
-- Atomic: one moment's view.
-- Bound:  limit, and max_bytes plus one record.
local jobs, bytes = {}, 0
for _, seq in ipairs(redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  local record = string.sub(redis.call('HGET', KEPT, seq) or '', 7)
  bytes = bytes + #record
  if #jobs > 0 and bytes > tonumber(ARGV[2]) then break end
  jobs[#jobs + 1] = { id_in(record, seq), record, redis.call('HGET', HISTORY, seq) or '',
    redis.call('HGET', DEATHS, seq) or '' }
end
return jobs
