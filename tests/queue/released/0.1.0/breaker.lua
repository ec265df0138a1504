#!lua flags=allow-oom
-- One fleet-wide circuit breaker.
-- Input:  ARGV operation, window_ms, min_volume, failure_percent, open_ms, open_max_ms, probe_ms,
--         probes (the policy as declared by the caller), then for
--           'admit'  nothing
--           'report' pass (0: no probe), 'success', 'failure' or 'neither', reason
--           'force'  'open', 'closed' or '' (as it comes), reason
--           'state'  nothing
-- Output: 'admit': {1, pass} or {0, wait_ms (-1: until an operator lifts it), until_ms}.
--         'report': '', 'opened' or 'closed': what it caused.
--         'state': see state() below. 'force': 1.
-- Keys:   KEYS[1], a hash: state (closed when missing, open, half_open), since, reason, until, openings,
--         closed_at, counts (PIECES slices of the window), window, passes, probe, probe_until, probes_ok;
--         what operators set: force, force_reason, force_at.
-- Atomic: whole, so that one probe at a time is let through.
-- Bound:  constant.
local key, operation = KEYS[1], ARGV[1]
local policy = { window = tonumber(ARGV[2]), volume = tonumber(ARGV[3]), percent = tonumber(ARGV[4]),
  open = tonumber(ARGV[5]), open_max = tonumber(ARGV[6]), probe = tonumber(ARGV[7]), probes = tonumber(ARGV[8]) }
local PIECES, LOOK_AGAIN, DAY = 10, 1000, 86400000
local now = clock()
local h = {}
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do h[flat[i]] = flat[i + 1] end
local state = h.state or 'closed'

local function number(name) return tonumber(h[name] or '0') end

local function store(...)
  redis.call('HSET', key, ...)
  if h.force then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, policy.open_max + DAY) end
end

-- The slices of the window that count now: {slice, successes, failures} each.
local function counts()
  local slice, kept, good, bad = math.floor(now * PIECES / policy.window), {}, 0, 0
  for _, c in ipairs(h.counts and cmsgpack.unpack(h.counts) or {}) do
    if c[1] > slice - PIECES and c[1] <= slice then
      kept[#kept + 1] = c
      good, bad = good + c[2], bad + c[3]
    end
  end
  return kept, slice, good, bad
end

-- Twice as long with each opening, as long as it does not stay closed for the longest time in between.
local function open(reason)
  local openings = number('openings')
  if state == 'closed' and now - number('closed_at') >= policy.open_max then openings = 0 end
  local span = math.min(policy.open_max, policy.open * 2 ^ math.min(openings, 30))
  store('state', 'open', 'since', now, 'reason', reason, 'until', now + span, 'openings', openings + 1)
  redis.call('HDEL', key, 'counts', 'probe', 'probe_until', 'probes_ok')
  return 'opened'
end

local run = {}

function run.admit()
  if h.force == 'open' then return { 0, -1, -1 } end
  if h.force == 'closed' or state == 'closed' then return { 1, 0 } end
  if state == 'open' and now < number('until') then return { 0, number('until') - now, number('until') } end
  if h.probe and now < number('probe_until') then
    local wait = math.min(number('probe_until') - now, LOOK_AGAIN)
    return { 0, wait, now + wait }
  end
  local pass = redis.call('HINCRBY', key, 'passes', 1)
  store('probe', pass, 'probe_until', now + policy.probe)
  if state == 'open' then store('state', 'half_open', 'since', now, 'probes_ok', 0) end
  return { 1, pass }
end

local function report_probe(verdict, reason)
  if state ~= 'half_open' or h.probe ~= ARGV[9] then return '' end
  if verdict == 'failure' then return open('a probe failed: ' .. reason) end
  redis.call('HDEL', key, 'probe', 'probe_until')
  if verdict == 'neither' or redis.call('HINCRBY', key, 'probes_ok', 1) < policy.probes then return '' end
  store('state', 'closed', 'since', now, 'closed_at', now, 'reason', 'the probes succeeded')
  redis.call('HDEL', key, 'counts', 'until', 'probes_ok')
  return 'closed'
end

function run.report()
  local verdict, reason = ARGV[10], ARGV[11]
  if ARGV[9] ~= '0' then return report_probe(verdict, reason) end
  -- What was let through before it opened says nothing about now.
  if state ~= 'closed' or verdict == 'neither' then return '' end
  local kept, slice, good, bad = counts()
  local last = kept[#kept]
  if not last or last[1] ~= slice then
    last = { slice, 0, 0 }
    kept[#kept + 1] = last
  end
  if verdict == 'success' then
    last[2], good = last[2] + 1, good + 1
  else
    last[3], bad = last[3] + 1, bad + 1
  end
  store('counts', cmsgpack.pack(kept), 'window', policy.window)
  if bad == 0 or good + bad < policy.volume or bad * 100 < policy.percent * (good + bad) then return '' end
  return open(string.format('%d of %d calls failed, the last: %s', bad, good + bad, reason))
end

function run.force()
  if ARGV[9] == '' then
    redis.call('HDEL', key, 'force', 'force_reason', 'force_at')
    return 1
  end
  h.force = ARGV[9]
  store('force', ARGV[9], 'force_reason', ARGV[10], 'force_at', now)
  return 1
end

-- state, since_ms (0: always), reason, until_ms, openings, successes and failures in the window,
-- {force, force_at_ms, reason} or nil.
function run.state()
  -- Who only looks need not know the policy.
  policy.window = tonumber(h.window) or policy.window
  local _, _, good, bad = counts()
  return { state, number('since'), h.reason or '', state == 'open' and number('until') or 0, number('openings'),
    good, bad, h.force and { h.force, tonumber(h.force_at), h.force_reason } or false }
end

return run[operation]()
