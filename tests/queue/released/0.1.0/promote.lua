#!lua flags=allow-oom
-- Makes a delayed job ready now.
-- Input:  ARGV id.
-- Output: 1, or 0 when it is not delayed.
-- Keys:   IDS, FRESH, KEPT, DELAYED, READY, LANE, LANES, SCHEDULED, LATER, META, WAKE.
-- Atomic: whole.
-- Bound:  one job.
local seq = seq_of(ARGV[1])
local record = seq and fetch_one(seq)
local h = read_header(record)
if not h or not undelay(seq, h) then return 0 end
keep(seq, record, now)
make_ready('RPUSH', seq, h, now)
wake(1)
return 1
