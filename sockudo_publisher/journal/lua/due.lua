#!lua flags=allow-oom
-- due: report the results of claimed events of a bucket, and claim the next that are due.
-- KEYS[1] {app:due}:times    zset    "SEQ ID" -> due time in ms; +inf: parked
-- KEYS[2] {app:due}:items    hash    ID -> its entries (record.lua)
-- KEYS[3] {app:due}:claimed  set     names of the events that a worker is storing: cancel.lua leaves them
-- KEYS[4] {app:due}:lease    string  the worker's token, with an expiry
-- ARGV[1] token   ARGV[2] ms that the lease lasts   ARGV[3] due events to pass over
-- ARGV[4] max events to claim, 0: claim none   ARGV[5] max bytes of them, beyond which no further one is claimed
-- ARGV[6...] per claimed event: 'stored' (it leaves) | 'waits' (it may be cancelled) | 'parked' (it is not tried again),
--   its name
-- Returns {EMPTY}: another worker has the lease | {LOST}: another worker has it or had it, nothing was changed
--   | {DONE, per event: name, due time, fingerprint, meta, body}; the last three are '' for a record that cannot be
--   read, which is parked. Without an event the lease is given back.
-- include now
-- include record
local times, items, claimed, lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, ttl_ms, skipped, max_events, max_bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.pcall('GET', lease) ~= token then
  if #ARGV > 5 then return {-1} end
  if redis.call('PTTL', lease) >= 0 then return {0} end -- one without an expiry counts as free
end

-- entry_of(name): the record of the event's id, and the event's place in it; no place: the record cannot be read.
local function entry_of(name)
  local seq, id = split_name(name)
  local kept = id and redis.call('HGET', items, id)
  if not kept then return nil end
  local entries = read_record(kept)
  for k, entry in ipairs(entries or {}) do
    if entry[1] == seq then return entries, k, id end
  end
  return entries or {}, nil, id
end

local function park(name)
  redis.call('ZADD', times, '+inf', name)
  redis.call('SREM', claimed, name)
end

for i = 6, #ARGV, 2 do
  local outcome, name = ARGV[i], ARGV[i + 1]
  if outcome == 'stored' then
    local entries, k, id = entry_of(name)
    redis.call('ZREM', times, name)
    redis.call('SREM', claimed, name)
    if k then
      table.remove(entries, k)
      if #entries == 0 then redis.call('HDEL', items, id) else redis.call('HSET', items, id, write_record(entries)) end
    end
  elseif outcome == 'parked' then
    park(name)
  else
    redis.call('SREM', claimed, name)
  end
end

local answer = {1}
if max_events > 0 then
  local size = 0
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', now_ms(), 'LIMIT', skipped, max_events)) do
    local entries, k = entry_of(name)
    if k then
      local entry = entries[k]
      size = size + #entry[5]
      if #answer > 1 and size > max_bytes then break end
      redis.call('SADD', claimed, name)
      for _, part in ipairs({name, string.format('%.0f', entry[2]), entry[3], entry[4], entry[5]}) do
        answer[#answer + 1] = part
      end
    elseif entries then
      park(name)
      for _, part in ipairs({name, '0', '', '', ''}) do answer[#answer + 1] = part end
    else
      redis.call('ZREM', times, name) -- without a record: it was stored or cancelled, and the last command failed
      redis.call('SREM', claimed, name)
    end
  end
end
if #answer > 1 then redis.call('SET', lease, token, 'PX', ttl_ms) else redis.call('DEL', lease) end
return answer
