#!lua flags=allow-oom
-- Extends leases.
-- Input:  ARGV lease_ms, then id and token per lease.
-- Output: per lease 1 (extended) or 0 (it had ended).
-- Keys:   LEASED, LEASES.
-- Atomic: the batch; one that ended does not touch the others.
-- Bound:  the batch.
local until_ms, ids, answers, held = now + tonumber(ARGV[1]), {}, {}, {}
for at = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
local leases = read_leases(ids)
for i, id in ipairs(ids) do
  local lease = leases[id]
  local ours = lease and lease_token(lease) == tonumber(ARGV[2 * i + 1])
  if ours then
    held[#held + 1] = until_ms
    held[#held + 1] = id
  end
  answers[i] = ours and 1 or 0
end
in_pieces('ZADD', LEASED, held, 2)
return answers
