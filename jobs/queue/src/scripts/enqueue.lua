#!lua
-- Adds a batch of jobs to one queue.
-- Input:  ARGV max_depth, dedupe_ms, then seven per job (insert.lua).
-- Output: per job '' (created), 'E' .. id (existing) or 'X' .. id (conflict).
--         Error QUEUEFULL when the queue would hold more than max_depth.
-- Keys:   JOBS, READY, DELAYED, DEDUPE, META, WAKE.
-- Atomic: all of the batch or, on an error, nothing. At maxmemory Redis refuses it before it runs.
-- Bound:  the batch.
local answers, fresh, batch = {}, {}, { ids = {}, keys = {} }
for at = 3, #ARGV, JOB_ARGS do
  local job = read_job(at)
  local answer = obstacle(job, batch)
  if not answer then fresh[#fresh + 1] = job end
  answers[#answers + 1] = answer or ''
end
if #fresh > 0 and redis.call('HLEN', JOBS) + #fresh > tonumber(ARGV[1]) then
  return redis.error_reply('QUEUEFULL the queue holds as many jobs as it may')
end
insert(fresh, ARGV[2])
-- A caller may wait for replicas next. WAIT counts from the connection's last write, so without
-- one it would not cover the job that an earlier caller created.
if #fresh == 0 then redis.call('HINCRBY', META, 'repeated', 1) end
return answers
