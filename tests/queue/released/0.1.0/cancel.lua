#!lua flags=allow-oom
-- Removes a job that is ready or delayed. Its dedupe key stays.
-- Input:  ARGV id.
-- Output: 1, or 0 when it is unknown, leased or dead.
-- Keys:   IDS, FRESH, KEPT, HISTORY, DELAYED, LANE, LANES, LEASES, LEASE, DEAD, STALE, META and
--         what lanes touch.
-- Atomic: whole. A ready job's list entry is left behind and noted as stale, since finding it would
--         take time with the backlog; take drops it.
-- Bound:  one job and the takes in flight.
local seq = seq_of(ARGV[1])
local record = seq and fetch_one(seq)
if not record or redis.call('ZSCORE', DEAD, seq) then return 0 end
local h = read_header(record)
if not h or (not undelay(seq, h) and not leave_ready(seq, h)) then return 0 end
forget(seq, ARGV[1])
if h.lane and holds_lane(seq, h) then
  redis.call('HDEL', HOLDING, seq)
  lane_free(h.lane)
end
return 1
