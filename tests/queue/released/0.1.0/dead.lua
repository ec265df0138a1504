#!lua flags=no-writes
-- Reads the oldest dead jobs.
-- Input:  ARGV limit, max_bytes.
-- Output: per job {id, record, history, time of death in ms, death}.
-- Keys:   DEAD, IDS, KEPT, HISTORY, DEATHS.
-- Atomic: one moment's view.
-- Bound:  limit, and max_bytes plus one record.
local jobs, bytes = {}, 0
local found = redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for i = 1, #found, 2 do
  local seq = found[i]
  local record = string.sub(redis.call('HGET', KEPT, seq) or '', 7)
  bytes = bytes + #record
  if #jobs > 0 and bytes > tonumber(ARGV[2]) then break end
  local id = id_in(record, seq)
  if seq_of(id) ~= seq then id = made_id(seq) end
  jobs[#jobs + 1] = { id, record, redis.call('HGET', HISTORY, seq) or '', tonumber(found[i + 1]),
    redis.call('HGET', DEATHS, seq) or '' }
end
return jobs
