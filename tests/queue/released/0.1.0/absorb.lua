#!lua flags=allow-oom
-- Removes jobs of the same lane that are only scheduled: the job that is held does their work.
-- Input:  ARGV token, seq, limit.
-- Output: their ids. Jobs that were delivered before stay.
-- Keys:   LEASE, SPLITS, HOLDING, LATER, SCHEDULED, DELAYED, KEPT, HISTORY, IDS.
-- Atomic: whole.
-- Bound:  limit.
local absorbed = {}
local lane = held_under(ARGV[1], { ARGV[2] })[1] and redis.call('HGET', HOLDING, ARGV[2])
if not lane then return absorbed end
local seqs = redis.call('SRANDMEMBER', LATER .. lane, ARGV[3])
local records = fetch(seqs)
for i, seq in ipairs(seqs) do
  local h = read_header(records[i])
  if h and h.deliveries == 0 and undelay(seq, h) then
    forget(seq, h.id)
    absorbed[#absorbed + 1] = h.id
  end
end
return absorbed
