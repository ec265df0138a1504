-- Prepended to every script, after the clock and the key names: records, and the moves between places.
-- A record is in FRESH (a stream, while its job waits for its first delivery or is at it) or in KEPT
-- (a hash, from the first delay, retry, expiry or death on). A job's place is told by membership: in a
-- lease, DELAYED or DEAD, else it is ready. Within the queue a job goes by its seq, a number that only grows.
local now = clock()
local READY = { [0] = READY_0, [1] = READY_1, [2] = READY_2 }

-- As in record.rs: enqueued_ms, version, flags, crashes, attempt, max_attempts, deliveries; then the id
-- (16 bytes), the lane (a byte of length, then itself), the longest hold in ms (4) if it is strict.
local HEADER, HEADER_SIZE, ID_END, VERSION = '>I6BBBI2I2I4', 17, 33, 1
-- Flags beside the priority in the two lowest bits.
local SUSPECT, STRICT, ASIDE = 4, 8, 16
local HISTORY_MAX = 20
-- Enough to wake several workers at once; a worker that finds more work than it takes wakes the next.
local WAKE_MAX = 8

-- Whether the record was written by a version that these scripts know; `head`: its first part, if it is apart.
local function readable(record, head)
  local before = head and #head or 0
  return before + #record > ID_END and string.byte(record, 7 - before) == VERSION
    and bit.band(string.byte(record, 8 - before), 3) <= 2
end

local function has(h, flag)
  return bit.band(h.flags, flag) ~= 0
end

local function read_header(record)
  if not record or not readable(record) then return nil end
  local h, _ = {}, nil
  h.enqueued_ms, _, h.flags, h.crashes, h.attempt, h.max_attempts, h.deliveries = struct.unpack(HEADER, record)
  h.priority = bit.band(h.flags, 3)
  h.id = string.sub(record, HEADER_SIZE + 1, ID_END)
  local lane = string.byte(record, ID_END + 1)
  if lane > 0 then
    h.lane = string.sub(record, ID_END + 2, ID_END + 1 + lane)
    if has(h, STRICT) then h.hold_ms = struct.unpack('>I4', record, ID_END + 2 + lane) end
  end
  return h
end

-- The record with the changes made to its header. `flags` holds the priority and what else is set.
local function rewritten(record, h)
  return struct.pack(HEADER, h.enqueued_ms, VERSION, h.flags, math.min(h.crashes, 255),
    math.min(h.attempt, 65535), h.max_attempts, h.deliveries) .. string.sub(record, HEADER_SIZE + 1)
end

-- The piece of the id index that holds this id: few ids in each, so that Redis packs them.
local function ids_key(id)
  local high, low = string.byte(id, 15, 16)
  return IDS .. string.char(bit.band(high, 31), low)
end

local function seq_of(id)
  return redis.call('HGET', ids_key(id), id)
end

-- The id under which a job goes: the one in its record, or one made of the seq where that is another job's.
local function made_id(seq)
  return struct.pack('>I8I8', 0, tonumber(seq))
end

local function id_in(record, seq)
  if #record < ID_END then return made_id(seq) end
  return string.sub(record, HEADER_SIZE + 1, ID_END)
end

-- `command key a b c ...` in pieces, since a call takes only so many arguments. `width` arguments
-- belong together.
local function in_pieces(command, key, arguments, width)
  local step = 240 * width
  for from = 1, #arguments, step do
    redis.call(command, key, unpack(arguments, from, math.min(from + step - 1, #arguments)))
  end
end

-- Fields of a hash in pieces; `false` where there is none.
local function values_of(key, fields)
  local values = {}
  for from = 1, #fields, 240 do
    local piece = redis.call('HMGET', key, unpack(fields, from, math.min(from + 239, #fields)))
    for i, value in ipairs(piece) do values[from + i - 1] = value end
  end
  return values
end

-- The records of jobs, `false` where there is none, and since when those in KEPT have been due. An entry of
-- FRESH is a record in two parts, its time and the rest, so that enqueueing needs not join them: asked for
-- `in_parts`, the first parts, maybe empty, are a third list.
-- Jobs enqueued together have neighbouring seqs, so one XRANGE usually brings many.
local function fetch(seqs, in_parts)
  local records, since, heads, absent, from = {}, {}, {}, {}, 1
  local function found(i, fields)
    heads[i], records[i] = fields[1], in_parts and fields[2] or fields[1] .. fields[2]
  end
  while from <= #seqs do
    local to = from
    while to < #seqs and seqs[to + 1] - seqs[to] == 1 do to = to + 1 end
    local entries = redis.call('XRANGE', FRESH, seqs[from], seqs[to])
    if #entries == to - from + 1 then
      for i, entry in ipairs(entries) do found(from + i - 1, entry[2]) end
    else
      local named = {}
      for _, entry in ipairs(entries) do named[entry[1]] = entry[2] end
      for i = from, to do
        local fields = named[seqs[i] .. '-0']
        if fields then
          found(i, fields)
        else
          records[i], absent[#absent + 1] = false, i
        end
      end
    end
    from = to + 1
  end
  if #absent > 0 then
    local names = {}
    for i, at in ipairs(absent) do names[i] = seqs[at] end
    for i, value in ipairs(values_of(KEPT, names)) do
      if value then
        local at = absent[i]
        heads[at], records[at], since[at] = '', string.sub(value, 7), (struct.unpack('>I6', value))
      end
    end
  end
  return records, since, heads
end

local function fetch_one(seq)
  local records, since = fetch({ seq })
  return records[1], since[1]
end

-- Puts a record into KEPT, with the time since when its job is due.
local function keep(seq, record, since)
  redis.call('HSET', KEPT, seq, struct.pack('>I6', since) .. record)
  redis.call('XDEL', FRESH, seq)
end

local function forget(seq, id)
  redis.call('XDEL', FRESH, seq)
  redis.call('HDEL', KEPT, seq)
  redis.call('HDEL', HISTORY, seq)
  redis.call('HDEL', NOTES, seq)
  redis.call('HDEL', ids_key(id), id)
end

local function wake(count)
  local tokens, room = {}, WAKE_MAX - redis.call('LLEN', WAKE)
  for i = 1, math.min(count, room) do tokens[i] = '1' end
  if #tokens > 0 then redis.call('RPUSH', WAKE, unpack(tokens)) end
end

-- Moves a job that is in no other place, and whose record is in KEPT, to the dead. `failure` is JSON.
local function bury(seq, failure)
  redis.call('ZADD', DEAD, now, seq)
  redis.call('HSET', DEATHS, seq, struct.pack('>I6', now) .. failure)
end

-- Notes why a job was put off, for people; an attempt that failed says more.
local function note(seq, reason)
  redis.call('HSET', NOTES, seq, struct.pack('>I6', now) .. reason)
end

-- Appends a failed attempt to the job's history, which keeps the last HISTORY_MAX.
local function remember(seq, attempt, worker, failure)
  local line = string.format('{"attempt":%d,"at_ms":%.0f,"worker":%s,', attempt, now, cjson.encode(worker))
    .. string.sub(failure, 2)
  local lines = redis.call('HGET', HISTORY, seq)
  if lines then
    local _, breaks = string.gsub(lines, '\n', '\n')
    if breaks + 1 >= HISTORY_MAX then lines = string.sub(lines, string.find(lines, '\n', 1, true) + 1) end
    line = lines .. '\n' .. line
  end
  redis.call('HSET', HISTORY, seq, line)
  redis.call('HDEL', NOTES, seq)
end
