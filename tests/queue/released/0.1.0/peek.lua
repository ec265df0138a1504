#!lua flags=no-writes
-- Reads the jobs that would be handed out next; of each lane the first.
-- Input:  ARGV limit, max_bytes.
-- Output: per job {record, history, note}.
-- Keys:   READY, LANE, FRESH, KEPT, HISTORY, NOTES.
-- Atomic: one moment's view. Suspects are not shown.
-- Bound:  limit, and max_bytes plus one record.
local limit, max_bytes, bytes, jobs = tonumber(ARGV[1]), tonumber(ARGV[2]), 0, {}
for priority = 0, 2 do
  for _, entry in ipairs(redis.call('LRANGE', READY[priority], 0, limit - #jobs - 1)) do
    if #jobs >= limit or bytes > max_bytes then return jobs end
    local seq = entry
    if string.sub(entry, 1, 1) == '@' then
      local first = redis.call('ZRANGE', LANE .. string.sub(entry, 2), 0, 0)[1]
      seq = first and read_entry(first) or ''
    end
    local record = seq ~= '' and fetch_one(seq)
    if record then
      bytes = bytes + #record
      jobs[#jobs + 1] = { record, redis.call('HGET', HISTORY, seq) or '', redis.call('HGET', NOTES, seq) or '' }
    end
  end
end
return jobs
