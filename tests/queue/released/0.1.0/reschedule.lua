#!lua flags=allow-oom
-- Moves a job that is ready or delayed to another time.
-- Input:  ARGV id, delay_ms.
-- Output: 1, or 0 when it is unknown, leased, dead or suspected of ending its workers.
-- Keys:   as cancel.lua, and SCHEDULED, LATER, WAKE.
-- Atomic: whole. A ready job goes on under a new seq: its old entry in a ready list means nothing then.
-- Bound:  one job and the takes in flight.
local seq = seq_of(ARGV[1])
local record = seq and fetch_one(seq)
local h = read_header(record)
if not h or has(h, SUSPECT) or redis.call('ZSCORE', DEAD, seq) then return 0 end
local due = now + tonumber(ARGV[2])
if undelay(seq, h) then
  keep(seq, record, due)
elseif leave_ready(seq, h) then
  local history, noted = redis.call('HGET', HISTORY, seq), redis.call('HGET', NOTES, seq)
  local again = redis.call('HINCRBY', META, 'seq', 1)
  forget(seq, ARGV[1])
  seq = string.format('%.0f', again)
  redis.call('HSET', ids_key(ARGV[1]), ARGV[1], seq)
  if history then redis.call('HSET', HISTORY, seq, history) end
  if noted then redis.call('HSET', NOTES, seq, noted) end
  keep(seq, record, due)
else
  return 0
end
make_delayed(seq, h, due)
return 1
