#!lua flags=no-writes
-- scheduled: the events of a bucket, earliest first. Changes nothing.
-- KEYS[1] {app:due}:times    zset  "SEQ ID" -> due time in ms; +inf: parked
-- KEYS[2] {app:due}:items    hash  ID -> its entries (record.lua)
-- KEYS[3] {app:due}:claimed  set   names of the events that a worker is storing
-- ARGV[1] first place, from 0   ARGV[2] last place
-- Returns {DONE, per event: name, score, claimed, due time, meta, body}; the last three are '' for a record that
--   cannot be read
-- include record
local times, items, claimed = KEYS[1], KEYS[2], KEYS[3]
local first, last = ARGV[1], ARGV[2]
local answer = {1}
local found = redis.call('ZRANGE', times, first, last, 'WITHSCORES')
for i = 1, #found, 2 do
  local name, score = found[i], found[i + 1]
  local seq, id = split_name(name)
  local kept = id and redis.call('HGET', items, id)
  local parts = {'', '', ''}
  for _, entry in ipairs(kept and read_record(kept) or {}) do
    if entry[1] == seq then parts = {string.format('%.0f', entry[2]), entry[4], entry[5]} end
  end
  for _, part in ipairs({name, score, redis.call('SISMEMBER', claimed, name), unpack(parts)}) do
    answer[#answer + 1] = part
  end
end
return answer
