-- Prepended to the scripts that add jobs. A job is four arguments: its record without the first six
-- bytes (the time), delay_ms, dedupe key (empty: none), the key's bucket (2 bytes) and half the body hash.
local JOB_ARGS = 4
local EXISTING, CONFLICT = 'E', 'X'
-- Expired dedupe keys are dropped in passing: with every so many that come in, as many twice are looked at.
local EVERY, SAMPLE = 8, 16

-- 'E' or 'X' and the id of the job that has the key; nil when it is free. A value: expiry, id, body hash.
local function key_owner(key, hash)
  local known = redis.call('HGET', DEDUPE .. string.sub(hash, 1, 2), key)
  if not known or struct.unpack('>I6', known) <= now then return nil end
  local same = string.sub(known, 23) == string.sub(hash, 3)
  return (same and EXISTING or CONFLICT) .. string.sub(known, 7, 22)
end

-- Claims the key, unless it has an owner, which is the answer then.
local function claim_key(key, hash, id, dedupe_ms, nth)
  local bucket = DEDUPE .. string.sub(hash, 1, 2)
  local value = struct.pack('>I6', now + dedupe_ms) .. id .. string.sub(hash, 3)
  if redis.call('HSETNX', bucket, key, value) == 0 then
    local owner = key_owner(key, hash)
    if owner then return owner end
    redis.call('HSET', bucket, key, value)
  end
  if nth % EVERY == 0 then
    local sample = redis.call('HRANDFIELD', bucket, SAMPLE, 'WITHVALUES')
    for i = 1, #sample, 2 do
      if struct.unpack('>I6', sample[i + 1]) <= now then redis.call('HDEL', bucket, sample[i]) end
    end
  end
  -- The whole bucket goes a little after its last key; this is not said again for each.
  if redis.call('PTTL', bucket) < dedupe_ms then
    redis.call('PEXPIRE', bucket, math.floor(dedupe_ms * 1.25))
  end
end

-- The part of the body hash that a record keeps and a job's arguments bring; nil without a dedupe key.
local function body_hash(record)
  local at = ID_END + 2 + string.byte(record, ID_END + 1)
  if bit.band(string.byte(record, 8), STRICT) ~= 0 then at = at + 4 end
  -- Past the kind, the payload's version, the origin and the encoding.
  at = at + 1 + string.byte(record, at) + 4
  if bit.band(string.byte(record, at), 1) == 0 then return nil end
  at = at + 3 + struct.unpack('>I2', record, at + 1)
  return string.sub(record, at, at + 15)
end

-- What stands in the way of a job whose id is known: its like, or another body, or who has its key. nil when
-- the record of the job that had the id is gone: then the id is free again, and its key with it.
local function standing(id, key, hash)
  local owner = key ~= '' and key_owner(key, hash)
  local record = fetch_one(seq_of(id))
  if not record and (not owner or owner == EXISTING .. id) then
    if owner then redis.call('HDEL', DEDUPE .. string.sub(hash, 1, 2), key) end
    return nil
  end
  if owner then return owner end
  local readable_, known = pcall(body_hash, record)
  local differs = key ~= '' and readable_ and known and known ~= string.sub(hash, 3)
  return (differs and CONFLICT or EXISTING) .. id
end

-- Whether the job at `at` would be a new one. `batch` remembers the ids and keys of earlier ones.
local function is_new(at, batch)
  local id, key = string.sub(ARGV[at], 12, 27), ARGV[at + 2]
  if key ~= '' and (batch.keys[key] or key_owner(key, ARGV[at + 3])) then return false end
  if batch.ids[id] or seq_of(id) then return false end
  batch.ids[id] = true
  batch.keys[key] = true
  return true
end

-- Adds the jobs whose arguments begin at `places`. Answers for each '', or what stands in its way.
local function insert(places, dedupe_ms)
  local answers, ready, due_now = {}, { [0] = {}, [1] = {}, [2] = {} }, 0
  local stamp, seq = struct.pack('>I6', now), redis.call('HINCRBY', META, 'seq', #places) - #places
  for i, at in ipairs(places) do
    local rest, delay, key = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local id = string.sub(rest, 12, 27)
    local name = string.format('%.0f', seq + i)
    local ids, answer = ids_key(id), nil
    if redis.call('HSETNX', ids, id, name) == 0 then
      answer = standing(id, key, ARGV[at + 3])
      if not answer then redis.call('HSET', ids, id, name) end
    end
    if not answer and key ~= '' then
      answer = claim_key(key, ARGV[at + 3], id, dedupe_ms, seq + i)
      if answer then redis.call('HDEL', ids, id) end
    end
    answers[i] = answer or ''
    if not answer then
      if delay ~= '0' then
        local due, record = now + tonumber(delay), stamp .. rest
        keep(name, record, due)
        make_delayed(name, read_header(record), due)
      else
        redis.call('XADD', FRESH, name, stamp, rest)
        due_now = due_now + 1
        if string.byte(rest, 28) > 0 then
          make_ready('RPUSH', name, read_header(stamp .. rest), now)
        else
          local list = ready[bit.band(string.byte(rest, 2), 3)]
          list[#list + 1] = name
        end
      end
    end
  end
  for priority = 0, 2 do in_pieces('RPUSH', READY[priority], ready[priority], 1) end
  if due_now > 0 then wake(due_now) end
  return answers
end
