#!lua flags=allow-oom
-- One fleet-wide limiter: GCRA, lowered at once when the other side asks to slow down.
-- Input:  ARGV operation, count, window_ms, burst (the limit as declared by the caller; count 0: as those
--         who called last declared it), then for
--           'reserve'   n, max_wait_ms (0 unless n is 1)
--           'give_back' ticket, cost in us of what comes back
--           'lower'     retry_after_ms, reason
--           'set'       count, window_ms, burst, reason; count 0: as declared again
--           'force'     'stop', 'full' or '' (as it comes), reason
--           'state'     nothing
-- Output: 'reserve': granted, wait_ms (-1: until an operator lifts the stop), ticket, us per permit.
--         'state': see state() below. Else 1.
-- Keys:   KEYS[1], a hash: tat (us: when the bucket is full again), seq and trail (reservations that a
--         give-back must look at), declared, factor, lowered_at, lowered_since, resume_at, lowered_reason;
--         what operators set: count, window, burst, set_reason, set_at, force, force_reason, force_at.
-- Atomic: whole.
-- Bound:  constant; the trail has at most TRAIL_MAX entries.
local key, operation = KEYS[1], ARGV[1]
local SHARE, HALF, LEAST, RECOVERY, CALM, TRAIL_MAX, DAY = 0.9, 0.5, 1 / 64, 60e6, 1e6, 32, 86400000
local now = clock() * 1000
local h = {}
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do h[flat[i]] = flat[i + 1] end

local function number(name, default) return tonumber(h[name] or default) end

local declared = ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]
if ARGV[2] == '0' then declared = h.declared or '1 1000 1' end
local count, window, most = string.match(declared, '(%d+) (%d+) (%d+)')
local limit = { count = number('count', count), window = number('window', window) * 1000,
  burst = number('burst', most) }

-- How much of the full rate is allowed: halved when lowered, then growing back evenly.
local function factor_now()
  local from = math.max(number('lowered_at', 0), number('resume_at', 0))
  if h.force == 'full' or not h.factor then return 1 end
  return math.min(1, tonumber(h.factor) + math.max(0, now - from) / RECOVERY)
end

-- In any window there are at most `burst + window / step` grants, kept under SHARE of the count. A lower
-- factor makes the step longer and the tolerance no larger, so the bound holds across changes.
local function shape(factor)
  local budget = SHARE * limit.count
  local burst = math.max(1, math.min(limit.burst, math.floor(budget) - 1))
  local rate = budget - burst
  if rate <= 0 then rate = SHARE end
  local step = math.ceil(limit.window / rate / factor)
  burst = math.max(1, math.floor(burst * factor))
  return step, (burst - 1) * step, burst
end

local step, tolerance, burst = shape(factor_now())
local tat = number('tat', 0)
local resume_at = h.force == 'full' and 0 or number('resume_at', 0)

local function ms(us) return math.ceil(us / 1000) end

local function store(...)
  redis.call('HSET', key, ...)
  -- What an operator set stays; the rest is forgotten when nobody has asked for a day.
  if h.count or h.force then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, DAY) end
end

-- Reservations after a ticket, as suffix minima of how much of a debt each would still have left over:
-- what comes back counts only as far as nobody has meanwhile profited from its absence.
local function read_trail() return h.trail and cmsgpack.unpack(h.trail) or { from = 0 } end

local function remember(seq, slack)
  local trail = read_trail()
  while #trail > 0 and trail[#trail][2] >= slack do trail[#trail] = nil end
  trail[#trail + 1] = { seq, slack }
  local from = trail.from or 0
  if #trail > TRAIL_MAX then from = table.remove(trail, 1)[1] end
  local packed = { from = from }
  for i, entry in ipairs(trail) do packed[i] = entry end
  return cmsgpack.pack(packed)
end

local run = {}

function run.reserve()
  local n, max_wait = tonumber(ARGV[5]), tonumber(ARGV[6]) * 1000
  if h.force == 'stop' then return { 0, -1, 0, 0 } end
  local at = math.max(now, resume_at, tat - tolerance)
  if at - now > max_wait then return { 0, ms(at - now), 0, 0 } end
  local base = math.max(tat, at)
  local granted = math.min(n, math.floor((at + tolerance - base) / step) + 1)
  local seq, full_at = number('seq', 0) + 1, base + granted * step
  store('tat', string.format('%.0f', full_at), 'seq', seq, 'trail', remember(seq, math.max(0, tat - at)),
    'declared', declared)
  if granted == n then return { granted, ms(at - now), seq, step } end
  return { granted, math.max(1, ms(full_at - tolerance - now)), seq, step }
end

function run.give_back()
  local ticket, credit = tonumber(ARGV[5]), tonumber(ARGV[6])
  local trail = read_trail()
  if ticket < (trail.from or 0) or ticket > number('seq', 0) then return 1 end
  credit = math.min(credit, tat - now)
  for _, entry in ipairs(trail) do
    if entry[1] > ticket then
      credit = math.min(credit, entry[2])
      break
    end
  end
  if credit <= 0 then return 1 end
  for _, entry in ipairs(trail) do
    if entry[1] > ticket then entry[2] = entry[2] - credit end
  end
  store('tat', string.format('%.0f', tat - credit), 'trail', cmsgpack.pack(trail))
  return 1
end

-- Many calls in flight are told off together: that is one sign, so it lowers once a second.
function run.lower()
  local factor = factor_now()
  local resume = math.max(number('resume_at', 0), now + tonumber(ARGV[5]) * 1000)
  local since = (factor < 1 or number('resume_at', 0) > now) and h.lowered_since or now
  if not h.lowered_at or now - tonumber(h.lowered_at) >= CALM then
    factor = math.max(LEAST, factor * HALF)
  end
  store('factor', string.format('%.6f', factor), 'lowered_at', string.format('%.0f', now),
    'lowered_since', string.format('%.0f', since), 'resume_at', string.format('%.0f', resume),
    'lowered_reason', ARGV[6])
  return 1
end

function run.set()
  if tonumber(ARGV[5]) == 0 then
    redis.call('HDEL', key, 'count', 'window', 'burst', 'set_reason', 'set_at')
    return 1
  end
  h.count = ARGV[5]
  store('count', ARGV[5], 'window', ARGV[6], 'burst', ARGV[7], 'set_reason', ARGV[8], 'set_at', clock())
  return 1
end

function run.force()
  if ARGV[5] == '' then
    redis.call('HDEL', key, 'force', 'force_reason', 'force_at')
    return 1
  end
  h.force = ARGV[5]
  store('force', ARGV[5], 'force_reason', ARGV[6], 'force_at', clock())
  return 1
end

-- count, window_ms, burst, burst at present, step_us, factor in millionths, available, next_ms (-1: not
-- before an operator lifts the stop), resume_ms, {lowered_since_ms, reason}, {set_at_ms, reason},
-- {force, force_at_ms, reason}; nil where not so.
function run.state()
  local at = math.max(now, resume_at, tat - tolerance)
  local stopped = h.force == 'stop'
  local available = 0
  if at == now and not stopped then
    available = math.floor((now + tolerance - math.max(tat, now)) / step) + 1
  end
  local factor = factor_now()
  local lowered = (factor < 1 or resume_at > now)
    and { math.floor(number('lowered_since', 0) / 1000), h.lowered_reason or '' } or false
  return { limit.count, limit.window / 1000, limit.burst, burst, step, math.floor(factor * 1e6), available,
    stopped and -1 or ms(at - now), math.max(0, ms(resume_at - now)), lowered,
    h.count and { tonumber(h.set_at), h.set_reason } or false,
    h.force and { h.force, tonumber(h.force_at), h.force_reason } or false }
end

return run[operation]()
